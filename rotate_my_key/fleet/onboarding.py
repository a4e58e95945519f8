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

from ..core.policy import exact
from ..settings import Settings

# A tag of HTML (h1, h2, p, ul, pre) and its lines. What `code` has marked is something to type.
Part = tuple[str, Sequence[str]]
_MARK = "\0"  # no setting and no argument can hold one

# CommonMark: any ASCII punctuation may have a backslash before it.
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+!|~&^$@-])")
_BEGINS = {"h1": "# ", "h2": "## ", "ul": "- "}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44em;margin:2em auto;padding:0 1em;color:#222}"
    "pre{background:#f4f4f4;padding:.8em 1em;overflow-x:auto}code{background:#f4f4f4}pre code{background:none}"
)


def code(text: str) -> str:
    """Something to type, within a line."""
    return f"{_MARK}{text}{_MARK}"


def markdown(parts: Sequence[Part]) -> str:
    """The page as Markdown."""
    return "\n\n".join(_markdown(*part) for part in parts) + "\n"


def _markdown(tag: str, lines: Sequence[str]) -> str:
    if tag == "pre":
        return "\n".join(f"    {line}" for line in lines)
    return "\n".join(f"{_BEGINS.get(tag, '')}{_line(line, _span, _escaped)}" for line in lines)


def _line(line: str, code: Callable[[str], str], text: Callable[[str], str]) -> str:
    return "".join(code(part) if number % 2 else text(part) for number, part in enumerate(line.split(_MARK)))


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
    """The page as one HTML file that needs nothing else; the first part is its title."""
    body = "\n".join(_html(*part) for part in parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{html.escape(parts[0][1][0])}</title>\n'
        f"<style>{_STYLE}</style>\n{body}\n</html>\n"
    )


def _html(tag: str, lines: Sequence[str]) -> str:
    said = [_line(line, _tagged, html.escape) for line in lines]
    if tag == "ul":
        said = ["\n", *(f"<li>{line}</li>\n" for line in said)]
    inner = _tagged("\n".join(lines)) if tag == "pre" else "".join(said)
    return f"<{tag}>{inner}</{tag}>"


def _tagged(text: str) -> str:
    return f"<code>{html.escape(text)}</code>"


def onboarding(settings: Settings, install: str, reminders: Sequence[str]) -> list[Part]:
    """The whole page. `install` is what people type to install; `reminders` are the reminder's own lines for a key that
    is due and for one that is overdue."""
    return [*_beginning(settings, install), *_rotating(settings), *_ending(settings, reminders)]


def _beginning(facts: Settings, install: str) -> list[Part]:
    due = max(facts.max_age - facts.remind_before, timedelta(0))
    works = f"The old key keeps working for {exact(facts.overlap)}" if facts.overlap else ""
    off = f"is kept inactive for {exact(facts.keep_old)} before it is deleted" if facts.keep_old else ""
    kept = "The old key is deleted as soon as the new one works."
    if works or off:
        kept = f"{works}, then it {off or 'is deleted'}." if works else f"The old key {off}."
    version = code("rotate-my-key --version")
    needed = f"You need version {facts.minimum_version} or newer: {version}"
    ask = f"ask {facts.contact or 'your AWS administrators'} for it."
    rotates = (
        "An access key that is never replaced ends up in the wrong hands one day. We replace ours before they are "
        f"{exact(facts.max_age)} old. {code('rotate-my-key')} does this for you in half a minute: it creates a new "
        "key, verifies that it works, stores it in place of the old one, and only then deactivates and deletes the old "
        "key. If it is interrupted, your key keeps working, and the next run finishes the rotation."
    )
    reminded = f"You are reminded once your key is {exact(due)} old." if due else "Every key is due at once."
    return [
        ("h1", ["Your AWS access key"]),
        ("p", [rotates]),
        ("ul", [reminded, f"After {exact(facts.max_age)} a key is overdue.", kept]),
        ("h2", ["Install it"]),
        ("pre", [install])
        if install
        else ("p", [f"It may be on your computer already: {version} shows its version. If that is not found, {ask}"]),
        *([("p", [needed])] if facts.minimum_version else []),
    ]


def _rotating(facts: Settings) -> list[Part]:
    auth, named = facts.auth_profile, shlex.quote(facts.auth_profile or "NAME")
    signs = f"Here, the profile {code(auth)} signs the calls, so sign in with it first."
    adopted = (
        "This sets up your profile and replaces the key at once, so anyone who has seen the key cannot use it. Delete "
        "the file afterwards."
    )
    asks = (
        "It shows whose key it is, how old it is and what used it last, and asks once. If the key is not due, it says "
        "when it will be. Only this computer is updated, so if you use the key elsewhere too, tell us first. "
        f"{code('rotate-my-key status')} shows every key on this computer."
    )
    mfa = (
        "Enter the six digits from your MFA device, once per rotation. Security keys and passkeys do not show codes. "
        "In that case, sign in another way and name that profile: "
        f"{code(f'rotate-my-key rotate --auth-profile {named}')}"
    )
    return [
        ("h2", ["If you were given a key"]),
        ("p", ["Add it with the file you received. Without a file, you are asked for the key:"]),
        ("pre", ["rotate-my-key adopt accessKeys.csv"]),
        ("p", [adopted]),
        ("h2", ["Replace your key"]),
        ("pre", ["rotate-my-key"]),
        ("p", [asks]),
        ("h2", ["If it asks for a code"]),
        ("p", [mfa]),
        *([("p", [signs])] if auth else []),
    ]


def _ending(facts: Settings, reminders: Sequence[str]) -> list[Part]:
    snooze = f"To snooze it for a while: {code('rotate-my-key reminder snooze 3d')}"
    leaked = f"Do it now, then tell {facts.contact or 'us'}. Nobody gets into trouble for reporting a leak."
    wrong = (
        f"{code('rotate-my-key doctor')} finds problems and shows how to fix them. Your settings: "
        f"{code('rotate-my-key config show')}{f'. Anything else: {facts.contact}' if facts.contact else '.'}"
    )
    return [
        ("h2", ["Be reminded"]),
        ("pre", ["rotate-my-key reminder install"]),
        ("p", ["You see one line a day in a new terminal, and only if a key is due. It looks like this:"]),
        ("pre", reminders),
        *([("p", [snooze])] if facts.snooze else []),
        ("p", ["Or rotate automatically every day, if only this computer uses the key:"]),
        ("pre", ["rotate-my-key schedule install"]),
        ("h2", ["If a key may have leaked"]),
        ("pre", ["rotate-my-key rotate --force --keep-old 0 --overlap 0"]),
        ("p", [leaked]),
        ("h2", ["If something is wrong"]),
        ("p", [wrong]),
    ]
