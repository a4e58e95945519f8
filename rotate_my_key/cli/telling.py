"""What one call of `rotate` says of each key: the result, the problem, the steps of a dry run, and all as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from ..rotation.outcome import Ending
from ..rotation.prepare import Prospect
from ..rotation.run import Result
from ..words import join
from . import show
from .app import App
from .copies import OtherCopies, foreseen


class Teller:
    """`out` takes results; with `several` keys each line says which it is about; `foreign` names endpoints that are
    not AWS's own."""

    def __init__(
        self,
        app: App,
        out: Callable[[str], None],
        copies: OtherCopies,
        foreign: Callable[[Prospect], Sequence[str]],
        *,
        several: bool,
    ) -> None:
        self._app = app
        self._out = out
        self._settings = app.settings
        self._copies = copies
        self._foreign = foreign
        self._several = several

    def tell(self, result: Result) -> None:
        """What came of one key."""
        if result.problem:
            return self.problem(result)
        earlier = result.prospect is None and result.outcome and result.outcome.ending is not Ending.REPLACED
        now = datetime.now(UTC)
        if earlier:
            text = show.settled_line(result)
            return self._app.say(text) if text else None
        text = show.result_line(result, self._settings.policy, now)
        if text.startswith("Done"):
            text = self._app.style("Done", fg="green", bold=True) + text.removeprefix("Done")
        return self._out(f"{self._prefix(result)}{text}")

    def problem(self, result: Result) -> None:
        """What is wrong with one key, and what to type; nothing if nothing is."""
        if not result.problem:
            return
        error = self._app.style("error:", fg="red", bold=True)
        self._app.complain(f"{error} {self._prefix(result)}{result.problem.message}")
        if result.problem.hint:
            self._app.complain(f"{self._app.style('hint:', bold=True)} {result.problem.hint}")

    def dry(self, result: Result, prospect: Prospect) -> None:
        """The steps that would be taken."""
        for line in show.header(prospect, self._settings.policy, self._foreign(prospect)):
            self._app.say(line)
        steps = result.outcome.steps if result.outcome else ()
        lines = show.foreseen(steps, prospect, self._app.show_path)
        for line in ["It would:", *(f"  {line}" for line in lines)] if lines else ["Nothing to do."]:
            self._out(line)
        copies = self._copies
        for line in foreseen(copies.found(result.key_id), self._app.show_path, wanted=copies.wanted):
            self._out(line)

    def json(self, results: Sequence[Result]) -> dict[str, Any]:
        """What came of the keys, and of other files that hold them."""
        copies = self._copies
        keys = [
            {**show.result_json(result, self._settings.policy), "copies": copies.json(result.key_id)}
            for result in results
        ]
        return {"keys": keys, "update_copies": copies.wanted}

    def _prefix(self, result: Result) -> str:
        return f"{join(result.profiles)}: " if self._several and result.profiles else ""
