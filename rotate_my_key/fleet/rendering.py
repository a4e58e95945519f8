"""Values become messages through jinja2: our templates, or IT's own of the same name in a folder.

`NAME.txt.j2` is the subject and the text: its first line is `Subject: ...`. `NAME.html.j2` is the page beside it; a
message without one has text only. A template sees the values it is given and nothing else (a sandbox), HTML is escaped
by the engine, and a name that is not there is an error, not a blank. One of ours stays within reach of IT's own as
`built-in/NAME.txt.j2`, to extend or include; files that begin with `_` are for including.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.sandbox import SandboxedEnvironment

from .. import words
from ..errors import WrongUsage
from ..model import LastUse
from ..settings.reading import oversized
from ..words import number, span
from .model import Message
from .notices import one_line

OURS = os.path.join(os.path.dirname(__file__), "templates")
WIDTH = 72
LONGEST_SUBJECT = 200
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_BLANK, _TWO = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+"), "\n\n"  # what empty parts leave behind
_HINT = "the values that a template may use stand in docs/it/remind.md"


class Renderer:
    """Makes messages. `folder` holds templates of IT's own, "" for none; `now` is the time that ages are told by.

    Raises WrongUsage for a folder that is not there, and for a file in it that overrides nothing.
    """

    def __init__(self, folder: str, now: datetime) -> None:
        check_folder(folder)
        ours = FileSystemLoader(OURS)
        own: list[BaseLoader] = [FileSystemLoader(folder)] if folder else []
        loader = ChoiceLoader([*own, PrefixLoader({"built-in": ours}), ours])
        self.now = now
        self._folder = folder
        self._templates = SandboxedEnvironment(
            loader=loader,
            autoescape=lambda name: bool(name) and name.endswith(".html.j2"),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(_filters(now))

    def message(self, name: str, values: Mapping[str, Any], to: str = "") -> Message:
        """The message that the templates of this name make. Raises WrongUsage naming template and line."""
        head, _, text = self._render(f"{name}.txt.j2", values).partition("\n")
        word, _, subject = head.partition(":")
        subject = one_line(subject)
        if word.strip().lower() != "subject" or not subject:
            raise WrongUsage(f"{self._shown(f'{name}.txt.j2')}, line 1: the first line is not `Subject: ...`", _HINT)
        html = self._render(f"{name}.html.j2", values) if self._exists(f"{name}.html.j2") else ""
        return Message(subject[:LONGEST_SUBJECT], f"{_BLANK.sub(_TWO, text).strip()}\n", html, to)

    def _exists(self, file: str) -> bool:
        return any(os.path.exists(os.path.join(folder, file)) for folder in (self._folder, OURS) if folder)

    def _render(self, file: str, values: Mapping[str, Any]) -> str:
        """A template is somebody's program: whatever it raises is a line for him."""
        try:
            return self._templates.get_template(file).render(values)
        except Exception as error:  # noqa: BLE001
            what = self._where(error, file)
        raise WrongUsage(what, _HINT)

    def _where(self, error: Exception, file: str) -> str:
        """File, line and what is wrong. jinja2 puts the template's own lines into the traceback."""
        if isinstance(error, TemplateSyntaxError):
            return f"{self._shown(error.name or file)}, line {error.lineno}: {one_line(error.message or 'no template')}"
        if isinstance(error, TemplateNotFound):
            return f"{self._shown(file)}: there is no template {one_line(str(error.message))}"
        line, trace = 0, error.__traceback__
        while trace:
            if trace.tb_frame.f_code.co_filename.endswith(".j2"):
                file, line = os.path.basename(trace.tb_frame.f_code.co_filename), trace.tb_lineno
            trace = trace.tb_next
        what = one_line(str(error)) or type(error).__name__
        return f"{self._shown(file)}, line {line}: {what}" if line else f"{self._shown(file)}: {what}"

    def _shown(self, file: str) -> str:
        """IT's file with its folder, one of ours by its name."""
        own = os.path.join(self._folder, file)
        return own if self._folder and os.path.exists(own) else f"template {file}"


def check_folder(folder: str) -> None:
    """Raises WrongUsage for a folder that cannot be used; "" is none."""
    if not folder:
        return
    try:
        found = sorted(os.listdir(folder))
        strange = [
            (file, why) for file in found if file.endswith(".j2") and (why := oversized(os.path.join(folder, file)))
        ]
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise WrongUsage(
            f"the folder of templates {folder} cannot be used: {reason}", "set templates in [remind]"
        ) from None
    for file, why in strange:
        raise WrongUsage(f"{os.path.join(folder, file)} is {why}", "write the template into a file of its own")
    names = sorted(file for file in os.listdir(OURS) if file.endswith(".j2"))
    odd = [file for file in found if file.endswith(".j2") and not file.startswith("_") and file not in names]
    if odd:
        raise WrongUsage(f"{os.path.join(folder, odd[0])} overrides no template", f"there are {', '.join(names)}")


# What templates say values with


def _filters(now: datetime) -> dict[str, Callable[..., str]]:
    return {
        "day": day,
        "span": span,
        "used": partial(used, now=now),
        "wrapped": wrapped,
        "number": number,
        "one_line": one_line,
    }


def day(moment: datetime) -> str:
    """`4 February 2026`, in UTC and in English whatever the locale."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def used(use: LastUse | None, now: datetime) -> str:
    """`last used 3 hours ago (s3, eu-west-1)`. AWS's record lags: absent means never, or not known."""
    return words.used(use.at, use.service, use.region, now) if use else "last use not known"


def wrapped(text: str, indent: str = "", width: int = WIDTH) -> str:
    """Lines of at most 72 columns, each beginning with `indent`; a word that is longer (a link) is left whole."""
    return textwrap.fill(
        one_line(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
