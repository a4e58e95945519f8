"""What people are told of acts on their keys: owners of what will be done and what was, admins of the whole run.

A line has no field for a secret, and its key is a masked id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..errors import Problem, WrongUsage, mask
from ..settings.fleet import FleetSettings
from .acting import ActionResult, ActionState
from .decisions import Act, ActionKind
from .letters import Channels
from .model import AwsAccount, Message, Owner
from .notices import Remark, one_line
from .ports import Channel
from .rendering import Renderer

WORDS = {ActionKind.DEACTIVATE: "switched off", ActionKind.DELETE: "deleted", ActionKind.REISSUE: "replaced"}


@dataclass(frozen=True, slots=True)
class ActionLine:
    """One key in a message. `coming` is what will be done to it, on the day `at` at the earliest; `done` what was;
    `place` is where a new key waits. `why` is a clause."""

    account: AwsAccount
    user: str
    key: str
    why: str
    coming: str = ""
    at: datetime | None = None
    done: str = ""
    place: str = ""


def coming(act: Act, account: AwsAccount) -> ActionLine:
    """For a notice that comes before an act."""
    word = WORDS[act.coming or ActionKind.DEACTIVATE]
    return ActionLine(account, act.user.name, mask(act.key.key_id or ""), act.why, coming=word, at=act.at)


def done(deed: ActionResult) -> ActionLine:
    """For what was done."""
    act = deed.act
    key = mask(act.key.key_id or "")
    if act.kind is ActionKind.REISSUE:
        return ActionLine(deed.account, act.user.name, key, f"it is {act.why}", place=deed.place)
    return ActionLine(deed.account, act.user.name, key, act.why, done=WORDS[act.kind], place=deed.place)


@dataclass(frozen=True, slots=True)
class Notifier:
    """Renders and delivers. Raises nothing but Interrupted, and WrongUsage from `check`."""

    outlets: Channels
    settings: FleetSettings
    renderer: Renderer
    command: str = ""  # with the options by which it was called, to take back what was done

    def reaches(self, owner: Owner) -> tuple[Channel, ...]:
        """The channels by which an owner can be told."""
        return tuple(each for each in self.outlets.owners if owner.address or not each.wants_address)

    def check(self, now: datetime) -> None:
        """Render each template once, so that a wrong one is met before anything is done. Raises WrongUsage."""
        line = ActionLine(AwsAccount("123456789012"), "alice", "...MPLE", "old", coming="switched off", at=now)
        for each in (line, replace(line, coming="", done="deleted"), replace(line, coming="", place="s3://b/n")):
            self._owner([each], "")
            self._admins([each], *[[Remark("a", "b")]] * 4)

    def tell(self, owner: Owner, lines: Sequence[ActionLine]) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
        """Tell an owner; gives the names of the channels that took it, and what went wrong with the others."""
        message = self._owner(lines, owner.address)
        return _deliver([(each, _for(each, message)) for each in self.reaches(owner)])

    def report(
        self,
        deeds: Iterable[ActionResult],
        unsure: Sequence[Remark],
        unheard: Sequence[Remark],
        broken: Sequence[Remark],
    ) -> tuple[Problem, ...]:
        """Tell the admins what a run did, what it could not know and whom it could not tell, if there is anything."""
        all_deeds = list(deeds)
        lines = [
            done(deed)
            for deed in all_deeds
            if deed.state is ActionState.DONE and deed.act.kind is not ActionKind.NOTIFY
        ]
        failures = [failure(deed) for deed in all_deeds if deed.problem or deed.state is not ActionState.DONE]
        if not (lines or failures or unsure or unheard or broken):
            return ()
        message = self._admins(lines, failures, unsure, unheard, broken)
        return _deliver([(each, message) for each in self.outlets.admins])[1]

    def _owner(self, lines: Sequence[ActionLine], to: str) -> Message:
        said = {"contact": one_line(self.settings.contact), "link": one_line(self.settings.remind.link)}
        return self.renderer.message("act", {"lines": lines, **said}, to)

    def _admins(self, lines: Sequence[ActionLine], *remarks: Sequence[Remark]) -> Message:
        failures, unsure, unheard, broken = remarks
        said = {
            "policy": self.settings.fingerprint,
            "preset": self.settings.enforce.preset,
            "unsure": unsure,
            "unheard": unheard,
            "command": self.command or _command(self.settings.where),
        }
        return self.renderer.message("acts", {"lines": lines, "failures": failures, "broken": broken, **said})


def _command(where: str) -> str:
    """For a run that nobody typed: by settings that others can read too, if they are in a parameter."""
    return f"rotate-my-key fleet enforce{f' --settings {where}' if where.startswith('ssm:') else ''}"


def failure(deed: ActionResult) -> Remark:
    """A row about what did not work."""
    act = deed.act
    what = f"{mask(act.key.key_id or '')} of {act.user.name} in {deed.account}, {act.kind.value}"
    parts = [deed.note, deed.problem.message if deed.problem else ""]
    return Remark(what, f"{deed.state.value}: {'; '.join(part for part in parts if part)}")


def _for(channel: Channel, message: Message) -> Message:
    return message if channel.wants_address else replace(message, to="")


def _deliver(messages: Sequence[tuple[Channel, Message]]) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """One channel's failure keeps no other from it."""
    took: list[str] = []
    problems: list[Problem] = []
    for channel, message in messages:
        try:
            channel.deliver(message)
        except WrongUsage as wrong:  # of the settings, not of the command line: exit 1, as in `remind`
            problems.append(Problem(wrong.message, wrong.hint))
        except Problem as problem:
            problems.append(problem)
        else:
            took.append(channel.name)
    return tuple(took), tuple(problems)
