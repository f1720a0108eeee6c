"""What an installed wheel has in the place of `streams.local`: pyproject.toml puts it there, as `streams/local.py`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    print(
        "The local stack, its samples and its simulator are not part of the installed package. They are in the "
        "repository: make demo, make local.",
        file=sys.stderr,
    )
    sys.exit(2)
