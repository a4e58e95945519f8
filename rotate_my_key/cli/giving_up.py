"""The old key that a delivery names and no place here holds, as on a new laptop: what is said of it, the yes that it
takes, and its end. It goes only once the new key is in its places."""

from __future__ import annotations

from datetime import UTC, datetime

from ..errors import Denied, NeedsPerson, NotAllowed, Problem, WrongUsage, mask
from ..model import Credentials, Look
from ..rotation.ports import Account
from ..rotation.run import Result
from ..rotation.takeover import Elsewhere, plan_elsewhere, take_over
from ..stores.delivered import Delivered
from . import show
from .app import App
from .narrator import Narrator
from .wiring import Wiring

_RIGHTS = "ask IT for: rotate-my-key policy self; then: rotate-my-key"


def check_named(named: str | None, delivered: Delivered) -> None:
    """What --give-up names must be the key that the delivery names: its id, or four or more of its last characters.
    Raises WrongUsage."""
    old = delivered.replaces
    if named is None or (old and (named == old or (len(named) >= 4 and old.endswith(named.upper())))):
        return
    what = f"replaces {mask(old)}, and no other key" if old else "replaces no key"
    raise WrongUsage(f"--give-up {named}: the delivery {what}", "rotate-my-key adopt DELIVERY")


def introduce(app: App, old: Elsewhere) -> None:
    """Which key goes, and what is known of its use."""
    key = mask(old.key.key_id)
    state = "" if old.key.active else ", which is switched off"
    app.complain(f"The old key {key}{state} is on no profile here; {show.last_used(old.use, datetime.now(UTC))}.")
    app.complain("It stops working everywhere: it is switched off and deleted.")


def ask(app: App, old: Elsewhere | None, delivered: Delivered, command: str, *, yes: bool, named: bool) -> bool:
    """The one question. A key that something has used since needs a yes that names it; `command` is for the hint.
    Raises NeedsPerson."""
    if old is None or named or not old.key.active or not old.is_in_use_since(delivered.made):
        return yes or app.confirm("Take it?", default=True, flag=f"{command} --yes")
    key = mask(old.key.key_id)
    flag = f"{command} --yes --give-up {old.key.key_id}"
    if yes or not app.terminal:
        raise NeedsPerson(f"{_in_use(old)}, and {key} would stop working there; nothing was changed", flag)
    app.complain(f"{app.style('note:', fg='yellow')} {_in_use(old)}")
    return app.confirm(f"Take it, and give up {key}?", default=False, flag=flag)


def _in_use(old: Elsewhere) -> str:
    key, use = mask(old.key.key_id), old.use
    if use is None or use.at is None:
        return f"AWS does not say whether key {key} is in use elsewhere"
    where = f"by {use.service} in {use.region} at {use.at:%Y-%m-%d %H:%M} UTC"
    return f"something else still uses the old key {key}: {where}, after IT had made the new one"


def give_up(
    app: App, wiring: Wiring, account: Account, look: Look, pair: Credentials, old: str, profile: str
) -> list[Result]:
    """Switch it off and delete it, under the lock. What goes wrong is a result: the new key is in place."""
    narrator = Narrator(app)
    try:
        plan = plan_elsewhere(pair, old, look, account, wiring.here, wiring.host, wiring.boot)
        outcome = take_over(plan, account, wiring.here, narrator, app.settings.policy, wiring.clockwork)
        return [Result((profile,), old, outcome)]
    except Problem as problem:
        return [Result((profile,), old, problem=_left(pair, old, problem))]
    finally:
        narrator.end()


def _left(pair: Credentials, old: str, problem: Problem) -> Problem:
    """What is so far, and what to type, in order."""
    problem.message = _stays(pair, old, problem.message)
    if isinstance(problem, Denied):
        problem.hint = _RIGHTS
    return problem


def _stays(pair: Credentials, old: str, why: str) -> str:
    return (
        f"key {mask(pair.key_id)} is in place, and stays the one that IT has made for now, "
        f"because the old key {mask(old)} is still there: {why}"
    )


def still_there(pair: Credentials, old: str) -> NotAllowed:
    """For a later run, which AWS has not let delete it either."""
    return NotAllowed(_stays(pair, old, "you are not allowed to delete it"), _RIGHTS)
