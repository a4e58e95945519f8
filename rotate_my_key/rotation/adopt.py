"""What `adopt` decides: whether a key that was handed over may go into a profile. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ..errors import KeyRefused, Problem, mask
from ..model import Credentials, Identity, Place
from .ports import Account


class Way(Enum):
    """How the pair gets into the profile."""

    ADD = "add"
    REPLACE = "replace"
    THERE = "there"


@dataclass(frozen=True, slots=True)
class Adoption:
    """The key, whose it is, and where it goes; `dead` is the pair that the profile holds and AWS refuses."""

    pair: Credentials
    identity: Identity
    profile: str
    way: Way
    places: tuple[Place, ...] = ()
    dead: Credentials | None = None


def plan_adoption(
    pair: Credentials,
    profile: str,
    held: Sequence[tuple[Place, Credentials]],
    others: Sequence[str],
    account: Account,
    who: Identity,
) -> Adoption:
    """Find the way of a key of `who` into `profile`, which holds `held` and signs in by `others` besides.

    Raises Problem if the key is no IAM user's, or the profile is in use.
    """
    if not who.is_user:
        what = "the account's root user" if who.is_root else who.arn
        raise Problem(
            f"key {mask(pair.key_id)} belongs to {what}; only a user's key can be rotated", "aws configure sso"
        )
    pairs = {each for _, each in held}
    if pairs == {pair}:
        return Adoption(pair, who, profile, Way.THERE, tuple(place for place, _ in held))
    if others:
        raise Problem(f"profile {profile} signs in by {' and '.join(others)}", "rotate-my-key adopt -p ANOTHER_NAME")
    if not pairs:
        return Adoption(pair, who, profile, Way.ADD)
    if len(pairs) > 1:
        raise Problem(f"profile {profile} holds different keys in its two files", "rotate-my-key adopt -p ANOTHER_NAME")
    dead = pairs.pop()
    _check_dead(dead, profile, account)
    return Adoption(pair, who, profile, Way.REPLACE, tuple(place for place, _ in held), dead)


def _check_dead(pair: Credentials, profile: str, account: Account) -> None:
    """A key that works is not thrown away for another."""
    try:
        account.look([pair])
    except KeyRefused:
        return
    raise Problem(
        f"profile {profile} holds a key that works, {mask(pair.key_id)}", f"rotate-my-key rotate --force -p {profile}"
    )
