"""What `adopt` took before. What it was stopped over is finished by the next run of `rotate`: all of it was agreed to
then. What was replaced since is not taken again.

The order is that of `adopt`: the key into its places, the old one given up, what was delivered removed, then the key
replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import Denied, Problem, mask
from ..model import Credentials
from ..profiles.file import sections
from ..rotation.prepare import first_look
from ..rotation.run import Result
from ..rotation.takeover import elsewhere
from ..stores.handed import Mark
from . import show
from .app import App
from .delivery import Delivery
from .giving_up import give_up, still_there
from .rotating import Rotate, exit_code
from .wiring import Wiring

RotateOne = Callable[[str], list[Result]]  # replaces the key of that profile, and tells what came of it


def finish_taken(
    app: App, wiring: Wiring, settled: Sequence[Result], rotate_one: RotateOne, tell: Callable[[Result], None]
) -> list[Result]:
    """For each key that is marked and that a place here holds; gives what came of them, and has told it. `settled` is
    what came of what earlier runs had begun."""
    results: list[Result] = []
    for pair, profile in wiring.handed_held():
        mark = wiring.handed.read(pair.key_id)
        if mark.replaces and mark.replaces in wiring.here.notes.names():  # it could not be settled
            told = next((each.problem for each in settled if each.problem and each.key_id == mark.replaces), None)
            results.append(Result((profile,), pair.key_id, problem=told or still_there(pair, mark.replaces)))
            if not told:
                tell(results[-1])
            continue
        done = _given_up(app, wiring, pair, profile, mark)
        for result in done:
            if result.problem:
                tell(result)
        results += done
        if mark.delivery:
            Delivery(app, wiring, mark.delivery, profile, mark.signer).remove_left(pair.key_id, profile)
            wiring.handed.mark(pair.key_id, replace(mark, delivery="", signer=""))
        if not any(result.problem for result in done):
            results += rotate_one(profile)
    wiring.forget_handed()
    return results


def _given_up(app: App, wiring: Wiring, pair: Credentials, profile: str, mark: Mark) -> list[Result]:
    """The old key that the delivery named, if it is still there; what was begun has been settled before."""
    if not mark.replaces:
        return []
    account = wiring.account(profile)
    try:
        with wiring.stop.on_interrupt(), wiring.lock(), app.waiting("asking AWS"):
            look = first_look(pair, account, wiring.here, wiring.clockwork.pause)
            if not elsewhere(mark.replaces, look, account, wiring.here):
                return []
            return give_up(app, wiring, account, look, pair, mark.replaces, profile)
    except Denied:
        return []  # who may not even list his keys is told so by the rotation
    except Problem as problem:
        return [Result((profile,), pair.key_id, problem=problem)]


def was_replaced(wiring: Wiring, key_id: str) -> bool:
    """Whether an earlier run here has replaced this key, and deleted it."""
    return any(past.new and key_id in past.deleted for past in wiring.history.entries())


def say_replaced(
    app: App, rotate: Rotate, key_id: str, profile: str, settled: Sequence[Result], *, as_json: bool
) -> int:
    """There is nothing to take; gives the exit code. `settled` is what came of what earlier runs had begun.

    Raises Problem if the profile holds no key, or one that AWS refuses.
    """
    wiring, said = Wiring.of(app), "was taken here already, and replaced"
    facts = sections(wiring.files, wiring.keyring.pair)
    pair = next((fact.pair for fact in facts if fact.profile == profile and fact.pair), None)
    if pair is None:
        raise Problem(f"key {mask(key_id)} {said}; profile {profile} holds no key", "rotate-my-key status")
    with app.waiting("asking AWS"):
        wiring.account(profile).look([pair])
    wiring.forget_handed()
    told = rotate.after.run()
    if as_json:
        keys = [show.result_json(result, app.settings.policy) for result in settled]
        app.json({"keys": keys, "after_rotate": [each.json() for each in told]})
    else:
        app.out(f"Nothing to do: key {mask(key_id)} {said}; profile {profile} holds {mask(pair.key_id)}, which works.")
    return exit_code([*settled, *(each.result() for each in told)])
