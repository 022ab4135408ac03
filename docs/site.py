"""What MkDocs asks for each page: a link to a file beside the documents, which the site has not, becomes its name."""

from __future__ import annotations

import re


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return the text of a page; sources that it links to are told by their names."""
    return re.sub(r"\[([^\]]+)\]\((?:\.\./)+(?:btf|bpfctl|plugins|tests|benchmarks)/[^)]*\)", r"\1", markdown)
