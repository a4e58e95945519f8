"""A key comes in: from the console (`adopt`), from another computer (`import`), from `fleet reissue` (a delivery).

One planner says where the key goes. A key that works gives way only to one that may replace it: the console's replaces
none, an export's an older key of the same user, a delivery's the one that it names.

A delivery's key takes the old one's place by the loop of a rotation, with a note whose wanted and unwanted are these
two. So `kill -9` at any moment leaves what a rotation leaves, and the next run finishes it. Consent to give up the old
key is in the delivery, which names it, and in the person's yes. On a new laptop no place holds the old key: then the
places hold the new one before there is a note, and of the old one there is the id alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from ..core.errors import Denied, KeyRefused, OtherIdentity, Problem, TryLater
from ..core.hints import Again, Hint
from ..core.model import AccessKey, Credentials, Identity, LastUse, Look, Place
from ..core.plan import SETTLE, Note
from ..core.policy import Policy, mask
from .engine import Rotation, Waiter
from .facts import LocalState, first_note, first_world, listed
from .ports import Account, Outcome, Progress
from .prepare import left_alone
from .unfinished import Unfinished


class Origin(Enum):
    """Who hands the key over."""

    CONSOLE = "console"
    EXPORT = "export"
    DELIVERY = "delivery"


class Way(Enum):
    """How the pair gets into the profile."""

    ADD = "add"
    REPLACE = "replace"
    THERE = "there"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A key for a profile, and the user whose it is; `replaces` is the id that a delivery names, or ""."""

    origin: Origin
    pair: Credentials
    identity: Identity
    profile: str
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the key goes; `old` is the pair that the places hold and that gives way."""

    key: Incoming
    way: Way
    places: tuple[Place, ...] = ()
    old: Credentials | None = None


# Whose it is


def sign_in(pair: Credentials, account: Account, pause: Callable[[float], None]) -> Identity:
    """Who the pair is. A no is asked again for 15 s: the key may be new. Raises KeyRefused."""
    until: datetime | None = None
    while True:
        try:
            return account.identify(pair)
        except KeyRefused as problem:
            until = until or account.now() + SETTLE  # by AWS's clock: it has answered
            if problem.wrong_secret or account.now() >= until:
                raise
            pause(1.0)


def prove_export(pair: Credentials, expected: Identity, account: Account, pause: Callable[[float], None]) -> None:
    """Three sign-ins as the user that the export names. Raises KeyRefused, OtherIdentity, TryLater."""
    try:
        who = sign_in(pair, account, pause)
    except KeyRefused as problem:
        if problem.wrong_secret:
            raise
        raise KeyRefused(
            f"AWS does not accept key {mask(pair.key_id)}: it has been replaced or deactivated",
            Hint("export", lead="on the other computer, once more"),
        ) from None
    if who == expected:
        who = account.prove(pair, 3)
    if who != expected:
        raise OtherIdentity(
            f"key {mask(pair.key_id)} signs in as {who.arn}, but the export says {expected.arn}", Hint("doctor")
        )


def check_delivery(pair: Credentials, expected: Identity, account: Account, pause: Callable[[float], None]) -> None:
    """The key must belong to the user that the delivery names. Raises OtherIdentity, KeyRefused."""
    try:
        who = sign_in(pair, account, pause)
    except KeyRefused as problem:
        raise KeyRefused(
            f"AWS does not accept the new key from IT, {mask(pair.key_id)}: it was already adopted, or has expired",
            "ask IT for a new one",
            wrong_secret=problem.wrong_secret,
        ) from None
    if who != expected:
        raise OtherIdentity(
            f"the new key from IT should belong to {expected.arn}, but it belongs to {who.arn}; nothing was changed",
            "ask IT: somebody may have tampered with it",
        )


# Where it goes


def plan_incoming(
    key: Incoming, held: Sequence[tuple[Place, Credentials]], others: Sequence[str], account: Account
) -> Placement:
    """Find the way of a key, which has signed in, into its profile: that one holds `held`, and signs in by `others`
    besides. Raises Problem if the key is no user's, or the profile is in use otherwise."""
    who, profile = key.identity, key.profile
    if not who.is_user:
        what = "the account's root user" if who.is_root else who.arn
        raise Problem(
            f"key {mask(key.pair.key_id)} belongs to {what}; only keys of IAM users can be rotated", "aws configure sso"
        )
    pairs = {each for _, each in held}
    if pairs == {key.pair}:
        return Placement(key, Way.THERE, tuple(place for place, _ in held))
    if others:
        raise Problem(f"profile {profile} signs in with {' and '.join(others)}", _elsewhere(key))
    if not pairs:
        return Placement(key, Way.ADD)
    pairs.discard(key.pair)  # a run that was killed may have changed one of two files
    if len(pairs) > 1:
        raise Problem(f"profile {profile} holds different keys in its two files", _elsewhere(key))
    old = pairs.pop()
    _check_old(old, key, account)
    return Placement(key, Way.REPLACE, tuple(place for place, each in held if each == old), old)


def _elsewhere(key: Incoming) -> Hint:
    """The same into a profile of its own: the second account of a consultant."""
    who = key.identity
    return Again("-p", who.user if who.user != key.profile else f"{who.user}-{who.account}")


def _check_old(old: Credentials, key: Incoming, account: Account) -> None:
    """Raises Problem if the key that the profile holds works, and this one may not replace it."""
    try:
        owner = account.identify(old)
    except KeyRefused:
        return
    profile, who = key.profile, key.identity
    works = f"profile {profile} holds a working key, {mask(old.key_id)}"
    foreign = f"profile {profile} holds a key of {owner.user} in {owner.account}, and" if owner != who else ""
    match key.origin:
        case Origin.CONSOLE | Origin.EXPORT if foreign:
            raise Problem(f"{foreign} it works", _elsewhere(key))
        case Origin.CONSOLE:
            raise Problem(works, _elsewhere(key))
        case Origin.DELIVERY if foreign:
            raise Problem(f"{foreign} the new key from IT is for {who.user} in {who.account}", _elsewhere(key))
        case Origin.EXPORT if not _is_older(old, key.pair, account):
            raise Problem(
                f"profile {profile} holds a newer key of {who.user}, {mask(old.key_id)}, than the export",
                Hint("status"),
            )
        case Origin.DELIVERY if old.key_id != key.replaces:
            named = f"replaces {mask(key.replaces)}" if key.replaces else "replaces no key"
            raise Problem(f"{works}, and the new key from IT {named}", _elsewhere(key))


def _is_older(old: Credentials, pair: Credentials, account: Account) -> bool:
    """By AWS's dates; both keys sign in, and belong to one user."""
    made = {key.key_id: key.created for key in account.look([pair]).keys}
    if old.key_id not in made or pair.key_id not in made:
        raise Problem(
            "AWS does not list both keys, so rotate-my-key cannot tell which one is newer",
            "repeat the command in a minute",
        )
    return made[old.key_id] < made[pair.key_id]


def check_unfinished(found: Sequence[Unfinished], pair: Credentials, old: Credentials | None) -> None:
    """A key that a rotation on this computer is about stays where it is until that is over. Raises Problem."""
    for each in found:
        about = next((key.key_id for key in (pair, old) if key and key.key_id in each.ids), None)
        if about:
            raise each.problem or Problem(
                f"the rotation of key {mask(each.name)} is unfinished on this computer, and includes {mask(about)}",
                Hint("status"),
            )


def put(plan: Placement, file: str, here: LocalState, warn: Callable[[str], None]) -> list[Place]:
    """Write the pair where it goes, under the lock, and give the places; a new profile goes into `file`. An export's or
    delivery's key goes wherever the old one is, into the profile's own files last, so that a run that is repeated still
    finds the old one there. Raises Problem."""
    key, old, places = plan.key, plan.old, here.places
    if plan.way is Way.ADD:
        if not file:
            raise Problem("AWS_SHARED_CREDENTIALS_FILE is set but empty", "unset AWS_SHARED_CREDENTIALS_FILE")
        added = Place(file, key.profile)
        places.restore([added], key.pair)
        return [added]
    if old is None:
        return list(plan.places)
    found = list(plan.places)
    if key.origin is not Origin.CONSOLE:
        found = [h.place for h in places.search([old.key_id], found) if h.pair == old]
    for warning in places.rehearse(found, old):
        warn(warning)
    own = {place.path for place in plan.places}
    for last in (False, True):
        if group := [place for place in found if (place.path in own) is last]:
            places.write(group, old, key.pair, lambda writes: None)
    return found


# A delivery's key takes another's place


@dataclass(frozen=True, slots=True)
class Takeover:
    """The key that was handed over, the one that it replaces, and what AWS says. `old` is None if no place here holds
    it; `warnings` are for a person."""

    new: Credentials
    old: Credentials | None
    look: Look
    note: Note
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The key that the delivery names and no place here holds. `use` is None if AWS does not tell."""

    key: AccessKey
    use: LastUse | None

    def is_in_use_since(self, made: datetime) -> bool:
        """Whether something else has used it after the new key was made, or nobody can say that nothing has."""
        use = self.use
        return use is None or bool(use.is_evidence and use.at and use.at > made)


def plan_takeover(new: Credentials, old: Credentials, look: Look, account: Account, here: LocalState) -> Takeover:
    """How `new` takes the place of `old`, wherever that is here. Raises Problem if a place cannot be written."""
    holdings = [h for h in here.places.search([old.key_id]) if h.pair]
    places = tuple(h.place for h in holdings if h.pair == old)
    warnings = (*left_alone(holdings, old), *here.places.rehearse(places, old))
    note = _note(new, old.key_id, look, places, account, here)
    return Takeover(new, old, look, note, warnings)


def elsewhere(replaces: str, look: Look, account: Account, here: LocalState) -> Elsewhere | None:
    """The key that is to be replaced, if the user has it and no place here holds it."""
    key = listed(look.keys, here.history).get(replaces)
    if key is None or any(h.pair for h in here.places.search([replaces])):
        return None
    try:
        return Elsewhere(key, account.last_use(replaces))
    except (Denied, TryLater):
        return Elsewhere(key, None)


def plan_elsewhere(new: Credentials, old: str, look: Look, account: Account, here: LocalState) -> Takeover:
    """How the key with the id `old`, which no place here holds, gives way to `new`, which is in its places already.
    Raises Problem if it is in none."""
    places = tuple(h.place for h in here.places.search([new.key_id]) if h.pair == new)
    if not places:
        raise Problem(f"no profile here holds key {mask(new.key_id)} any more", Hint("status"))
    return Takeover(new, None, look, _note(new, old, look, places, account, here))


def _note(
    new: Credentials, old: str, look: Look, places: tuple[Place, ...], account: Account, here: LocalState
) -> Note:
    """At once: the old key's slot is needed for the key that replaces the one which was handed over."""
    note = first_note(old, look, places, account.endpoint, here)
    return replace(note, wanted=new.key_id, known=tuple(dict.fromkeys((*note.known, new.key_id))))


def take_over(
    plan: Takeover, account: Account, here: LocalState, progress: Progress, policy: Policy, waiter: Waiter
) -> Outcome:
    """Do it, under the lock. Raises Problem kinds; what was begun is finished by the next run."""
    pairs = {pair.key_id: pair for pair in (plan.new, plan.old) if pair}
    look = _listed(plan.look, plan.new, account, here, waiter.pause)
    account.sign_with(list(pairs.values()))
    world = first_world(look, plan.new.key_id, here, None)
    world = replace(world, draft=plan.note, asked=True, forced=True)
    return Rotation(plan.note.name, account, here, progress, policy, waiter).run(world, pairs)


def _listed(look: Look, new: Credentials, account: Account, here: LocalState, pause: Callable[[float], None]) -> Look:
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
