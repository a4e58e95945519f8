"""The door: which command is meant, options before and after it, and how a problem leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rotate_my_key import __version__
from rotate_my_key.cli.app import App
from rotate_my_key.cli.commands import with_command
from rotate_my_key.cli.main import run
from rotate_my_key.cli.program import _end
from rotate_my_key.cli.program import run as run_with
from rotate_my_key.cli.table import COMMANDS, GROUPS
from rotate_my_key.core.errors import Interrupted, Problem

SECRET = "wJalrXUtnFEMI/K7MDENG"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A home without anything in it."""
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_STATE_HOME": str(tmp_path / "s")}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        pytest.param("", "rotate", id="nothing is rotate"),
        pytest.param("--force", "rotate --force", id="an option of rotate"),
        pytest.param("-p work --yes", "rotate -p work --yes", id="with a value"),
        pytest.param("-v", "-v rotate", id="a global option alone"),
        pytest.param("-q --no-color --force", "-q --no-color rotate --force", id="global options first"),
        pytest.param("status", "status", id="a command"),
        pytest.param("-vv status --json", "-vv status --json", id="a command after a global option"),
        pytest.param("--help", "--help", id="help"),
        pytest.param("-v --version", "-v --version", id="the version"),
        pytest.param("nonsense", "nonsense", id="an unknown command stays one"),
        pytest.param("rotate --help", "rotate --help", id="help of a command"),
        pytest.param("-V", "-V", id="the version, short"),
        pytest.param("help", "--help", id="help as a word"),
        pytest.param("version", "--version", id="the version as a word"),
        pytest.param("-q help keyring store", "-q keyring store --help", id="help of a command as a word"),
        pytest.param("-p two status", "status -p two", id="an option of the command before it"),
        pytest.param("--json -v -p two keyring store", "keyring store --json -v -p two", id="options of a subcommand"),
        pytest.param("-p status --force", "rotate -p status --force", id="a profile that is called like a command"),
    ],
)
def test_without_a_command_it_is_rotate(typed: str, meant: str) -> None:
    """Wherever the options stand."""
    assert with_command(typed.split()) == meant.split()


def test_help_names_every_command_in_its_group(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the table, with its line; and the exit codes. The version is one line on stdout."""
    assert run(["--version"], env) == 0
    assert capsys.readouterr() == (f"rotate-my-key {__version__}\n", "")
    assert run(["--help"], env) == 0
    shown = capsys.readouterr().out
    at = -1
    for title, rows in GROUPS.items():
        assert f"{title}:" in shown
        for name, text in rows.items():
            assert (at := shown.index(f"  {name} ", at + 1)) and text in shown
    assert "Exit codes: 0 done" in shown and "130 interrupted" in " ".join(shown.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help_and_the_global_options(
    name: str, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before and after the command."""
    assert run(["-q", name, "-v", "--no-color", "--help"], env) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert f"Usage: rotate-my-key {name}" in shown.out
    assert all(option in shown.out for option in ("--verbose", "--quiet", "--no-color"))


@pytest.mark.parametrize("words", ["-q history", "history -q", "-v history", "history -vv --no-color"])
def test_global_options_work_before_and_after(words: str, env: dict[str, str]) -> None:
    """The same exit code either way."""
    assert run(words.split(), env) == 0


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        pytest.param("nonsense", "no such command 'nonsense'", "rotate-my-key --help", id="an unknown command"),
        pytest.param("fleet nope", "no such command 'nope'", "rotate-my-key fleet --help", id="none in the fleet"),
        pytest.param("fleet report --settings", "option '--settings'", "rotate-my-key fleet report --help", id="value"),
        pytest.param("-q fleet report --nope", "no such option", "rotate-my-key fleet report --help", id="the fleet's"),
        pytest.param("status -p", "option '-p' requires", "rotate-my-key status --help", id="no value, of status"),
        pytest.param("--nope", "no such option", "rotate-my-key rotate --help", id="an option of none"),
        pytest.param("frobnicate", "no such command 'frobnicate'", "rotate-my-key --help", id="one like no other"),
        pytest.param(
            "-q statsu", "no such command 'statsu'. Did you mean 'status'?", "rotate-my-key status --help", id="a slip"
        ),
        pytest.param("hist", "no such command 'hist'. Did you mean", "rotate-my-key history --help", id="a beginning"),
        pytest.param(
            "keyring stor", "no such command 'stor'. Did", "rotate-my-key keyring store --help", id="in a group"
        ),
        pytest.param(
            "--Version",
            "no such option '--Version'. Did you mean '--version'?",
            "rotate-my-key rotate --help",
            id="an option with a slip",
        ),
        pytest.param(
            "rotate --check", "no such option '--check'", "rotate-my-key rotate --help", id="of another command"
        ),
        pytest.param("status --nonsense", "no such option", "rotate-my-key status --help", id="an unknown option"),
        pytest.param("rotate -p", "option '-p' requires an argument", "rotate-my-key rotate --help", id="no value"),
        pytest.param(
            "-p a --all", "-p and --all cannot be used together", "rotate-my-key rotate --all", id="a contradiction"
        ),
    ],
)
def test_wrong_usage_is_two_lines(
    words: str, error: str, hint: str, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2: what is wrong, in lower case and without a full stop, and what to type."""
    assert run(words.split(), env) == 2
    shown = capsys.readouterr()
    first, second = shown.err.splitlines()
    assert first.startswith(f"error: {error}") and not first.endswith(".")
    assert second == f"hint: {hint}"
    assert shown.out == ""


def test_a_problem_is_the_last_two_lines(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong and the next command, also when it is quiet; and a worker that still waits for an answer, and does
    not know that the command has ended, logs nothing behind them."""
    assert run(["-q", "rotate", "--yes"], env) == 1
    said = capsys.readouterr().err
    assert [line.split()[0] for line in said.splitlines()] == ["error:", "hint:"], said
    app = App(env)
    assert run_with(["rotate", "--yes", "-v"], env, app) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("hint: ")
    app.log("iam:GetUser: no answer")
    assert capsys.readouterr().err == ""


class Trap(Mapping[str, str]):
    """An environment in which looking for anything but what colours and hints need, and these names, fails, with a
    secret in the message."""

    def __init__(self, error: type[BaseException], *names: str) -> None:
        self._error, self._names = error, ("TERM", *names)

    def __getitem__(self, name: str) -> str:
        if "COLOR" in name or name.startswith("AWS_") or name in self._names:
            raise KeyError(name)
        raise self._error(f"{name}={SECRET}")

    def __iter__(self) -> Iterator[str]:
        raise self._error(SECRET)

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("words", ["status", "status -vv", "-vv rotate"])
def test_a_fault_of_ours_never_shows_values(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1: its kind and where it happened; with -vv the way there; no message, no traceback."""
    assert run(words.split(), Trap(ZeroDivisionError)) == 1
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err
    assert "Traceback" not in shown.err
    first, second, *frames = shown.err.splitlines()
    assert first.startswith(
        f"error: internal error in rotate-my-key {__version__}: ZeroDivisionError at test_program.py:"
    )
    assert second == "hint: report it, with -vv"
    assert bool(frames) == ("-vv" in words)


# With --json there is exactly one object on stdout, also where nothing came to its end


@pytest.mark.parametrize(
    ("words", "error", "code", "message"),
    [
        ("status --json", KeyboardInterrupt, 130, "Interrupted."),
        ("fleet report --json", KeyboardInterrupt, 130, "stopped"),
        ("status --json", EOFError, 130, "Interrupted."),
        ("status --json", ZeroDivisionError, 1, "internal error in rotate-my-key "),
        ("fleet report --json", ZeroDivisionError, 1, "internal error in rotate-my-key "),
        ("status", KeyboardInterrupt, 130, ""),
    ],
)
def test_stopped_or_broken_gives_one_object(
    words: str, error: type[BaseException], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, with the exit code, and no value; without --json the two lines on stderr are for people."""
    assert run_with(words.split(), Trap(error, "_ROTATE_MY_KEY_COMPLETE")) == code
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    if not message:
        assert out == ""
        return
    problem = json.loads(out)["problem"]
    assert (problem["code"], problem["message"].startswith(message)) == (code, True)


def test_what_goes_wrong_after_the_object_gives_no_second_one(capsys: pytest.CaptureFixture[str]) -> None:
    """One is promised."""
    app = App({})
    app.json({"keys": []})
    for problem in (Problem("late"), Interrupted("stopped")):
        assert _end(app, ["--json"], problem) == problem.code
    assert json.loads(capsys.readouterr().out) == {"version": 1, "keys": []}
