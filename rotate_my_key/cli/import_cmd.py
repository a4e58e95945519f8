"""`import`: take a key that `export` sealed on another computer. It is proven and stored, never rotated.

Only one thing is changed, by one replace a file, the asked profile's own file last: a run that is killed is repeated,
and there is nothing to remember in between.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import click

from ..core.errors import KeyRefused, NeedsPerson, Problem, mask
from ..core.model import Credentials, Past, Place
from ..files import age
from ..files.regular import read_regular, real_path
from ..profiles.file import ROTATABLE, Kind, sections
from ..profiles.places import add_pair
from ..profiles.which import named_profile
from ..rotation.incoming import Adoption, Way, check_unfinished, plan_import, prove_import
from ..rotation.unfinished import unfinished
from ..state.transit import Exported, decode
from . import reminding, show
from .app import App
from .session import Rotate
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
    reminding.refresh(app)
    _tell(app, plan, places, as_json=as_json)
    return 0


def _store(app: App, wiring: Wiring, exported: Exported, profile: str) -> tuple[Adoption, list[Place]]:
    pair = exported.pair
    facts = [fact for fact in sections(wiring.files, wiring.keyring.pair) if fact.profile == profile]
    held = [(fact.place, fact.pair) for fact in facts if fact.pair and fact.place and fact.kind in ROTATABLE]
    others = [
        fact.kind.value for fact in facts if not (fact.kind is Kind.NONE or (fact.pair and fact.kind in ROTATABLE))
    ]
    account = wiring.account(profile if facts else None)
    with app.waiting("asking AWS"):
        try:
            prove_import(pair, exported.identity, account, wiring.waiter.pause)
        except KeyRefused as problem:
            raise _of_another_region(problem, exported, app) from None
        plan = plan_import(pair, exported.identity, profile, held, others, account)
    check_unfinished(unfinished(wiring.here, mend=True), pair, plan.dead)
    places = _write(app, wiring, plan)
    wiring.handed.clear(pair.key_id)
    if plan.way is not Way.THERE:
        _remember(wiring, plan, places)
    return plan, places


def _of_another_region(problem: KeyRefused, exported: Exported, app: App) -> KeyRefused:
    """China's and GovCloud's keys are known in their own regions only, and a new profile names none."""
    region = exported.region
    if exported.identity.partition == "aws" or not region or app.env.get("AWS_DEFAULT_REGION"):
        return problem
    return KeyRefused(problem.message, f"AWS_DEFAULT_REGION={region} rotate-my-key import FILE")


def _write(app: App, wiring: Wiring, plan: Adoption) -> list[Place]:
    path = app.paths.credentials
    match plan.way:
        case Way.ADD:
            if not path:
                raise Problem("AWS_SHARED_CREDENTIALS_FILE is set to nothing", "unset AWS_SHARED_CREDENTIALS_FILE")
            add_pair(path, plan.profile, plan.pair)
            return [Place(path, plan.profile)]
        case Way.REPLACE if plan.dead:
            return _replace(wiring, plan, plan.dead)
    return list(plan.places)


def _replace(wiring: Wiring, plan: Adoption, old: Credentials) -> list[Place]:
    """Every place that holds the old pair takes the new one; the profile's own files come last, so that a run that is
    repeated still finds the old pair there."""
    places = wiring.here.places
    found = [h.place for h in places.search([old.key_id], plan.places) if h.pair == old]
    for warning in places.rehearse(found, old):
        wiring.warn(warning)
    own = {real_path(place.path) for place in plan.places}
    last = [place for place in found if real_path(place.path) in own]
    for group in ([place for place in found if place not in last], last):
        if group:
            places.write(group, old, plan.pair, lambda writes: None)
    return found


def _remember(wiring: Wiring, plan: Adoption, places: Sequence[Place]) -> None:
    """A line of the history; that it cannot be written stops nothing."""
    who, old = plan.identity, plan.dead.key_id if plan.dead else ""
    where = tuple(sorted(f"{place.path} [{place.profile}]" for place in places))
    with suppress(Problem):
        wiring.history.add(Past(datetime.now(UTC), "imported", who.account, who.arn, old, plan.pair.key_id, (), where))


def _tell(app: App, plan: Adoption, places: Sequence[Place], *, as_json: bool) -> None:
    who, key_id = plan.identity, plan.pair.key_id
    if as_json:
        app.json(
            {
                "profile": plan.profile,
                "key_id": key_id,
                "replaced": plan.dead.key_id if plan.dead else None,
                "account": who.account,
                "arn": who.arn,
                "places": [show.place_json(place) for place in places],
            }
        )
        return
    app.say(f"{who.user} in {who.account}, key {mask(key_id)}: proved with AWS")
    if plan.way is Way.THERE:
        app.out(f"Nothing to do: profile {plan.profile} holds it already.")
        return
    for path in dict.fromkeys(show.where(place, app.show_path) for place in places):
        names = show.names(place for place in places if show.where(place, app.show_path) == path)
        app.say(f"  {path}: {names} {'added' if plan.way is Way.ADD else 'changed'}")
    app.out("Done; the export is not needed any more.")


# Opening it


def _open(app: App, file: str | None, identity: str | None) -> Exported:
    key = _read(identity, "") if identity else b""
    sealed = _pasted(app) if file is None and app.terminal else _read(file or "-", "rotate-my-key import -")
    try:
        if not age.with_passphrase(sealed):
            if not key:
                raise Problem("it was sealed for an age recipient", "rotate-my-key import FILE -i IDENTITY_FILE")
            return decode(age.unseal(sealed, identities=key))
        return decode(age.unseal(sealed, passphrase=_passphrase(app)))
    except age.WrongPassphrase as problem:
        raise Problem(problem.message, "rotate-my-key import FILE") from None


def _passphrase(app: App) -> str:
    if not app.terminal:
        raise NeedsPerson(
            "there is no terminal to ask for the passphrase on", "in a terminal: rotate-my-key import FILE"
        )
    text: str = click.prompt("Passphrase (hidden)", hide_input=True, err=True)
    return text


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
