"""The public plugin interface, version 1: what a source of events may use, and nothing else of bpfctl.

A plugin is an ordinary package with an entry point in the group ``bpfctl.plugins``; the entry point's name is the
kind of probe, its value a class that meets ``Source``.
"""

from bpfctl.errors import NotSupported
from bpfctl.host import tracefs
from bpfctl.probe.source import API, ProbePoint, Source

__all__ = ["API", "NotSupported", "ProbePoint", "Source", "tracefs"]
