"""A page of text, as values, and its two forms: Markdown and HTML. Pure.

Text is always text: whatever a value holds, it cannot become markup in either form.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import NamedTuple


class Code(NamedTuple):
    """Something to type, within a line."""

    text: str


Words = Sequence[str | Code]


class Heading(NamedTuple):
    """`level` 1 is the page's own."""

    level: int
    text: str


class Paragraph(NamedTuple):
    """A paragraph."""

    words: Words


class Points(NamedTuple):
    """A list."""

    points: Sequence[Words]


class Block(NamedTuple):
    """Lines as they stand in a terminal."""

    lines: Sequence[str]


Part = Heading | Paragraph | Points | Block

# CommonMark: any ASCII punctuation may have a backslash before it.
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+!|~&^$@-])")
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44em;margin:2em auto;padding:0 1em;color:#222}"
    "pre{background:#f4f4f4;padding:.8em 1em;overflow-x:auto}code{background:#f4f4f4}pre code{background:none}"
)


def markdown(parts: Sequence[Part]) -> str:
    """The page as Markdown."""
    return "\n\n".join(map(_markdown, parts)) + "\n"


def _markdown(part: Part) -> str:
    match part:
        case Heading(level, text):
            return f"{'#' * level} {_escaped(text)}"
        case Paragraph(words):
            return _line(words)
        case Points(points):
            return "\n".join(f"- {_line(words)}" for words in points)
        case Block(lines):
            return "\n".join(f"    {line}" for line in lines)


def _line(words: Words) -> str:
    return "".join(_span(word.text) if isinstance(word, Code) else _escaped(word) for word in words)


def _span(text: str) -> str:
    """A code span: its fence is longer than any row of backticks in it."""
    fence = "`" * (max((len(row) for row in re.findall("`+", text)), default=0) + 1)
    room = " " if "`" in text else ""
    return f"{fence}{room}{text}{room}{fence}"


def _escaped(text: str) -> str:
    """Only where it would mean something: a dash or a number at the start of a line, and the signs of inline markup."""
    escaped = _MARKUP.sub(r"\\\1", text)
    escaped = re.sub(r"(?<=\w)\\([-()+!@&$^])(?=\w)", r"\1", escaped)  # rotate-my-key, it@example.com
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", escaped)


def page(parts: Sequence[Part]) -> str:
    """The page as one HTML file that needs nothing else."""
    title = next((part.text for part in parts if isinstance(part, Heading)), "")
    body = "\n".join(map(_html, parts))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n{body}\n</html>\n"
    )


def _html(part: Part) -> str:
    match part:
        case Heading(level, text):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(words):
            return f"<p>{_inline(words)}</p>"
        case Points(points):
            return "<ul>\n" + "\n".join(f"<li>{_inline(words)}</li>" for words in points) + "\n</ul>"
        case Block(lines):
            return f"<pre><code>{html.escape(chr(10).join(lines))}</code></pre>"


def _inline(words: Words) -> str:
    shown = (f"<code>{html.escape(w.text)}</code>" if isinstance(w, Code) else html.escape(w) for w in words)
    return "".join(shown)
