"""The command line: bpftool's words, and options of our own through Typer."""
