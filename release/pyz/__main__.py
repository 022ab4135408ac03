"""What Python starts when it is given bpfctl.pyz: so plain that the oldest Python can read it."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whichever Python the machine has
    sys.exit("Error: bpfctl needs Python 3.11 or newer")

from _bpfctl_boot import main

sys.exit(main())
