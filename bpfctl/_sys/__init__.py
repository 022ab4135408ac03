"""The kernel door: system calls and shared memory. The only room that knows cffi."""
