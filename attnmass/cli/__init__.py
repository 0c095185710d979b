"""The command line: reads files, asks the core, prints.

Light until a command needs a model: help and shell completion import no torch.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import NoReturn

NEEDS = ("typer", "rich")


def main() -> NoReturn:
    """Run `attnmass` with the process's arguments; ends the process with a code of `ExitCode`."""
    _open_streams()
    try:
        missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
        if missing:
            sys.stderr.write(
                f"error: the command line needs {' and '.join(missing)}: "
                "pip install 'attnmass[cli]'\n"
            )
            sys.exit(2)
        from attnmass.cli.app import run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


def _open_streams() -> None:
    """Have streams that are closed (`>&-`) lead nowhere, as Python's own `print` does.

    Else the next file that is opened, a store perhaps, would have their number, and whatever
    libraries say would be written into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            place = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            os.set_inheritable(place, True)  # of closed numbers the lowest is taken, the stream's
            setattr(sys, name, open(place, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
