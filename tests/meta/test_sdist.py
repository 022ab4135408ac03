"""The source distribution has all that git knows, so that it can be built, tested and packaged by others."""

from __future__ import annotations

import tarfile


def test_it_has_every_file(source, sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    files = {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()}
    assert set() == {name for name in files - names if ".egg-info/" not in name}
    assert set() == {name for name in names if name.endswith((".pyc", ".so"))}
