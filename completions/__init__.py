"""The completion scripts, as data."""
