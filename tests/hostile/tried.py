"""Every call of a rotation, answered oddly: once, or for good. What came of it, and of the next run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rotate_my_key.aws.connections import Limits
from tests.hostile.laptop import HASTY, Ended, Laptop
from tests.hostile.odd import ODD, SLOW
from tests.standin import StandIn
from tests.standin.errors import Answer

# The calls of a rotation: the action, how many of its calls come before, whether IAM wants MFA.
CALLS: dict[str, tuple[str, int, bool]] = {
    "GetCallerIdentity": ("GetCallerIdentity", 0, False),
    "GetCallerIdentity (proof)": ("GetCallerIdentity", 1, False),
    "GetCallerIdentity (as read from the file)": ("GetCallerIdentity", 4, False),
    "GetUser": ("GetUser", 0, False),
    "ListAccessKeys": ("ListAccessKeys", 0, False),
    "GetAccessKeyLastUsed": ("GetAccessKeyLastUsed", 0, False),
    "CreateAccessKey": ("CreateAccessKey", 0, False),
    "UpdateAccessKey": ("UpdateAccessKey", 0, False),
    "DeleteAccessKey": ("DeleteAccessKey", 0, False),
    "ListMFADevices": ("ListMFADevices", 0, True),
    "GetSessionToken": ("GetSessionToken", 0, True),
    "GetCallerIdentity (with MFA)": ("GetCallerIdentity", 0, True),
    "CreateAccessKey (with MFA)": ("CreateAccessKey", 0, True),
}


@dataclass(frozen=True)
class Tried:
    """One pair of call and answer. `wrong` is what broke a promise."""

    call: str
    odd: str
    often: str
    ended: Ended
    keys: int
    wrong: str


def attempt(aws: StandIn, call: str, odd: str, often: str) -> Tried:
    """Rotate a due key while one call is answered oddly, then again when all is well."""
    action, skip, mfa = CALLS[call]
    with tempfile.TemporaryDirectory() as folder:
        laptop = Laptop(Path(folder), aws, mfa=mfa)
        laptop.answers(action, ODD[odd], 1 if often == "once" else None, skip)
        try:
            ended = laptop.rotate(HASTY if odd in SLOW else Limits())
        except Exception as error:  # noqa: BLE001 - the program would end with "internal error in rotate-my-key"
            return Tried(call, odd, often, Ended([-1]), 0, f"a fault: {error!r}")
        wrong = _broken(laptop, ended) or _healed(laptop)
        return Tried(call, odd, often, ended, len(laptop.keys()), wrong)


def _broken(laptop: Laptop, ended: Ended) -> str:
    if not set(ended.codes) <= {0, 1, 4, 5, 75}:
        return f"exit {ended.codes}"
    if any("fault" in said or "\n" in said or "\x1b" in said for said in ended.said):
        return f"said {ended.said}"
    if not laptop.works():
        return "the profile's key does not work"
    return "a due key is called fresh" if ended.fresh else ""


def _healed(laptop: Laptop) -> str:
    """The next run, or the one after, ends the rotation."""
    laptop.aws.all_well()
    if laptop.mfa:
        laptop.aws.demand_mfa("alice")
    for _ in range(2):
        laptop.sleep(20)
        try:
            ended = laptop.rotate()
        except Exception as error:  # noqa: BLE001 - as above
            return f"the next run: a fault: {error!r}"
        if laptop.tidy() and ended.codes == [0] and laptop.pair() != laptop.old:
            return ""
    return f"the next runs end with {ended.codes} {ended.said}; keys {laptop.keys()}, the profile has {laptop.pair()}"


def fitting(aws: StandIn, call: str) -> list[str]:
    """The odd answers that are others than AWS's own to this call."""
    (action, skip, mfa), seen = CALLS[call], list[Answer]()
    with tempfile.TemporaryDirectory() as folder:
        laptop = Laptop(Path(folder), aws, mfa=mfa)
        laptop.answers(action, lambda answer: seen.append(answer) or answer, 1, skip)  # type: ignore[func-returns-value]
        assert laptop.rotate().rotated
    return [name for name, odd in ODD.items() if odd(seen[0]) != seen[0]]


def all_of(aws: StandIn, call: str) -> Iterator[Tried]:
    """Every odd answer to this call, once and for good."""
    for odd in fitting(aws, call):
        for often in ("once", "for good"):
            yield attempt(aws, call, odd, often)
