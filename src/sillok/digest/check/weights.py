"""placeholder"""
BIAS = -1.0
MOST = 2.0
WEIGHTS: dict[str, float] = {}
