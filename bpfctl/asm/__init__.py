"""BPF instructions: coding (``insn``) and assembling (``build``), free of any kernel."""
