"""Generators of checked-in files; each takes --check. Not installed."""
