"""Makes docs/rotation.svg: a real run of `rotate-my-key demo` in a real terminal, line by line as it appears.

    .venv/bin/python -m tests.cli.picture [FILE]

No line is drawn by hand. Key IDs and the beginnings of secrets are replaced by AWS's own examples, so that two runs of
one day give the same bytes, and the line that names the demo's address is left out. It moves by CSS alone, stands still
for people who want no motion, and fetches nothing. `tests/test_docs.py` compares its words with a new run.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from rich.color import ColorType
from rich.text import Text

from tests.cli.terminal import ROOT, Terminal

PICTURE = ROOT / "docs" / "rotation.svg"
IDS = ("AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHB6VOQ2XA")  # the old one, the new one
_STARTS = ("wJ", "je")  # of their secrets
_COLUMNS = 94
_LETTER, _LINE, _EDGE = 8.0, 18, 16  # pixels, of the widest of the fonts at 13 px
_LEFT_OUT = re.compile(r"^Endpoint: ")
_FIRST, _LAST = re.compile(r"\$ rotate-my-key"), re.compile(r"Alice's keys")
# Seconds before a line appears, by what it says; the first that fits.
_PAUSES = [(r"\$ ", 1.0), (r"\w+ in \d", 0.8), (r"  .*\(\d+ s\)", 2.4), (r"  \S", 0.8), (r"Done", 0.5)]
_PAUSES += [(r"What changed", 1.5), (r"", 0.1)]
_ANSWER, _END = 2.0, 7.0
_COLOURS = ["#6e7681", "#ff7b72", "#7ee787", "#e3b341", "#79c0ff", "#d2a8ff", "#76e3ea", "#c9d1d9"]
_FORM = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="rotate-my-key demo">
<style>
text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #c9d1d9; white-space: pre }}
{colours}
@media (prefers-reduced-motion: no-preference) {{
{motion}
}}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>
<circle cx="20" cy="18" r="5" fill="#ff5f57"/><circle cx="38" cy="18" r="5" fill="#febc2e"/>
<circle cx="56" cy="18" r="5" fill="#28c840"/>
{lines}
</svg>
"""


def record(*options: str) -> list[str]:
    """The lines of `demo OPTIONS` from the command on, with their colours (ANSI)."""
    with tempfile.TemporaryDirectory() as home:
        env = {"HOME": home, "PATH": "/nonexistent", "LC_ALL": "C.UTF-8", "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
        done = Terminal(["demo", *options], env, home, _COLUMNS).end()
    if done.code != 0:
        raise SystemExit(f"the demo ended with {done.code}:\n{done.text}")
    plain = done.lines
    first = next(at for at, line in enumerate(plain) if _FIRST.match(line))
    last = next(at for at, line in enumerate(plain) if _LAST.match(line))
    return [_example(done.styled[at], plain) for at in range(first, last + 1) if not _LEFT_OUT.search(plain[at])]


def _example(line: str, plain: list[str]) -> str:
    """A line with the ids and secrets of AWS's examples."""
    seen = [re.search(rf"^\{sign}aws_access_key_id\W+(\w+)", "\n".join(plain), re.MULTILINE) for sign in "-+"]
    for found, example, start in zip(seen, IDS, _STARTS, strict=True):
        assert found
        line = line.replace(found[1], example).replace(f"...{found[1][-4:]}", f"...{example[-4:]}")
        sign = "-" if example == IDS[0] else "+"
        line = re.sub(rf"(\{sign}aws_secret_access_key\W*?)[^\s*=]{{2}}(\*{{9}})", rf"\g<1>{start}\2", line)
    return line


def draw(lines: list[str]) -> str:
    """The lines as an SVG that shows one after the other, and begins again."""
    rows, at, seconds = [], [], 0.0
    for row, line in enumerate(lines):
        text = Text.from_ansi(line)
        seconds += next(pause for what, pause in _PAUSES if re.match(what, text.plain))
        parts = ""
        for piece in text.divide([len(text) - 1]) if re.search(r"\? .*\S$", text.plain) else [text]:
            seconds += _ANSWER if parts else 0
            parts += f'<tspan class="l{len(at)}">{"".join(_parts(piece))}</tspan>'
            at.append(seconds)
        rows.append(f'<text x="{_EDGE}" y="{52 + row * _LINE}" xml:space="preserve">{parts}</text>')
    total = seconds + _END
    moves = [
        f".l{n} {{ animation: l{n} {total:.1f}s step-end infinite }} "
        f"@keyframes l{n} {{ 0% {{ visibility: hidden }} {100 * when / total:.2f}% {{ visibility: visible }} }}"
        for n, when in enumerate(at)
    ]
    colours = "\n".join(f".c{n} {{ fill: {colour} }}" for n, colour in enumerate(_COLOURS))
    width, height = round(_COLUMNS * _LETTER) + 2 * _EDGE, len(lines) * _LINE + 60
    return _FORM.format(width=width, height=height, colours=colours, motion="\n".join(moves), lines="\n".join(rows))


def _parts(text: Text) -> Iterator[str]:
    text = text.copy()
    for piece in text.divide(sorted({edge for span in text.spans for edge in (span.start, span.end)})):
        style = [span.style for span in piece.spans if not isinstance(span.style, str)]
        colour = next((each.color for each in style if each.color and each.color.type is ColorType.STANDARD), None)
        bold = ' font-weight="bold"' if any(each.bold for each in style) else ""
        attributes = (f' class="c{(colour.number or 0) % 8}"' if colour else "") + bold
        yield f"<tspan{attributes}>{escape(piece.plain)}</tspan>" if attributes else escape(piece.plain)


def words(svg: str) -> list[str]:
    """The lines of a picture, without what differs from run to run: the days that a date is made of, and seconds."""
    rows: dict[str, str] = {}
    for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):  # noqa: S314  our own
        rows[text.attrib["y"]] = rows.get(text.attrib["y"], "") + "".join(text.itertext())
    lines = [line.rstrip() for line in rows.values()]
    return [re.sub(r"on \d+ \w+ \d{4}", "on DAY", re.sub(r"\d+ s\)", "N s)", line)) for line in lines]


def main() -> None:
    """Write the picture."""
    path = Path(sys.argv[1]) if sys.argv[1:] else PICTURE
    path.write_text(draw(record()), encoding="utf-8")


if __name__ == "__main__":
    main()
