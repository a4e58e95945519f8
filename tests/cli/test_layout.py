"""Lines and tables fit the terminal, and nothing is broken that a person copies."""

from __future__ import annotations

import pytest

from rotate_my_key.cli.layout import table, wrap
from tests.cli.conftest import Desk

ROWS = [
    ("VERDICT", "PROFILES", "KEY", "AGE", "USER", "LAST USE", ""),
    ("works until 8 December", "default, work and x", "...6SSH", "98 days", "ann in 123456789012", "never", ""),
    ("refused", "bad", "...DFGH", "-", "-", "-", "AWS does not accept this key: it is unknown, deleted or inactive"),
]
ERROR = (
    "error: \x1b[31mno profile\x1b[0m is named; see `rotate-my-key status --json`, or rotate-my-key adopt f.csv -p x."
)


@pytest.mark.parametrize("width", [30, 60, 80, 120, 200])
def test_lines_break_between_words(width: int) -> None:
    """Every word and every command is whole, in its order, and no line is longer than it must be."""
    lines = wrap(ERROR, width).split("\n")
    assert " ".join(line.strip() for line in lines) == ERROR
    commands = ("`rotate-my-key status --json`", "rotate-my-key adopt f.csv -p x")
    assert all(any(command in line for line in lines) for command in commands)
    assert all(len(line) - 9 * line.count("\x1b[31m") <= max(width, 35) for line in lines)


def test_lines_are_indented_under_their_first_word() -> None:
    """A further line stands two blanks to the right, or where the caller says; without a terminal nothing is folded,
    and a row is a line, for grep."""
    assert wrap("  one two three", 9) == "  one two\n    three"
    assert wrap("one two", 3, "....") == "one\n....two"
    assert wrap(ERROR, 0) == ERROR
    assert table([("A", "B", "C"), ("aaa", "b", "")]) == ["A    B  C", "aaa  b"]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_tables_fit(width: int) -> None:
    """All that the rows say is there, word for word, and each line fits."""
    shown = table(ROWS, width)
    assert max(len(line) for row in shown for line in row.split("\n")) <= width
    for row, text in zip(ROWS[1:], shown[1:], strict=True):
        there = [word.strip(",") for word in text.split()]
        assert all(word.strip(",") in there for cell in row if cell != "-" for word in cell.split())


def test_what_does_not_fit_goes_below_its_row() -> None:
    """The last columns, named as in the head; a long cell has several lines."""
    assert table(ROWS, 60) == [
        "VERDICT      PROFILES             KEY      AGE",
        "works until  default, work and x  ...6SSH  98 days\n8 December\n  user: ann in 123456789012, last use: never",
        "refused      bad                  ...DFGH  -\n"
        "  AWS does not accept this key: it is unknown, deleted or\n  inactive",
    ]


def test_a_terminal_is_as_wide_as_it_says(empty: Desk) -> None:
    """Its own width, or COLUMNS; a pipe has none, so that what was said is one line there."""
    wide, narrow = (
        empty.shown("status", "-p", "some profile that is not here", COLUMNS="200"),
        empty.run("status", "-p", "x"),
    )
    assert len(narrow.err.splitlines()) == len(wide.lines) == 2
    assert len(empty.shown("status", "-p", "some profile that is not here", COLUMNS="50").lines) > 2
