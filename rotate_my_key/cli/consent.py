"""The questions of `rotate`, asked before the lock. Without a terminal nothing is asked: exit 4, naming the flag."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import NeedsPerson, mask
from ..policy import Policy
from ..rotation.prepare import Prospect
from ..words import span
from . import show
from .app import App
from .copies import OtherCopies

_ONLY_HERE = "Only this computer is updated; anything else that uses this key stops working."


class Consent:
    """Asks the person. `yes` is --yes, `flag` the same command with it, `replace_inactive` the setting; `foreign` names
    endpoints that are not AWS's."""

    def __init__(
        self,
        app: App,
        policy: Policy,
        *,
        yes: bool,
        flag: str,
        replace_inactive: bool,
        foreign: Callable[[Prospect], Sequence[str]],
        copies: OtherCopies,
    ) -> None:
        self._app = app
        self._policy = policy
        self._flag = flag
        self._replace_inactive = replace_inactive
        self._foreign = foreign
        self._copies = copies
        self.asks = not yes
        self.attended = app.terminal

    def agree(self, prospects: Sequence[Prospect]) -> bool:
        """Tell what will happen and ask once, whatever the number of keys."""
        for prospect in prospects:
            self.introduce(prospect)
        self._copies.tell([prospect.request.pair for prospect in prospects])
        it = "it" if len(prospects) == 1 else f"these {len(prospects)} keys"
        agreed = self._app.confirm(f"Rotate {it} now?", default=True, flag=self._flag)
        if agreed:
            self._copies.ask()
        return agreed

    def introduce(self, prospect: Prospect) -> None:
        """The lines before the question, also where nothing is asked."""
        say = self._app.complain if self.asks else self._app.say  # what is asked about is said with --quiet too
        for line in show.header(prospect, self._policy, self._foreign(prospect)):
            say(line)
        for warning in prospect.warnings if self.asks else ():
            say(f"{self._app.style('note:', fg='yellow')} {warning}")
        if self.asks:
            say(_ONLY_HERE)
        else:
            self._copies.tell([prospect.request.pair])

    def give_up(self, prospect: Prospect) -> bool:
        """Whether the inactive second key may go: `--yes` is not consent to that, the setting and a yes here are."""
        if self._replace_inactive:
            return True
        if not self.asks or not self._app.terminal:
            return False
        second = prospect.second
        if second is None:
            raise NeedsPerson("there is no second key", self._flag)
        now = prospect.look.now
        self._app.say(
            f"{prospect.look.identity.user} has a second key {mask(second.key.key_id)}, switched off, "
            f"{span(now - second.key.created)} old, {show.last_used(second.last_use, now)}; AWS allows no third."
        )
        return self._app.confirm(f"Delete {mask(second.key.key_id)} to make room?", default=False, flag=self._flag)
