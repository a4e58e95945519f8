"""`import`: take a key that `export` sealed on another computer. It is proven and stored, never rotated.

Only one thing is changed, by one replace a file, the asked profile's own file last: a run that is killed is repeated,
and there is nothing to remember in between."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from ..core.errors import KeyRefused, NeedsPerson, Problem
from ..core.hints import Again, Hint
from ..core.model import Place
from ..core.policy import Past, mask
from ..files import age
from ..files.regular import read_regular
from ..profiles.which import named_profile
from ..rotation.incoming import (
    Incoming,
    Origin,
    Placement,
    Way,
    check_unfinished,
    plan_incoming,
    prove_export,
    put,
)
from ..rotation.unfinished import unfinished
from ..state.transit import Exported, read_export
from . import reminder, show
from .app import App
from .handover import holds
from .rotate import Rotate
from .wiring import Wiring

_MOST = 1 << 16  # bytes; an export has about 700


def run(app: App, *, file: str | None, profile: str | None, identity: str | None, as_json: bool) -> int:
    """Take a key that rotate-my-key export sealed on another computer."""
    exported = _open(app, file, identity)
    name = profile or named_profile(app.env)[0]
    Rotate.of(app, name).settle()
    wiring = Wiring.of(app)
    with wiring.stop.on_interrupt(), wiring.lock():
        plan, places = _store(app, wiring, exported, name)
    reminder.refresh(app)
    _tell(app, plan, places, as_json=as_json)
    return 0


def _store(app: App, wiring: Wiring, exported: Exported, profile: str) -> tuple[Placement, list[Place]]:
    key = Incoming(Origin.EXPORT, exported.pair, exported.identity, profile)
    pairs, others, account = holds(wiring, profile)
    with app.waiting("checking your keys..."):
        try:
            prove_export(key.pair, key.identity, account, wiring.waiter.pause)
        except KeyRefused as problem:
            raise _of_another_region(problem, exported, app) from None
        plan = plan_incoming(key, pairs, others, account)
    check_unfinished(unfinished(wiring.here, mend=True), key.pair, plan.old)
    places = put(plan, app.paths.credentials, wiring.here, wiring.warn)
    wiring.handed.clear(key.pair.key_id)
    if plan.way is not Way.THERE:
        # A line of the history; that it cannot be written stops nothing
        who, new, old = plan.key.identity, plan.key.pair.key_id, plan.old.key_id if plan.old else ""
        where = tuple(sorted(f"{place.path} [{place.profile}]" for place in places))
        with suppress(Problem):
            wiring.history.add(Past(datetime.now(UTC), "imported", who.account, who.arn, old, new, (), where))
    return plan, places


def _of_another_region(problem: KeyRefused, exported: Exported, app: App) -> KeyRefused:
    """China's and GovCloud's keys are known in their own regions only, and a new profile names none."""
    region = exported.region
    if exported.identity.partition == "aws" or not region or app.env.get("AWS_DEFAULT_REGION"):
        return problem
    return KeyRefused(problem.message, f"AWS_DEFAULT_REGION={region} rotate-my-key import FILE")


def _tell(app: App, plan: Placement, places: Sequence[Place], *, as_json: bool) -> None:
    who, key_id = plan.key.identity, plan.key.pair.key_id
    if as_json:
        app.json(
            {
                "profile": plan.key.profile,
                "key_id": key_id,
                "replaced": plan.old.key_id if plan.old else None,
                "account": who.account,
                "arn": who.arn,
                "places": [place.json() for place in places],
            }
        )
        return
    app.say(f"{who.user} in {who.account}, key {mask(key_id)} works")
    if plan.way is Way.THERE:
        app.out(f"Nothing to do: profile {plan.key.profile} already has it.")
        return
    for path in dict.fromkeys(show.where(place, app.show_path) for place in places):
        names = show.names(place for place in places if show.where(place, app.show_path) == path)
        app.say(f"  {path}: {'added' if plan.way is Way.ADD else 'updated'} {names}")
    app.out("Done. You can delete the export.")


# Opening it


def _open(app: App, file: str | None, identity: str | None) -> Exported:
    key = _read(identity, "") if identity else b""
    sealed = _pasted(app) if file is None and app.terminal else _read(file or "-", Hint("import", "-"))
    try:
        if not age.with_passphrase(sealed):
            if not key:
                raise Problem("it was encrypted for an age recipient", Hint("import", "FILE", "-i", "IDENTITY_FILE"))
            return read_export(age.unseal(sealed, identities=key))
        if not app.terminal:
            raise NeedsPerson(
                "not running in a terminal, so the passphrase cannot be asked for",
                Hint("import", "FILE", lead="in a terminal"),
            )
        return read_export(age.unseal(sealed, passphrase=app.ask("Passphrase (hidden)", hide_input=True)))
    except age.WrongPassphrase as problem:
        raise Problem(problem.message, Again()) from None


def _read(path: str, hint: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(_MOST)
    return read_regular(path, hint, _MOST)


def _pasted(app: App) -> bytes:
    """What a person pastes, up to its last line."""
    app.complain("Paste the export here, the BEGIN and END lines too:")
    lines: list[bytes] = []
    while sum(map(len, lines)) < _MOST:
        line = os.read(sys.stdin.fileno(), 4096)
        lines.append(line)
        if not line or age.END.encode() in b"".join(lines):
            break
    return b"".join(lines)
