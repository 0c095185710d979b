"""`python -m attnmass`: the command line."""

from __future__ import annotations

from attnmass.cli import main

main()
