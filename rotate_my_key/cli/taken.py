"""What `adopt` took and was stopped over, finished by the next run of `rotate`: all of it was agreed to then.

The order is that of `adopt`: the key into its places, the old one given up, what was delivered removed, then the key
replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import Denied, Problem
from ..model import Credentials
from ..rotation.prepare import first_look
from ..rotation.run import Result
from ..rotation.takeover import elsewhere
from ..stores.handed import Mark
from .app import App
from .delivery import Delivery
from .giving_up import give_up, still_there
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
