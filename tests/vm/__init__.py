"""Real kernels for the tests: fetched from Debian, booted in QEMU over this machine's own root."""
