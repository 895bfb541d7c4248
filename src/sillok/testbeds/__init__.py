"""Small real problems that trials share: data, a model, how it is trained, a cached checkpoint."""
