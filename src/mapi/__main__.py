"""`python -m mapi` is `mapi`."""

import sys

from mapi.cli import main

sys.exit(main())
