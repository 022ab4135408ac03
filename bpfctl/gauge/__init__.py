"""What probes gather, read while they run: for the commands, for session files, and for Python programs."""
