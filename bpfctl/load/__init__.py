"""BPF objects put into the running kernel: maps made and filled, programs joined, relocated and verified."""
