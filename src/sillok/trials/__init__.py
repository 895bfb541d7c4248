"""How the papers' claims are measured: the only layer that knows methods, testbeds and the trial contract."""
