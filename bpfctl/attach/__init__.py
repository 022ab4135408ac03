"""Attaching programs: one module per family of links."""
