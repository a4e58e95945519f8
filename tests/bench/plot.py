"""A few numbers as an SVG: panels side by side, each with one line from 0 up. Readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 240, 150  # of a panel's field
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 64, 24, 48
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-size:14px;font-weight:600}"
    ".grid{stroke:#d0d7de}.line{fill:none;stroke:#0860c4;stroke-width:2}.dot{fill:#0860c4}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#3d444d}.line{stroke:#79b8ff}.dot{fill:#79b8ff}"
    ".back{fill:#0d1117}}.back{fill:#fff}@media(prefers-color-scheme:dark){.back{fill:#0d1117}}"
)


@dataclass(frozen=True)
class Panel:
    """One line: a number for each x."""

    title: str
    x: Sequence[float]
    y: Sequence[float]


def plot(title: str, along: str, panels: Sequence[Panel]) -> str:
    """The drawing; its description says all numbers."""
    step = _LEFT + _WIDTH + _RIGHT
    width, height = step * len(panels), _TOP + _HEIGHT + _BOTTOM
    words = "; ".join(
        f"{panel.title}: " + ", ".join(f"{y:,.0f} at {x:,.0f}" for x, y in zip(panel.x, panel.y, strict=True))
        for panel in panels
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title><desc id="d">By number of {escape(along)}. {escape(words)}</desc>',
        f'<style>{_STYLE}</style><rect class="back" width="{width}" height="{height}"/>',
        f'<text class="title" x="{_LEFT}" y="24">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, number * step + _LEFT, along)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, left: float, along: str) -> list[str]:
    top = _round_up(max(panel.y))
    most = max(panel.x)

    def at(x: float, y: float) -> tuple[float, float]:
        return round(left + x / most * _WIDTH, 1), round(_TOP + _HEIGHT - y / top * _HEIGHT, 1)

    points = [at(x, y) for x, y in zip(panel.x, panel.y, strict=True)]
    parts = [f'<text x="{left}" y="{_TOP - 14}">{escape(panel.title)}</text>']
    for part in (0.0, 0.5, 1.0):
        height = at(0, part * top)[1]
        parts.append(f'<path class="grid" d="M{left} {height}h{_WIDTH}"/>')
        parts.append(f'<text x="{left - 8}" y="{height + 4}" text-anchor="end">{part * top:,.0f}</text>')
    for x in (min(panel.x), most / 3, most * 2 / 3, most):
        parts.append(f'<text x="{at(x, 0)[0]}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{x:,.0f}</text>')
    parts.append(f'<text x="{left + _WIDTH / 2}" y="{_TOP + _HEIGHT + 36}" text-anchor="middle">{escape(along)}</text>')
    parts.append(f'<polyline class="line" points="{" ".join(f"{x},{y}" for x, y in points)}"/>')
    parts += [f'<circle class="dot" cx="{x}" cy="{y}" r="3.5"/>' for x, y in points]
    return parts


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8, 10 times a power of ten: its half is a round number too."""
    size = 1.0
    while size * 10 < value:
        size *= 10
    return next((size * step for step in (1, 2, 4, 6, 8, 10) if size * step >= value), size * 10)
