"""Who is exempt, as it is right before an act: between the plan and the act a person was asked, which may take hours.

The members of exempt groups are read again once an account, and when they are older than a minute; the user himself for
each act, for his path may say that he is exempt. Somebody else who has got his name is another user.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..errors import Gone, Problem
from ..faults import fault
from ..settings.fleet import FleetSettings
from .acting import ActionResult, ActionState, Actor
from .decisions import Act, Skipped, SkipRule
from .user_facts import AccountView, members_again

STALE = timedelta(minutes=1)


@dataclass(slots=True)
class Recheck:
    """For one run; `now` is AWS's clock."""

    settings: FleetSettings
    now: Callable[[], datetime]
    _places: dict[str, tuple[datetime, AccountView]] = field(default_factory=dict)

    def act(self, actor: Actor, act: Act, place: AccountView) -> ActionResult | Skipped:
        """What `Actor.act` makes of it, if its user is not exempt by now. Raises what that raises."""
        try:
            fresh = self.before(act, place)
        except Problem as problem:
            return ActionResult(
                act, place.account, ActionState.FAILED, "whether its user is exempt cannot be read", problem
            )
        return fresh if isinstance(fresh, Skipped) else actor.act(*fresh)

    def before(self, act: Act, place: AccountView) -> tuple[Act, AccountView] | Skipped:
        """The act and the account as they are now. Raises Problem: who does not know who is exempt does nothing."""
        assert place.directory
        try:
            found = place.directory.find(act.user.name)
        except Gone:
            return Skipped(SkipRule.CHANGED, act.user, act.key, "there is no such user any more")
        if act.user.created and found.created and found.created != act.user.created:
            return Skipped(SkipRule.CHANGED, act.user, act.key, "another user has got his name")
        user = replace(act.user, arn=found.arn, created=found.created, signed_in=found.signed_in)
        return replace(act, user=user), self._place(place)

    def _place(self, place: AccountView) -> AccountView:
        number, now = place.account.number, self.now()
        if number not in self._places or now - self._places[number][0] > STALE:
            self._places[number] = (now, members_again(place, self.settings))
        return self._places[number][1]


def faulty(act: Act, place: AccountView, error: Exception) -> ActionResult:
    """An act that ended in a fault of ours: nobody knows how far it came."""
    return ActionResult(act, place.account, ActionState.UNKNOWN, "what came of it is not known", fault(error))
