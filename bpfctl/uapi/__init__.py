"""Numbers and layouts of the kernel's interface: pure data, generated from a vmlinux BTF."""
