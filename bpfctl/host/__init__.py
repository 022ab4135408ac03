"""Facts about this machine from files and netlink; knows no BPF object."""
