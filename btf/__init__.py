"""BTF, the type format of the Linux kernel and of BPF programs: bytes in, types out."""
