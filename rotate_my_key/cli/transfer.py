"""`export` and `import`: a key goes to another computer, sealed. It is proven and stored there, never rotated.

Neither the secret nor the passphrase is ever shown, an argument or in the environment. Of an import only one thing is
changed, by one replace a file, the asked profile's own file last: a run that is killed is repeated, and nothing is to
be remembered in between."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from shlex import quote

from ..core.errors import KeyRefused, NeedsPerson, Problem
from ..core.hints import Again, Hint
from ..core.model import Place
from ..core.policy import Past, mask
from ..files import age
from ..files.regular import read_regular
from ..profiles.which import named_profile
from ..rotation import incoming
from ..rotation.unfinished import unfinished
from ..state.transit import Exported, read_export, write_export
from . import reminder, show
from .app import App
from .handover import holds
from .rotate import Rotate
from .wiring import Wiring

_MOST = 1 << 16  # bytes; an export has about 700
_SHORTEST = 10  # characters: who has the file may try passphrases for as long as the key works


def export(app: App, *, profile: str | None, recipients: tuple[str, ...], output: str | None) -> None:
    """Print what another computer needs to use the same key, sealed with a passphrase or for an age recipient."""
    # What cannot end well is refused before anything is asked
    for text in recipients:
        age.recipient(text)
    if not recipients and not app.terminal:
        raise NeedsPerson(
            "not running in a terminal, so a passphrase cannot be asked for", Hint("export", "--recipient", "age1...")
        )
    if output and output != "-" and os.path.lexists(output):
        raise _is_there(output)
    wiring = Wiring.of(app)
    active = wiring.active(profile, mixed=True)
    # A key that is about to go is of no use elsewhere
    for found in unfinished(wiring.here, mend=False):
        leaving = {found.name} if found.note is None else {found.note.unwanted}
        if active.pair.key_id in leaving:
            raise Problem(f"a rotation of key {mask(active.pair.key_id)} is unfinished", Hint())
    with app.waiting("checking your keys..."):
        try:
            who = incoming.sign_in(active.pair, wiring.account(profile), wiring.waiter.pause)
        except KeyRefused as problem:
            problem.hint = problem.hint or Hint("status")
            raise
        if not who.is_user:
            text = f"key {mask(active.pair.key_id)} belongs to {who.arn}, which is not an IAM user"
            raise Problem(text, Hint("status"))
    exported = Exported(active.pair, who, active.profile, active.region, datetime.now(UTC))
    app.say(f"{who.user} in {who.account}, key {mask(active.pair.key_id)}")
    passphrase = "" if recipients else _passphrase(app)
    with app.waiting("encrypting the key"):
        sealed = age.seal(write_export(exported), passphrase=passphrase, recipients=recipients)
    if output is None or output == "-":
        app.out(sealed.rstrip("\n"), exact=True)
    else:
        from ..files.write import create_private

        if not create_private(os.path.abspath(output), sealed.encode()):
            raise _is_there(output)
        app.say(f"Wrote {output}. On the other computer: rotate-my-key import {quote(os.path.basename(output))}")


def _is_there(path: str) -> Problem:
    return Problem(f"{path} already exists", Hint("export", "-o", "ANOTHER_FILE"))


def _passphrase(app: App) -> str:
    while True:
        text = app.ask("Passphrase (hidden)", hide_input=True)
        if len(text) < _SHORTEST:
            app.complain(f"too short: use at least {_SHORTEST} characters")
        elif app.ask("Repeat passphrase", hide_input=True) != text:
            app.complain("the two passphrases differ")
        else:
            return text


# On the other computer


def import_(app: App, *, file: str | None, profile: str | None, identity: str | None, as_json: bool) -> int:
    """Take a key that rotate-my-key export sealed on another computer."""
    exported = _open(app, file, identity)
    name = profile or named_profile(app.env)[0]
    Rotate.of(app, name).settle()
    wiring = Wiring.of(app)
    with wiring.stop.on_interrupt(), wiring.lock():
        plan, places = _store(app, wiring, exported, name)
    reminder.refresh(app)
    who, key_id = plan.key.identity, plan.key.pair.key_id
    if as_json:
        app.json(
            {
                "profile": name,
                "key_id": key_id,
                "replaced": plan.old.key_id if plan.old else None,
                "account": who.account,
                "arn": who.arn,
                "places": [place.json() for place in places],
            }
        )
        return 0
    app.say(f"{who.user} in {who.account}, key {mask(key_id)} works")
    if plan.way is incoming.Way.THERE:
        app.out(f"Nothing to do: profile {name} already has it.")
        return 0
    for path, names in show.by_file(places, app.show_path):
        app.say(f"  {path}: {'added' if plan.way is incoming.Way.ADD else 'updated'} {names}")
    app.out("Done. You can delete the export.")
    return 0


def _store(app: App, wiring: Wiring, exported: Exported, profile: str) -> tuple[incoming.Placement, list[Place]]:
    key = incoming.Incoming(incoming.Origin.EXPORT, exported.pair, exported.identity, profile)
    pairs, others, account = holds(wiring, profile)
    with app.waiting("checking your keys..."):
        try:
            incoming.prove_export(key.pair, key.identity, account, wiring.waiter.pause)
        except KeyRefused as problem:
            # China's and GovCloud's keys are known in their own regions only, and a new profile names none
            if key.identity.partition != "aws" and exported.region and not app.env.get("AWS_DEFAULT_REGION"):
                problem.hint = f"AWS_DEFAULT_REGION={exported.region} rotate-my-key import FILE"
            raise
        plan = incoming.plan_incoming(key, pairs, others, account)
    incoming.check_unfinished(unfinished(wiring.here, mend=True), key.pair, plan.old)
    places = incoming.put(plan, app.paths.credentials, wiring.here, wiring.warn)
    wiring.handed.clear(key.pair.key_id)
    if plan.way is not incoming.Way.THERE:
        # A line of the history; that it cannot be written stops nothing
        who, new, old = plan.key.identity, plan.key.pair.key_id, plan.old.key_id if plan.old else ""
        where = tuple(sorted(f"{place.path} [{place.profile}]" for place in places))
        with suppress(Problem):
            wiring.history.add(Past(datetime.now(UTC), "imported", who.account, who.arn, old, new, (), where))
    return plan, places


# Opening it


def _open(app: App, file: str | None, identity: str | None) -> Exported:
    def read(path: str, hint: str) -> bytes:
        return sys.stdin.buffer.read(_MOST) if path == "-" else read_regular(path, hint, _MOST)

    key = read(identity, "") if identity else b""
    sealed = _pasted(app) if file is None and app.terminal else read(file or "-", Hint("import", "-"))
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
