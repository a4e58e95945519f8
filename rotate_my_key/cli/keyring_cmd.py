"""`keyring store` and `keyring restore`: a profile's pair from its file into the system's keyring, and back."""

from __future__ import annotations

from ..core.errors import Problem
from ..core.hints import Hint
from ..core.model import PlaceKind
from ..core.policy import mask
from ..keyring.store import Move
from ..rotation.prepare import RotateOptions
from ..rotation.run import Result, Run
from ..rotation.unfinished import unfinished
from . import show
from .app import App
from .talk import Narrator, TerminalConsent
from .wiring import Wiring

_THE = {"keyring": "the keyring", "file": "its file"}


def store(app: App, *, profile: str | None, yes: bool, as_json: bool) -> int:
    """Move a profile's pair into the keyring."""
    return _Move(app, Move.STORE, as_json).run(profile, yes)


def restore(app: App, *, profile: str | None, yes: bool, as_json: bool) -> int:
    """Move a profile's pair from the keyring back into its file."""
    return _Move(app, Move.RESTORE, as_json).run(profile, yes)


class _Move:
    """One call of either command."""

    def __init__(self, app: App, move: Move, as_json: bool) -> None:
        self._app, self._move = app, move
        self._json = as_json
        self._wiring = Wiring.of(app)

    def run(self, named: str | None, yes: bool) -> int:
        """Finish what was begun, ask, move, tell."""
        app, wiring = self._app, self._wiring
        broken = self._finish_first()
        active = wiring.active(named)
        profile = active.place.profile
        if active.profile != active.holder:
            raise Problem(
                f"profile {active.profile} has no key of its own: it uses the key of {active.holder}",
                Hint("keyring", self._move.value, "-p", active.holder),
            )
        if (active.place.kind is PlaceKind.KEYRING) is (self._move is Move.STORE):
            return self._tell(profile, active.pair.key_id, "none")
        for result in broken:
            if result.problem and (profile in result.profiles or result.key_id == active.pair.key_id):
                raise result.problem
        if self._move is Move.STORE:
            wiring.keyring.pair(profile)  # where there is no keyring, nobody is asked
        self._introduce(profile, active.pair.key_id, show.where(active.place, app.show_path))
        if not yes and not app.confirm("Move it now?", default=True):
            return self._tell(profile, active.pair.key_id, "declined")
        with wiring.stop.on_interrupt(), wiring.lock():
            moving = wiring.moving()
            moving.store(profile) if self._move is Move.STORE else moving.restore(profile)
        return self._tell(profile, active.pair.key_id, "moved")

    def _finish_first(self) -> list[Result]:
        """Rotations and moves of earlier runs; those that cannot be finished block only their own profile."""
        app, wiring = self._app, self._wiring
        broken = wiring.finish_moves()
        if unfinished(wiring.here, mend=False):
            policy = app.settings.policy
            consent = TerminalConsent(
                app,
                policy,
                yes=True,
                replace_inactive=False,
                foreign=lambda _: (),
                copies=self._wiring.copies,
                others=lambda _: None,
                looked=lambda _: None,
            )
            run = Run(
                wiring.here,
                RotateOptions(policy),
                consent,
                wiring.lock,
                wiring.account_for,
                lambda note: Narrator(app, note.places[0].profile if note.places else ""),
                wiring.waiter,
            )
            with wiring.stop.on_interrupt():
                for result in run.settle():
                    if result.outcome and (text := show.settled_line(result)):
                        app.say(text)
                    broken += [result] if result.problem else []
        for result in broken:
            if result.problem:
                wiring.warn(result.problem.message)
        return broken

    def _introduce(self, profile: str, key_id: str, where: str) -> None:
        to = "into the keyring" if self._move is Move.STORE else "back into its file"
        self._app.say(f"{profile}, key {mask(key_id)}, in {where}: it will be moved {to}.")
        if self._move is Move.STORE:
            self._app.say(
                "It works wherever this keyring is unlocked: not in cron or over SSH while you are logged out. "
                "Programs that you start from now on get each new key without a restart."
            )

    def _tell(self, profile: str, key_id: str, action: str) -> int:
        there, here = ("keyring", "file") if self._move is Move.STORE else ("file", "keyring")
        sentences = {
            "moved": f"Done. The key of {profile} is now in {_THE[there]}.",
            "none": f"Nothing to do: the key of {profile} is already in {_THE[there]}.",
            "declined": show.CANCELLED,
        }
        if self._json:
            place = here if action == "declined" else there
            self._app.json({"profile": profile, "key_id": key_id, "place": place, "action": action})
        else:
            self._app.out(sentences[action])
        return 4 if action == "declined" else 0
