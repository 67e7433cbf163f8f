"""`python -m pytest_vigor`, for where the command `pytest-vigor` is not installed."""

from __future__ import annotations

import sys

from pytest_vigor.command import main

if __name__ == "__main__":
    sys.exit(main())
