"""Fits lines and tables to the width of a terminal, for every command alike. Pure: takes text, gives text.

Ours and not rich's, since `history` and `status --cached` must not load rich, and one look is better than two. Lines
break between words only, never inside a date, and never inside a command that a person may copy: that is what begins
with rotate-my-key or stands in backquotes. A width of 0 is not known (a file, a pipe): then nothing is folded, and a
row is one line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PIECE = re.compile(r"\S*`[^`]+`\S*|\S*?rotate-my-key.*?(?=[.,;:)](?:\s|$)|$)\S*|\d+ [A-Z][a-z]+\b(?: \d{4})?\S*|\S+")
_INDENT = "  "


def wrap(text: str, width: int, indent: str = _INDENT) -> str:
    """Each line broken between words, the further ones under its first word and by `indent` to the right."""
    if not width or not text:
        return text
    return "\n".join(_folded(line, width, indent) if _size(line) > width else line for line in text.split("\n"))


def _folded(line: str, width: int, indent: str) -> str:
    first = line[: len(line) - len(line.lstrip(" "))]
    done: list[str] = []
    now = ""
    for piece in _PIECE.findall(line):
        if not now:
            now = first + piece
        elif _size(now) + 1 + _size(piece) <= width:
            now = f"{now} {piece}"
        else:
            done.append(now)
            now = first + indent + piece
    return "\n".join([*done, now])


def _size(text: str) -> int:
    return len(_COLOUR.sub("", text))


def table(rows: Sequence[Sequence[str]], width: int = 0) -> list[str]:
    """The rows, each with as many lines as it needs: columns two blanks apart, the most important one first. The first
    row is the head. Where the width is too small for all columns, the last ones go below each row, named as in the
    head, without those that say nothing; and a cell of more than a third of the width has several lines."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if not width or sum(widths) + 2 * (len(widths) - 1) <= width:
        return [_line(row, widths) for row in rows]
    cells = [[wrap(cell, width // 3, "").split("\n") for cell in row] for row in rows]
    widths = [max(_size(line) for cell in column for line in cell) for column in zip(*cells, strict=True)]
    kept = max((n for n in range(1, len(widths) + 1) if sum(widths[:n]) + 2 * (n - 1) <= width), default=1)
    shown = []
    for row, narrow in zip(rows, cells, strict=True):
        lines = [_line(line, widths[:kept]) for line in zip_longest(*narrow[:kept], fillvalue="")]
        rest = zip(rows[0][kept:], row[kept:], strict=True) if row is not rows[0] else ()
        below = ", ".join(f"{name.lower()}: {cell}".removeprefix(": ") for name, cell in rest if cell not in ("", "-"))
        shown.append("\n".join([*lines, *([wrap(_INDENT + below, width, "")] if below else [])]))
    return shown


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True)).rstrip()
