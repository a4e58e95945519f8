"""The second slot: AWS allows a user two access keys, and what stands in the other one decides whether one may begin.

A key that this tool switched off goes by itself, another inactive one on consent, an active one never.
"""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import Protocol

from ..errors import NeedsPerson, mask
from .prepare import Prospect


class Asked(Protocol):
    """What of the person's consent matters here; see `run.Consent`."""

    attended: bool

    def give_up(self, prospect: Prospect) -> bool:
        """Whether the user's inactive second key may be deleted."""


def gives_up(prospect: Prospect, asked: Asked) -> bool:
    """Whether the person gives up an inactive second key; False if none is in the way. Raises NeedsPerson."""
    second = prospect.second
    if second is None or prospect.merge:
        return False
    key_id = second.key.key_id
    if second.kept:
        until = second.kept.delete_at
        if not asked.attended and prospect.look.now < until and not prospect.request.leaked:
            raise NeedsPerson(
                f"key {mask(key_id)} is switched off and kept until {_day(until)}, and AWS allows no third key",
                delete_command(prospect),
            )
        return False
    if second.key.active:
        raise NeedsPerson(second_in_use(prospect), delete_command(prospect))
    if asked.give_up(prospect):
        return True
    raise NeedsPerson(
        f"the user's second key {mask(key_id)} is switched off, and AWS allows no third", delete_command(prospect)
    )


def in_the_way(prospect: Prospect) -> bool:
    """Whether the user's second key is active, so that there is no room for a new one."""
    second = prospect.second
    return bool(prospect.due and second and second.key.active and not second.kept and not prospect.merge)


def delete_command(prospect: Prospect) -> str:
    """How to retire the second key: by a profile of the same user."""
    assert prospect.second is not None
    names = [place.profile for place in prospect.places]
    profile = [] if not names or "default" in names else ["-p", names[0]]
    return shlex.join(["rotate-my-key", "delete-key", prospect.second.key.key_id, *profile])


def second_in_use(prospect: Prospect) -> str:
    """That the user's second key is active, and what is known of it."""
    second = prospect.second
    assert second is not None
    use, text = second.last_use, "its last use is not known"
    if use and use.at:
        text = f"last used on {_day(use.at)} by {use.service} in {use.region}"
    elif use:
        text = "no use of it is recorded"
    made = f"made on {_day(second.key.created)}"
    who = prospect.look.identity.user
    return f"{who} has a second active key {mask(second.key.key_id)} ({made}, {text}), and AWS allows no third"


def _day(moment: datetime) -> str:
    """`4 February 2026`; strftime's "%-d" is not known on Windows."""
    return f"{moment.day} {moment:%B %Y}"
