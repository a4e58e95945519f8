"""What `import` decides: whether a key from another computer may go into a profile. Nothing is changed here.

It never takes the place of another user's key, nor of a younger key of the same user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ..errors import KeyRefused, OtherIdentity, Problem, mask
from ..model import Credentials, Identity, Place
from ..plan import SETTLE
from .adopt import Adoption, Way
from .ports import Account
from .unfinished import Unfinished


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


def prove_import(pair: Credentials, expected: Identity, account: Account, pause: Callable[[float], None]) -> None:
    """Three sign-ins as the user that the export names. Raises KeyRefused, OtherIdentity, TryLater."""
    if not expected.is_user:
        raise Problem(f"it holds a key of {expected.arn}, who is no IAM user", "rotate-my-key export")
    try:
        who = sign_in(pair, account, pause)
    except KeyRefused as problem:
        if problem.wrong_secret:
            raise
        raise KeyRefused(
            f"AWS does not accept key {mask(pair.key_id)}: it was replaced since, or switched off",
            "on the other computer, once more: rotate-my-key export",
        ) from None
    if who == expected:
        who = account.prove(pair, 3)
    if who != expected:
        raise OtherIdentity(
            f"key {mask(pair.key_id)} signs in as {who.arn}, and the export says {expected.arn}", "rotate-my-key doctor"
        )


def plan_import(
    pair: Credentials,
    who: Identity,
    profile: str,
    held: Sequence[tuple[Place, Credentials]],
    others: Sequence[str],
    account: Account,
) -> Adoption:
    """Find the way of a proven key of `who` into `profile`, which holds `held` and signs in by `others` besides.

    Its `dead` is the pair that gives way: AWS refuses it, or it is the older key of the same user. Raises Problem if
    the profile is in use.
    """
    elsewhere = "rotate-my-key import FILE -p ANOTHER_NAME"
    pairs = {each for _, each in held}
    if pairs == {pair}:
        return Adoption(pair, who, profile, Way.THERE, tuple(place for place, _ in held))
    if others:
        raise Problem(f"profile {profile} signs in by {' and '.join(others)}", elsewhere)
    if not pairs:
        return Adoption(pair, who, profile, Way.ADD)
    pairs.discard(pair)  # a run that was killed may have changed one of two files
    if len(pairs) > 1:
        raise Problem(f"profile {profile} holds different keys in its two files", elsewhere)
    old = pairs.pop()
    if _is_refused(old, who, profile, account, elsewhere) or _is_older(old, pair, account):
        return Adoption(pair, who, profile, Way.REPLACE, tuple(place for place, each in held if each == old), old)
    raise Problem(
        f"profile {profile} holds a younger key of {who.user}, {mask(old.key_id)}: the export is older",
        "rotate-my-key status",
    )


def check_unfinished(found: Sequence[Unfinished], pair: Credentials, old: Credentials | None) -> None:
    """A key that a rotation on this computer is about stays where it is until that is over. Raises Problem."""
    for each in found:
        ids = {each.name, *((each.note.wanted, each.note.unwanted) if each.note else ())}
        about = next((key.key_id for key in (pair, old) if key and key.key_id in ids), None)
        if about:
            raise each.problem or Problem(
                f"a rotation of key {mask(each.name)} is not over on this computer, and {mask(about)} is part of it",
                "rotate-my-key status",
            )


def _is_refused(old: Credentials, who: Identity, profile: str, account: Account, elsewhere: str) -> bool:
    try:
        owner = account.identify(old)
    except KeyRefused:
        return True
    if owner != who:
        raise Problem(f"profile {profile} holds a key of {owner.user} in {owner.account}, and it works", elsewhere)
    return False


def _is_older(old: Credentials, pair: Credentials, account: Account) -> bool:
    """By AWS's dates; both keys sign in, and belong to one user."""
    made = {key.key_id: key.created for key in account.look([pair]).keys}
    if old.key_id not in made or pair.key_id not in made:
        raise Problem(
            "AWS does not list both keys, so it is not known which is older", "repeat the command in a minute"
        )
    return made[old.key_id] < made[pair.key_id]
