"""BPF instructions: coding (``insn``), assembling (``build``), text (``disasm``), control flow (``cfg``); all pure."""
