"""BPF objects of the running kernel: open handles, facts about them, and rows of facts with their surroundings."""
