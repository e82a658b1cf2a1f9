"""`python -m morelike` is the command `morelike`."""

from __future__ import annotations

from morelike.cli import main

if __name__ == "__main__":
    main()
