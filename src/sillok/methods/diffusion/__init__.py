"""Guidance, samplers, control, editing: host Diffusers."""
