"""BPF object files: read into a `bpfctl.spec.ObjectSpec`, on any machine and without a kernel."""
