"""Names of addresses: of the kernel and of processes, for stacks."""
