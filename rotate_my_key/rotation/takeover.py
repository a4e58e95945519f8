"""What `adopt` does with a key that IT has made to replace another one: the loop of a rotation, with both keys known.

The places that hold the old key take the one that was handed over, by a note whose wanted and unwanted are these two.
So `kill -9` at any moment leaves what a rotation leaves, and the next run finishes it. Consent to give up the old key
is in the delivery, which names it, and in the person's yes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..errors import Denied, KeyRefused, OtherIdentity, Problem, TryLater, mask
from ..model import Credentials, Identity, Look, Place
from ..plan import SETTLE, Note
from ..policy import Policy
from .adopt import Adoption, Way
from .engine import Clockwork, Rotation
from .facts import Here, first_world, listed
from .importing import SignsIn, sign_in
from .outcome import Outcome
from .ports import Account, Progress


@dataclass(frozen=True, slots=True)
class Takeover:
    """The key that was handed over, the one that it replaces, and what AWS says. `warnings` are for a person."""

    new: Credentials
    old: Credentials
    look: Look
    note: Note
    warnings: tuple[str, ...] = ()


def check_delivery(pair: Credentials, expected: Identity, account: SignsIn, pause: Callable[[float], None]) -> None:
    """The key must belong to the user that the delivery names. Raises OtherIdentity, KeyRefused."""
    try:
        who = sign_in(pair, account, pause)
    except KeyRefused as problem:
        raise KeyRefused(
            f"AWS does not accept the key of the delivery, {mask(pair.key_id)}: it was taken, or not fetched in time",
            "ask IT for a new one",
            wrong_secret=problem.wrong_secret,
        ) from None
    if who != expected:
        raise OtherIdentity(
            f"the delivery says that its key is {expected.arn}'s, and AWS says {who.arn}'s; nothing was changed",
            "ask IT: somebody may have tampered with it",
        )


def plan_delivery(
    new: Credentials,
    who: Identity,
    replaces: str,
    profile: str,
    held: Sequence[tuple[Place, Credentials]],
    others: Sequence[str],
    account: SignsIn,
) -> Adoption:
    """Find the way of the key of `who` into `profile`. Its `dead` is the pair that gives way: the one that the delivery
    names, or one that AWS refuses. Raises Problem if the profile is in use otherwise."""
    elsewhere = "rotate-my-key adopt DELIVERY -p ANOTHER_NAME"
    pairs = {each for _, each in held}
    if pairs == {new}:
        return Adoption(new, who, profile, Way.THERE, tuple(place for place, _ in held))
    if others:
        raise Problem(f"profile {profile} signs in by {' and '.join(others)}", elsewhere)
    if not pairs:
        return Adoption(new, who, profile, Way.ADD)
    pairs.discard(new)  # a run that was killed may have changed one of two files
    if len(pairs) > 1:
        raise Problem(f"profile {profile} holds different keys in its two files", elsewhere)
    old = pairs.pop()
    _check_owner(old, who, replaces, profile, account)
    return Adoption(new, who, profile, Way.REPLACE, tuple(place for place, each in held if each == old), old)


def _check_owner(old: Credentials, who: Identity, replaces: str, profile: str, account: SignsIn) -> None:
    """Nobody's key that works is thrown away, but for the one that the delivery names."""
    try:
        owner = account.identify(old)
    except KeyRefused:
        return
    if owner != who:
        raise Problem(
            f"profile {profile} holds a key of {owner.user} in {owner.account}, and the delivery is for {who.user} in "
            f"{who.account}",
            "rotate-my-key adopt DELIVERY -p ANOTHER_NAME",
        )
    if old.key_id != replaces:
        named = f"is to replace {mask(replaces)}" if replaces else "replaces none"
        raise Problem(
            f"profile {profile} holds a key that works, {mask(old.key_id)}, and the delivery {named}",
            f"rotate-my-key rotate --force -p {profile}",
        )


def plan_takeover(
    new: Credentials, old: Credentials, look: Look, account: Account, here: Here, host: str = "", boot: str = ""
) -> Takeover:
    """How `new` takes the place of `old`, wherever that is here. Raises Problem if a place cannot be written."""
    holdings = [h for h in here.places.search([old.key_id]) if h.pair]
    places = tuple(h.place for h in holdings if h.pair == old)
    strange = [h.place for h in holdings if h.pair != old]
    warnings = tuple(f"{p.profile} in {p.path} holds this key with another secret, and is left alone" for p in strange)
    warnings += tuple(here.places.rehearse(places, old))
    return Takeover(new, old, look, _note(new, old, look, places, account.endpoint, here, (host, boot)), warnings)


def _note(
    new: Credentials,
    old: Credentials,
    look: Look,
    places: tuple[Place, ...],
    endpoint: str,
    here: Here,
    where: tuple[str, str],
) -> Note:
    """At once: the old key's slot is needed for the key that replaces the one which was handed over."""
    return Note(
        name=old.key_id,
        identity=look.identity,
        endpoint=endpoint,
        unwanted=old.key_id,
        wanted=new.key_id,
        known=tuple(dict.fromkeys((*(key.key_id for key in look.keys), new.key_id))),
        places=places,
        began=look.now,
        switch_off_at=look.now,
        delete_at=look.now,
        copies=here.copies.wanted,
        host=where[0],
        boot=where[1],
    )


def take_over(
    plan: Takeover, account: Account, here: Here, progress: Progress, policy: Policy, clockwork: Clockwork
) -> Outcome:
    """Do it, under the lock. Raises Problem kinds; what was begun is finished by the next run."""
    pairs = {plan.new.key_id: plan.new, plan.old.key_id: plan.old}
    look = _listed(plan.look, plan.new, account, here, clockwork.pause)
    account.sign_with([plan.new, plan.old])
    world = first_world(look, plan.new.key_id, here, None)
    world = replace(world, draft=plan.note, asked=True, forced=True)
    return Rotation(plan.note.name, account, here, progress, policy, clockwork).run(world, pairs)


def _listed(look: Look, new: Credentials, account: Account, here: Here, pause: Callable[[float], None]) -> Look:
    """The list may lag behind a key that IT has made just now."""
    until = account.now() + SETTLE
    while new.key_id not in listed(look.keys, here.history):
        if account.now() >= until:
            raise TryLater(f"AWS does not list key {mask(new.key_id)} yet", "repeat the command in a minute")
        pause(1.0)
        look = replace(look, keys=account.keys(), now=account.now())
    return look


def cannot_rotate(problem: Problem | None) -> bool:
    """Whether AWS does not let this user make keys: then the one that was handed over stays as it is."""
    return isinstance(problem, Denied) and problem.action == "iam:CreateAccessKey"
