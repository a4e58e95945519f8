"""With --json there is exactly one object on stdout, also where nothing came to its end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from rotate_my_key.cli.app import App
from rotate_my_key.cli.program import _end, run
from rotate_my_key.core.errors import Interrupted, Problem


class Trap(Mapping[str, str]):
    """An environment that cannot be read, but for what colours, completion and hints ask of it."""

    def __init__(self, error: type[BaseException]) -> None:
        self._error = error

    def __getitem__(self, name: str) -> str:
        if "COLOR" in name or name.startswith("AWS_") or name in ("TERM", "_ROTATE_MY_KEY_COMPLETE"):
            raise KeyError(name)
        raise self._error("AKIASECRET")

    def __iter__(self) -> Iterator[str]:
        raise self._error

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("words", "error", "code", "message"),
    [
        ("status --json", KeyboardInterrupt, 130, "Interrupted."),
        ("fleet report --json", KeyboardInterrupt, 130, "stopped"),
        ("status --json", EOFError, 130, "Interrupted."),
        ("status --json", ZeroDivisionError, 1, "internal error in rotate-my-key "),
        ("fleet report --json", ZeroDivisionError, 1, "internal error in rotate-my-key "),
    ],
)
def test_stopped_or_broken_gives_one_object(
    words: str, error: type[BaseException], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, with the exit code, and no value."""
    assert run(words.split(), Trap(error)) == code
    shown = capsys.readouterr()
    said = json.loads(shown.out)
    assert said["problem"]["code"] == code
    assert said["problem"]["message"].startswith(message)
    assert "AKIASECRET" not in shown.out


def test_without_json_stdout_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """The two lines on stderr are for people."""
    assert run(["status"], Trap(KeyboardInterrupt)) == 130
    assert capsys.readouterr().out == ""


def test_what_goes_wrong_after_the_object_gives_no_second_one(capsys: pytest.CaptureFixture[str]) -> None:
    """One is promised."""
    app = App({})
    app.json({"keys": []})
    for problem in (Problem("late"), Interrupted("stopped")):
        assert _end(app, ["--json"], problem) == problem.code
    assert json.loads(capsys.readouterr().out) == {"version": 1, "keys": []}
