"""What the running kernel can do: probes as data, and their answers."""
