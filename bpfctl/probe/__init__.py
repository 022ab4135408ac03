"""Probes: sources of events, found among the installed plugins."""
