"""Voices: JSON, plain text, tables. They know rows and views, no BPF object."""
