"""The commands together. A command is a file of its own; adding one is a line here."""

from __future__ import annotations

import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from attnmass.cli.calibrate import calibrate
from attnmass.cli.doctor import doctor
from attnmass.cli.errors import MEANINGS, ExitCode, drop_output, report
from attnmass.cli.explain import explain
from attnmass.cli.fit import fit
from attnmass.cli.groups import command
from attnmass.cli.index import index
from attnmass.cli.models import models
from attnmass.cli.notes import hush_libraries
from attnmass.cli.profiles import profiles_list, profiles_show
from attnmass.cli.rank import rank
from attnmass.cli.serve import serve
from attnmass.cli.store import store
from attnmass.cli.trim import trim
from attnmass.cli.verify import profiles_verify
from attnmass.models.kernels import bound_kernels

_EPILOG = "\n".join(
    ["Exit codes:", *(f"{int(code):>4}  {meaning}" for code, meaning in MEANINGS.items())]
)


class Group(TyperGroup):
    """Ends with our codes, and says in a line what typer draws a box around."""

    def main(self, *args: Any, **settings: Any) -> NoReturn:
        """As typer's, but that usage errors are told as all others are."""
        settings["standalone_mode"] = False
        try:
            code = super().main(*args, **settings)
            sys.stdout.flush()
        except BrokenPipeError:
            code = drop_output()
        except SystemExit as ended:
            # typer and rich leave with 1 where nobody reads the help any more: as if nothing were
            # found.
            if not _is_broken_pipe(ended):
                raise
            code = drop_output()
        except (typer.TyperException, KeyboardInterrupt) as error:
            code = report(error)
        except OSError as error:  # help that a full disk does not take
            drop_output()
            code = report(error)
        except typer.Abort:
            code = ExitCode.INTERRUPTED
        sys.exit(int(code) if isinstance(code, int) else ExitCode.OK)


def _is_broken_pipe(error: BaseException | None) -> bool:
    """Whether an error is about output that nobody reads, or was raised over one."""
    while error is not None and not isinstance(error, BrokenPipeError):
        error = error.__context__
    return error is not None


app = typer.Typer(
    name="attnmass",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
)
_profiles = typer.Typer(no_args_is_help=True, help="Head profiles: those that ship, and yours.")
app.add_typer(_profiles, name="profiles")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"attnmass {version('attnmass')}\n")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Rank and trim text by the attention that a question pays it inside a local transformer."""


command(app, "rank", epilog=_EPILOG)(rank)
command(app, "trim", epilog=_EPILOG)(trim)
command(app, "explain", epilog=_EPILOG)(explain)
command(app, "models")(models)
command(_profiles, "list")(profiles_list)
command(_profiles, "show")(profiles_show)
command(_profiles, "verify", epilog=_EPILOG)(profiles_verify)
command(app, "fit", epilog=_EPILOG)(fit)
command(app, "calibrate", epilog=_EPILOG)(calibrate)
command(app, "index", epilog=_EPILOG)(index)
command(app, "store", epilog=_EPILOG)(store)
command(app, "serve", epilog=_EPILOG, context_settings={"auto_envvar_prefix": "ATTNMASS"})(serve)
command(app, "doctor", epilog=_EPILOG)(doctor)


def run() -> NoReturn:
    """Run the command line of a process of its own."""
    hush_libraries(quiet=bool({"-q", "--quiet"} & set(sys.argv)))
    bound_kernels()
    for stream in (sys.stdout, sys.stderr):
        # A name of a file or a message may hold what the terminal's encoding does not.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    app(prog_name="attnmass")
    sys.exit(ExitCode.OK)
