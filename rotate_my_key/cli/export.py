"""`export`: a key for another computer, sealed. Neither the secret nor the passphrase is ever shown, an argument or in
the environment."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from shlex import quote

from ..core.errors import KeyRefused, NeedsPerson, Problem
from ..core.hints import Hint
from ..core.model import Credentials, Identity
from ..core.policy import mask
from ..files import age
from ..rotation.incoming import sign_in
from ..rotation.unfinished import unfinished
from ..state.transit import Exported, write_export
from .app import App
from .wiring import Wiring

_SHORTEST = 10  # characters: who has the file may try passphrases for as long as the key works


def run(app: App, *, profile: str | None, recipients: tuple[str, ...], output: str | None) -> None:
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
        who = _identity(wiring, profile, active.pair)
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


def _identity(wiring: Wiring, profile: str | None, pair: Credentials) -> Identity:
    try:
        who = sign_in(pair, wiring.account(profile), wiring.waiter.pause)
    except KeyRefused as problem:
        raise KeyRefused(problem.message, problem.hint or Hint("status")) from None
    if not who.is_user:
        raise Problem(f"key {mask(pair.key_id)} belongs to {who.arn}, which is not an IAM user", Hint("status"))
    return who


def _passphrase(app: App) -> str:
    while True:
        text = app.ask("Passphrase (hidden)", hide_input=True)
        if len(text) < _SHORTEST:
            app.complain(f"too short: use at least {_SHORTEST} characters")
        elif app.ask("Repeat passphrase", hide_input=True) != text:
            app.complain("the two passphrases differ")
        else:
            return text
