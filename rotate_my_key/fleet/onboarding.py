"""The page that IT gives to people: what happens to their access keys, and the few things to type. Pure.

It is made from the settings in force, so that it cannot promise another limit than the program keeps; as Markdown or
HTML. Text is always text: whatever a value holds, it cannot become markup in either form.
"""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from ..core.policy import format_duration


class Code(NamedTuple):
    """Something to type, within a line."""

    text: str


Words = Sequence[str | Code]


class Heading(NamedTuple):
    """`level` 1 is the page's own."""

    level: int
    text: str


class Paragraph(NamedTuple):
    """Words that are read one after the other."""

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
            return _line(words, _span, _escaped)
        case Points(points):
            return "\n".join(f"- {_line(words, _span, _escaped)}" for words in points)
        case Block(lines):
            return "\n".join(f"    {line}" for line in lines)


def _line(words: Words, code: Callable[[str], str], text: Callable[[str], str]) -> str:
    return "".join(code(word.text) if isinstance(word, Code) else text(word) for word in words)


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
            return f"<p>{_line(words, _tagged, html.escape)}</p>"
        case Points(points):
            rows = "\n".join(f"<li>{_line(words, _tagged, html.escape)}</li>" for words in points)
            return f"<ul>\n{rows}\n</ul>"
        case Block(lines):
            return f"<pre>{_tagged(chr(10).join(lines))}</pre>"


def _tagged(text: str) -> str:
    return f"<code>{html.escape(text)}</code>"


class CompanyFacts(NamedTuple):
    """What is particular to a company. `install` is what people type to install; `reminders` are the reminder's own
    lines for a key that is due and for one that is overdue. Empty texts are not known."""

    max_age: timedelta
    remind_before: timedelta
    overlap: timedelta
    keep_old: timedelta
    snooze: bool
    contact: str
    minimum_version: str
    auth_profile: str
    install: str
    reminders: Sequence[str]


def onboarding(facts: CompanyFacts) -> list[Part]:
    """The whole page."""
    return [*_beginning(facts), *_rotating(facts), *_remembering(facts), *_helping(facts)]


def length(duration: timedelta) -> str:
    """A duration in words: `90 days`, `36 hours`."""
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count, rest = divmod(int(duration.total_seconds()), size)
        if count and not rest:
            return f"{count} {name}{'' if count == 1 else 's'}"
    return format_duration(duration)


def _text(*words: str | Code) -> Paragraph:
    return Paragraph(words)


def _beginning(facts: CompanyFacts) -> list[Part]:
    due = max(facts.max_age - facts.remind_before, timedelta(0))
    works = f"The old key keeps working for {length(facts.overlap)}" if facts.overlap else ""
    off = f"is kept inactive for {length(facts.keep_old)} before it is deleted" if facts.keep_old else ""
    kept = "The old key is deleted as soon as the new one works."
    if works or off:
        kept = f"{works}, then it {off or 'is deleted'}." if works else f"The old key {off}."
    needed = f"You need version {facts.minimum_version} or newer: "
    return [
        Heading(1, "Your AWS access key"),
        _text(
            "An access key that is never replaced ends up in the wrong hands one day. We replace ours before they are "
            f"{length(facts.max_age)} old. ",
            Code("rotate-my-key"),
            " does this for you in half a minute: it creates a new key, verifies that it works, stores it in place of "
            "the old one, and only then deactivates and deletes the old key. If it is interrupted, your key keeps "
            "working, and the next run finishes the rotation.",
        ),
        Points(
            [
                [f"You are reminded once your key is {length(due)} old." if due else "Every key is due at once."],
                [f"After {length(facts.max_age)} a key is overdue."],
                [kept],
            ]
        ),
        Heading(2, "Install it"),
        Block([facts.install]),
        *([_text(needed, Code("rotate-my-key --version"))] if facts.minimum_version else []),
    ]


def _rotating(facts: CompanyFacts) -> list[Part]:
    auth = facts.auth_profile
    signs = _text("Here, the profile ", Code(auth), " signs the calls, so sign in with it first.")
    return [
        Heading(2, "If you were given a key"),
        _text("Add it with the file you received. Without a file, you are asked for the key:"),
        Block(["rotate-my-key adopt accessKeys.csv"]),
        _text(
            "This sets up your profile and replaces the key at once, so anyone who has seen the key cannot use it. "
            "Delete the file afterwards."
        ),
        Heading(2, "Replace your key"),
        Block(["rotate-my-key"]),
        _text(
            "It shows whose key it is, how old it is and what used it last, and asks once. If the key is not due, it "
            "says when it will be. Only this computer is updated, so if you use the key elsewhere too, tell us first. ",
            Code("rotate-my-key status"),
            " shows every key on this computer.",
        ),
        Heading(2, "If it asks for a code"),
        _text(
            "Enter the six digits from your MFA device, once per rotation. ",
            "Security keys and passkeys do not show codes. In that case, sign in another way and name that profile: ",
            Code(f"rotate-my-key rotate --auth-profile {shlex.quote(auth or 'NAME')}"),
        ),
        *([signs] if auth else []),
    ]


def _remembering(facts: CompanyFacts) -> list[Part]:
    return [
        Heading(2, "Be reminded"),
        Block(["rotate-my-key reminder install"]),
        _text("You see one line a day in a new terminal, and only if a key is due. It looks like this:"),
        Block(facts.reminders),
        *([_text("To snooze it for a while: ", Code("rotate-my-key reminder snooze 3d"))] if facts.snooze else []),
        _text("Or rotate automatically every day, if only this computer uses the key:"),
        Block(["rotate-my-key schedule install"]),
    ]


def _helping(facts: CompanyFacts) -> list[Part]:
    return [
        Heading(2, "If a key may have leaked"),
        Block(["rotate-my-key rotate --force --keep-old 0 --overlap 0"]),
        _text(f"Do it now, then tell {facts.contact or 'us'}. Nobody gets into trouble for reporting a leak."),
        Heading(2, "If something is wrong"),
        _text(
            Code("rotate-my-key doctor"),
            " finds problems and shows how to fix them. Your settings: ",
            Code("rotate-my-key config show"),
            f". Anything else: {facts.contact}" if facts.contact else ".",
        ),
    ]
