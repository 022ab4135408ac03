"""What the words of BPF mean, such as types, helpers, flags and errors: sentences as data, and who finds them."""
