"""The command line: reads files, asks the core, prints.

Light until a command needs a model: help and shell completion import no torch.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import NoReturn

NEEDS = ("typer", "rich")


def main() -> NoReturn:
    """Run `attnmass` with the process's arguments; ends the process with a code of `ExitCode`."""
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
