"""Ready rules: what five well-known systems do, as settings of this one. Pure.

A preset lies below what `fleet.ini` says besides, so any part of it can be changed there. None of them names accounts
or channels: nothing is done to a key until [enforce] accounts is set. What is better than in the system whose rules
they are is in `here`; `tests/fleet/enforce/test_presets.py` shows both, day by day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from ..errors import WrongUsage
from ..policy import Policy
from ..settings.fleet import FleetSettings


@dataclass(frozen=True, slots=True)
class Preset:
    """One set of rules: `after` is the system whose they are, `says` what they do, `here` what is better."""

    name: str
    after: str
    says: str
    here: str
    policy: Policy
    remind: dict[str, Any]
    enforce: dict[str, Any]
    reissue: bool = False

    def over(self, base: FleetSettings) -> FleetSettings:
        """The settings with this preset laid over them."""
        return replace(
            base,
            policy=self.policy,
            remind=replace(base.remind, **self.remind),
            enforce=replace(base.enforce, preset=self.name, **{**_NOTHING, **self.enforce}),
            reissue=replace(base.reissue, enabled=self.reissue),
        )


def _days(count: int) -> timedelta:
    return timedelta(days=count)


_NOTHING: dict[str, Any] = dict.fromkeys(("deactivate_at", "delete_after", "reissue_at", "unused_for"))

PRESETS = {
    each.name: each
    for each in (
        Preset(
            "tell-admin",
            "(a) a Lambda that tells an admin over Telegram or SNS which active keys are too old",
            "admins get a digest each run, with every active key of 90 days or more; no owner is told; no key is "
            "touched",
            "every page and every account is read; the digest comes also when nothing is old, so silence means a fault",
            Policy(_days(90), _days(0)),
            {"owners": (), "digest": True},
            {},
        ),
        Preset(
            "mail-owners",
            "(b) a Lambda that mails each owner about all of their old keys, every few days",
            "each owner is told of all his active keys of 90 days or more, every 3 days; after 3 notices others "
            "are told too; no key is touched",
            "reminders that go unanswered are counted, told to others and listed for the admins",
            Policy(_days(90), _days(0)),
            {"repeat": _days(3), "escalate_after": 3, "digest": True},
            {},
        ),
        Preset(
            "staged-90",
            "(c) a Lambda that makes a key at 60 to 70 days, deactivates at 80 to 90 and deletes after 90",
            "owners are told from 60 days on; at 60 days IT makes a new key; at 80 the old one is switched off, "
            "if the new one has reached its user; 10 days later it is deleted",
            "there are no windows that a run could miss or meet twice; no key is deleted while it works; the old "
            "one waits for the new one to arrive",
            Policy(_days(90), _days(30)),
            {"repeat": _days(7)},
            {"reissue_at": _days(60), "deactivate_at": _days(80), "delete_after": _days(10)},
            reissue=True,
        ),
        Preset(
            "staged-30-60",
            "(d) a Lambda that warns at 30 days, rotates at 60, and deactivates and deletes 10 days later each",
            "owners are told from 30 days on; at 60 days IT makes a new key; at 70 the old one is switched off, "
            "if the new one has reached its user; 10 days later it is deleted",
            "weekly runs miss no day; deletion counts from the day on which the key was switched off; the old one "
            "waits for the new one to arrive",
            Policy(_days(60), _days(30)),
            {"repeat": _days(7)},
            {"reissue_at": _days(60), "deactivate_at": _days(70), "delete_after": _days(10)},
            reissue=True,
        ),
        Preset(
            "two-key-loop",
            "(e) a shell loop that makes a new key for everybody and makes room where there are two",
            "at 90 days IT makes a new key; where there are two keys, a switched-off one is deleted after 7 days "
            "and the older of two that work is switched off first, if it is 90 days old too; told 14 days before",
            "a key that works is never deleted for room; nothing goes without a notice; one error ends nothing",
            Policy(_days(90), _days(14)),
            {"repeat": _days(7)},
            {"reissue_at": _days(90), "deactivate_at": _days(90), "delete_after": _days(7)},
            reissue=True,
        ),
    )
}


def with_preset(name: str, base: FleetSettings) -> FleetSettings:
    """The settings with a preset laid over them. Raises WrongUsage for a name that there is not."""
    if name not in PRESETS:
        raise WrongUsage(f"there is no preset {name}", f"there are: {', '.join(PRESETS)}")
    return PRESETS[name].over(base)
