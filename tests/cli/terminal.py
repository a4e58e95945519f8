"""The program in a real terminal (a pty), and what is left on its screen."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pexpect
from pexpect.fdpexpect import fdspawn

from tests import warm
from tests.warm import ROOT

PATIENCE = 60  # seconds after which a program counts as hanging

_CONTROL = re.compile(r"\x1b\[\??([0-9;]*)([A-Za-z])|\r|\n|\x07")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Screen:
    """How a run in a terminal ended: its exit code, all that it sent, and the lines that are left."""

    code: int
    stream: str
    styled: list[str]

    @property
    def lines(self) -> list[str]:
        """The lines without their colours."""
        return [_COLOUR.sub("", line).rstrip() for line in self.styled]

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)


class Terminal:
    """`rotate-my-key WORDS` in a terminal; talk to it with `type` and `until`, then `end` it."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str], cwd: str | Path, width: int = 100) -> None:
        self._seen = io.StringIO()
        env = {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **warm.BASE, **env}
        self._process, side = warm.in_terminal(words, env, str(cwd), width)
        self._side = fdspawn(side, encoding="utf-8", timeout=PATIENCE)
        self._side.logfile_read = self._seen

    def until(self, text: str) -> None:
        """Wait until it shows the text."""
        self._side.expect_exact(text)

    def word(self) -> str:
        """Wait for the next word that it shows, and give it."""
        self._side.expect(r"(\w+)\W")
        return str(self._side.match[1])  # type: ignore[index]

    def type(self, keys: str) -> None:
        """Press keys; Enter is a carriage return, Ctrl-C is ETX."""
        time.sleep(0.05)  # nobody is quicker than the program is at its next question
        self._side.send(keys)

    def answer(self, question: str, keys: str) -> None:
        """Wait for the question, then press keys."""
        self.until(question)
        self.type(keys)

    def end(self) -> Screen:
        """Wait for its end."""
        self._side.expect(pexpect.EOF)
        code = self._process.wait(PATIENCE)
        self._side.close()
        assert code >= 0, f"killed by signal {-code}"
        stream = self._seen.getvalue()
        return Screen(code, stream, screen(stream))


def screen(stream: str) -> list[str]:
    """The lines that are left on the screen, with their colours.

    Of all that moves a cursor it knows what a spinner on one line needs; anything else raises ValueError.
    """
    lines, row, at = [""], 0, 0
    while at < len(stream):
        found = _CONTROL.match(stream, at)
        if not found:
            lines[row] += stream[at]
            at += 1
            continue
        match found[0][-1]:
            case "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            case "A":
                row = max(row - int(found[1] or 1), 0)
            case "K":
                lines[row] = ""
            case "m":
                lines[row] += found[0]
            case "\r" | "\x07" | "h" | "l":
                pass
            case _:
                raise ValueError(f"a terminal would do something with {found[0]!r}")
        at = found.end()
    return [line for line in lines if line.strip()]
