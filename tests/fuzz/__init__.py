"""Fuzzers that need no engine: each input follows from a seed and a number, and a failure is made small."""
