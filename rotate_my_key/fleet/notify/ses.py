"""Mail through Amazon SES."""

from __future__ import annotations

from ...errors import Problem, TryLater, WrongUsage
from ...settings.fleet import ChannelSettings
from ..model import Message
from ..notices import one_line
from ..ports import Mail

_SANDBOX = (
    "SES is in its sandbox here: it delivers to verified addresses only and refuses all others; "
    "ask AWS for production access in the console of SES"
)


class MailChannel:
    """Writes to the address of a message, or where it has none to the channel's own `to`."""

    def __init__(self, settings: ChannelSettings, mail: Mail) -> None:
        self._settings = settings
        self._mail = mail

    @property
    def name(self) -> str:
        """See the port."""
        return self._settings.name

    @property
    def wants_address(self) -> bool:
        """See the port."""
        return True

    def deliver(self, message: Message) -> None:
        """One mail to each address, so that nobody sees the others'.

        Raises TryLater only if it arrived nowhere: who has it need not get it twice.
        """
        addresses = (message.to,) if message.to else self._settings.to
        if not addresses:
            raise WrongUsage(f"channel {self.name} has no address to write to", f"set to in [[{self.name}]]")
        problems = [problem for to in addresses if (problem := self._send(to, message))]
        if len(addresses) == 1 and problems:
            raise problems[0]
        if problems:
            kind = TryLater if len(problems) == len(addresses) and _all_pass(problems) else Problem
            first = problems[0]
            raise kind(f"{len(problems)} of {len(addresses)} addresses: {first.message}", first.hint)

    def _send(self, to: str, message: Message) -> Problem | None:
        try:
            subject = one_line(message.subject)
            self._mail.send(self._settings.sender, one_line(to), subject, message.text, message.html)
        except Problem as problem:
            return problem
        return None

    def check(self) -> tuple[str, ...]:
        """Whether it is still in its sandbox. Raises what asking raises."""
        sandbox = self._mail.sandbox()
        if sandbox is None:
            return (f"channel {self.name}: whether SES is in its sandbox may not be asked (ses:GetAccount)",)
        return (f"channel {self.name}: {_SANDBOX}",) if sandbox else ()


def _all_pass(problems: list[Problem]) -> bool:
    return all(isinstance(problem, TryLater) for problem in problems)
