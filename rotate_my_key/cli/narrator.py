"""Tells what a rotation does, as it does it: a line a step, and a spinner while AWS is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

from ..errors import mask
from ..plan import Note, Step
from ..rotation.ports import Did
from . import show
from .app import App


class Narrator:
    """One key's progress. `prefix` tells keys apart where several are rotated side by side; `changing` is called before
    places are changed."""

    def __init__(
        self, app: App, prefix: str = "", *, changing: Callable[[Note], None] | None = None, spin: bool = True
    ) -> None:
        self._app = app
        self._prefix = f"{prefix}: " if prefix else "  "
        self._spin = spin
        self._changing = changing
        self._spinner = ExitStack()
        self._switched_off = ""
        self._made = ""
        self._lock = threading.Lock()

    def doing(self, step: Step, note: Note | None) -> None:
        """A step begins."""
        self._spinner.close()
        self._app.detail(f"{self._prefix}({step.value})", 2)
        if step is Step.SWITCH and note is not None and self._changing:
            self._changing(note)
        text = show.doing(step)
        if self._spin and text:
            self._spinner.enter_context(self._app.waiting(text))

    def did(self, did: Did) -> None:
        """A step went well; `switched off` and `deleted` of the same key make one line."""
        with self._lock:
            self._spinner.close()
            if did.step is Step.DEACTIVATE:
                self._switched_off = did.key_id
                return
            if did.step is Step.DELETE and did.key_id == self._switched_off:
                self._say(f"{show.did_line(Did(Step.DEACTIVATE, did.key_id), self._app.show_path)}, deleted")
                self._switched_off = ""
                return
            text = show.did_line(did, self._app.show_path)
            if did.step is Step.PROVE and did.key_id == self._made:
                text = text.replace(f"key {mask(did.key_id)}", "it")
            if did.step is Step.CREATE:
                self._made = did.key_id
            self._say(text)

    def warn(self, text: str) -> None:
        """Something that stops nothing."""
        self._spinner.close()
        self._app.say(f"{self._prefix}{self._app.style('note:', fg='yellow')} {text}")

    def end(self) -> None:
        """No more steps: stop the spinner, say what was held back."""
        self._spinner.close()
        if self._switched_off:
            self._say(show.did_line(Did(Step.DEACTIVATE, self._switched_off), self._app.show_path))
            self._switched_off = ""

    def _say(self, text: str) -> None:
        self._app.say(f"{self._prefix}{text}")
