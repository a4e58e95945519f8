"""The charts of the page as numbers: where each rectangle and word stands. Pure; `page.html.j2` draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..figures import AgeBar
from ..judge import Status

# In units of the drawing, which grows and shrinks with the page.
WIDTH = 360
_ROW, _BAR = 24, 16
_LABEL, _NUMBER = 88, 56  # room for the words left and right of the bars


@dataclass(frozen=True, slots=True)
class ChartPiece:
    """A rectangle; `kind` names its colour."""

    x: float
    width: float
    kind: str


@dataclass(frozen=True, slots=True)
class ChartLine:
    """A bar of one or more pieces, with its label and number; `y` is its upper edge."""

    label: str
    number: int
    y: float
    pieces: tuple[ChartPiece, ...]

    @property
    def middle(self) -> float:
        """Where words stand."""
        return self.y + _BAR / 2

    @property
    def end(self) -> float:
        """Where the number begins."""
        return self.pieces[-1].x + self.pieces[-1].width + 6 if self.pieces else _LABEL + 6


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines from top to bottom. `words` tells the same to who does not see them."""

    title: str
    words: str
    height: float
    lines: tuple[ChartLine, ...]
    width: int = WIDTH
    label: int = _LABEL - 8
    bar: int = _BAR


def ages(bars: Sequence[AgeBar]) -> Chart:
    """How old users' active keys are; root's are to be deleted, whatever their age."""
    parts = [(bar.label, {bar.verdict.value: bar.keys, "exempt": bar.exempt}) for bar in bars]
    return _chart("Ages of active keys of users, without those of root", parts)


def verdicts(standings: Mapping[Status, int]) -> Chart:
    """How many keys have which verdict."""
    return _chart("Verdicts", [(WORDS[each], {each.value: number}) for each, number in standings.items()])


WORDS = {
    Status.ROOT: "root",
    Status.OVERDUE: "overdue",
    Status.DUE: "due",
    Status.FRESH: "fresh",
    Status.EXEMPT: "exempt",
    Status.INACTIVE: "switched off",
}


def _chart(title: str, parts: Sequence[tuple[str, Mapping[str, int]]]) -> Chart:
    most = max((sum(numbers.values()) for _, numbers in parts), default=0) or 1
    room = WIDTH - _LABEL - _NUMBER
    lines = tuple(_line(label, numbers, place, room / most) for place, (label, numbers) in enumerate(parts))
    words = "; ".join(f"{label}: {sum(numbers.values()):,}" for label, numbers in parts)
    return Chart(title, words, _ROW * len(parts), lines)


def _line(label: str, numbers: Mapping[str, int], place: int, scale: float) -> ChartLine:
    pieces, x = [], float(_LABEL)
    for kind, number in numbers.items():
        if number:
            width = max(number * scale, 1.5)  # one key among thousands is still seen
            pieces.append(ChartPiece(round(x, 2), round(width, 2), kind))
            x += width
    return ChartLine(label, sum(numbers.values()), place * _ROW + (_ROW - _BAR) / 2, tuple(pieces))
