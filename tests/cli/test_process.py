"""The command line as a process: what it imports, its ends, terminals, completion."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import attnmass.cli
from attnmass.cli import asking
from attnmass.cli.errors import MEANINGS, ExitCode
from tests.cli.conftest import Cli
from tests.serving.processes import heed_interrupts
from tests.test_architecture import FRAMEWORKS, HEAVY

ROOT = Path(__file__).parents[2]
COLOUR = re.compile(r"\x1b\[[\d;]*3[0-9]")


def environment(**more: str) -> dict[str, str]:
    """The environment without what decides on colours."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NO_COLOR", "FORCE_COLOR", "TERM", "GITHUB_ACTIONS", "COLUMNS")
    }
    return plain | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"} | more


def process(*args: str, module: str = "tests.cli.fake", **more: str) -> subprocess.CompletedProcess:
    """Run a command over a fake ranker, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", module, *args],
        capture_output=True,
        text=True,
        input="One gold ring.\n\nTwo.",
        env=environment(**more),
        timeout=120,
    )


def imported_by_command(*args: str, **more: str) -> tuple[set[str], str]:
    """Top-level modules that are there after a command in a clean process, and its output."""
    script = (
        f"import sys; sys.argv = ['attnmass', *{args!r}]\n"
        "from attnmass.cli import main\n"
        "try: main()\n"
        "finally: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        env=environment(**more),
        timeout=120,
    )
    return set(done.stderr.splitlines()[-1].split()), done.stdout


@pytest.mark.parametrize(
    "args",
    [
        ("--help",),
        ("rank", "--help"),
        ("trim", "--help"),
        ("--version",),
        ("models",),
        ("profiles", "list"),
        ("rank", "gold", "missing.txt"),
    ],
)
def test_light(args: tuple[str, ...]) -> None:
    """Help, lists and errors of usage and input come without torch and frameworks."""
    found, _ = imported_by_command(*args)
    assert "typer" in found
    assert not found & (HEAVY | FRAMEWORKS)


def test_completion() -> None:
    """The shell completes commands and options, without torch."""
    asked = {"_ATTNMASS_COMPLETE": "complete_bash", "COMP_WORDS": "attnmass tr", "COMP_CWORD": "1"}
    found, output = imported_by_command(**asked)
    assert output.split() == ["trim"]
    assert not found & (HEAVY | FRAMEWORKS)
    _, output = imported_by_command(
        **asked | {"COMP_WORDS": "attnmass trim --max-t", "COMP_CWORD": "2"}
    )
    assert output.split() == ["--max-tokens"]
    shown = process("--show-completion", "bash", module="attnmass")
    assert shown.returncode in (0, 1)  # 1 where typer cannot tell which shell asks


def test_stdout_has_results_only() -> None:
    """Results are on stdout, all else on stderr, no colours and no progress in a pipe."""
    done = process("rank", "gold", "-f", "jsonl", FORCE_COLOR="")
    assert done.returncode == 0
    assert done.stderr == ""
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == [
        "One gold ring.",
        "Two.",
    ]
    failed = process("rank", "gold", "missing.txt")
    assert (failed.returncode, failed.stdout) == (3, "")
    assert failed.stderr == "error: missing.txt: no such file or folder\n"


def test_no_arguments_is_help() -> None:
    """Without arguments there is the help, with the codes, and the code for usage."""
    done = process(module="attnmass")
    assert done.returncode == 2
    assert "141  whoever read the output stopped reading" in done.stdout + done.stderr


def test_reader_stops(tmp_path: Path) -> None:
    """`| head -1` ends it with 141, quietly."""
    file = tmp_path / "many.jsonl"
    file.write_text(json.dumps({"text": "gold " * 100}) + "\n" + '{"text": "x"}\n' * 20_000)
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.fake", "rank", "gold", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert running.stdout is not None
    assert running.stdout.readline().startswith(b"0.5000\t")
    running.stdout.close()
    assert running.wait(60) == 141
    assert running.stderr is not None
    assert running.stderr.read() == b""
    running.stderr.close()


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--help",),
        ("--version",),
        ("rank", "--help"),
        ("models",),
        ("profiles",),
        ("profiles", "list"),
        ("profiles", "show", "smollm2-135m.joint"),
    ],
)
def test_nobody_reads(args: tuple[str, ...]) -> None:
    """Help and lists, too, end with 141 where the reader is gone: 1 would be a lack of evidence."""
    end, start = os.pipe()
    os.close(end)
    done = subprocess.run(
        [sys.executable, "-m", "attnmass", *args],
        stdout=start,
        stderr=subprocess.PIPE,
        env=environment(),
        timeout=120,
    )
    os.close(start)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams(closed: str, tmp_path: Path) -> None:
    """What leads nowhere changes no code, and no file that is written has its place."""
    (tmp_path / "ring.txt").write_text("One gold ring.")
    run = f"{sys.executable} -m tests.cli.fake"
    for command, code in (
        ("rank gold ring.txt", ExitCode.OK),
        ("rank gold ring.txt --topn 5", ExitCode.USAGE),
        ("--version", ExitCode.OK),
    ):
        done = subprocess.run(
            ["sh", "-c", f"{run} {command} {closed}"],
            capture_output=True,
            env=environment(),
            cwd=tmp_path,
            timeout=120,
        )
        assert done.returncode == code, command
        assert b"Traceback" not in done.stderr
    script = "from attnmass import cli; cli._open_streams(); exit(open('ring.txt').fileno() > 2)"
    place = subprocess.run(
        ["sh", "-c", f'{sys.executable} -c "{script}" {closed}'], env=environment(), cwd=tmp_path
    )
    assert place.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("args", [(), ("--help",), ("--version",), ("models",), ("rank", "x")])
def test_a_full_disk(args: tuple[str, ...]) -> None:
    """Output that cannot be written is an error in a line, and no lack of evidence."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        run = [sys.executable, "-m", "tests.cli.fake", *args]
        options = {"env": environment(), "input": b"One gold ring.", "timeout": 120}
        done = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, **options)
        unsaid = subprocess.run(run, stdout=full, stderr=full, **options)
    assert done.returncode == unsaid.returncode == ExitCode.FAILED
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1


def test_no_network() -> None:
    """Where the Hub cannot be reached that is said in seconds, with what would help."""
    started = time.perf_counter()
    done = process(
        *("rank", "gold", "--model", "nobody/nothing"),
        module="attnmass",
        HF_HUB_OFFLINE="0",
        HF_ENDPOINT="http://127.0.0.1:9",  # where nothing listens
    )
    assert time.perf_counter() - started < 30  # most of it for imports; with retries a minute
    assert done.returncode == ExitCode.MODEL
    assert done.stdout == ""
    assert "the Hugging Face Hub, which cannot be reached (" in done.stderr
    assert "hf download nobody/nothing" in done.stderr


@pytest.fixture(params=["foreground", "background"])
def started_in(request: pytest.FixtureRequest) -> Iterator[str]:
    """In the background of a shell, as CI systems start things, SIGINT is ignored by all below."""
    before = signal.getsignal(signal.SIGINT)
    if request.param == "background":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield request.param
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("started_in")
def test_interrupted() -> None:
    """Ctrl-C, here while it waits for stdin, ends it with 130, quietly."""
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.fake", "rank", "gold", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        preexec_fn=heed_interrupts,
    )
    # Interrupted too early, Python itself would not be ready; it waits for stdin all the while.
    wait_until_reading(running.pid)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (130, b"", b"")


def wait_until_reading(pid: int) -> None:
    """Wait until the process has everything imported and sleeps in a read of a pipe."""
    place = Path(f"/proc/{pid}/wchan")
    for _ in range(300):
        time.sleep(0.1)
        if not place.exists() or "pipe" in place.read_text():
            break
    time.sleep(0.5)


@pytest.mark.parametrize("no_color", [False, True])
def test_terminal(no_color: bool, tmp_path: Path) -> None:
    """On a terminal it is a table, in colours unless NO_COLOR is set, as wide as the terminal."""
    (tmp_path / "a.txt").write_text("[red]gold[/red] \x1b[35m" + "word " * 100)
    main, end = pty.openpty()
    more = {"NO_COLOR": "1"} if no_color else {}
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.fake", "rank", "gold", str(tmp_path / "a.txt")],
        stdin=subprocess.DEVNULL,
        stdout=end,
        stderr=subprocess.PIPE,
        env=environment(TERM="xterm-256color", COLUMNS="70", **more),
        timeout=120,
    )
    os.close(end)
    output = os.read(main, 1 << 16).decode()
    os.close(main)
    assert done.returncode == 0, done.stderr
    assert "───" in output
    assert "[red]gold[/red]" in output
    assert "\x1b[35m" not in output
    assert bool(COLOUR.search(output)) is not no_color
    plain = re.sub(r"\x1b\[[\d;]*m", "", output)
    assert max(map(len, plain.splitlines())) <= 70


def test_progress_is_for_who_looks(cli: Cli, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is asked for where stderr is a terminal, unless it should be quiet."""
    monkeypatch.setattr(asking, "is_watched", lambda: True)
    cli("rank", "gold", "docs")
    assert cli.stub.calls[-1].options["progress"] is True
    cli("rank", "gold", "docs", "--quiet")
    assert cli.stub.calls[-1].options["progress"] is False


def test_extra_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without typer there is one line with what to install, and code 2."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "typer" else find(name)
    )
    with pytest.raises(SystemExit) as ended:
        attnmass.cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: the command line needs typer: pip install 'attnmass[cli]'\n"
    )


def test_reference_has_the_codes() -> None:
    """The reference tells what each code means, in the words of the help."""
    page = (ROOT / "docs" / "reference" / "command_line.md").read_text(encoding="utf-8")
    assert len(MEANINGS) == len(ExitCode)
    for code, meaning in MEANINGS.items():
        assert f"| {int(code)} | {meaning} |\n" in page
