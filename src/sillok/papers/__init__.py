"""The cards and the catalogue that loads them."""
