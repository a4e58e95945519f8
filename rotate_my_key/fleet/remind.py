"""`fleet remind`: the letters go out, what was told is remembered, the admins get their digest.

- Everything is rendered before anything is sent: a template that is wrong stops a run that has done nothing yet.
- An owner who cannot be told is a row and stops nobody else. What passes by itself (throttled, offline) is tried again
  after the others had their turn; a channel that fails one after the other is given a rest until then.
- What was told is written into the users' tags right after it was delivered, owner by owner, so that a run that is
  killed has told nobody twice. When time is up the rest are rows and the digest still goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from threading import Lock

from ..core.errors import Denied, Problem, TryLater, WrongUsage
from ..core.parallel import Pool
from ..settings.fleet import FleetSettings
from .accounts import AwsOrganization
from .audit import AuditTrail
from .judge import Addresses, Row, included, judge
from .memory import KeyMemory, Memory, recall, ref, tag_value
from .messages import (
    Channels,
    Letter,
    Renderer,
    digest_letters,
    digest_of,
    findings_of,
    letters,
    rehearse,
)
from .model import AccountSurvey, Event, Finder, Owner
from .notices import Digest, KeyLine, NoticePlan, PlannedNotice, Remark, plan_notices
from .rules import UserFacts
from .survey import first_code


def after_notice(
    memory: Memory,
    key_ids: Iterable[str],
    today: date,
    warned: Collection[str] = (),
    recalled: Mapping[str, date] | None = None,
) -> dict[str, KeyMemory]:
    """The memory after one more notice about these keys, which said of the `warned` ones what will be done and when,
    and of the `recalled` ones from which day on; what else is known of them stays."""
    known = {each: memory.get(ref(each), KeyMemory()) for each in key_ids}
    notes = {
        ref(each): before.noticed(today, warned=each in warned, recalled=(recalled or {}).get(each))
        for each, before in known.items()
    }
    return {**memory, **notes}


_PAUSES = (0.0, 5.0, 20.0)  # seconds before each round of those that may pass by themselves
_IN_A_ROW = 5  # after so many the channel rests until the next round
_WORKERS = 4
_NO_TIME = "no time was left, so the next run notifies them"


@dataclass(frozen=True, slots=True)
class RemindContext:
    """What a run is handed: `sleep` in seconds; `time_left` gives the seconds until no further letter may begin."""

    organization: AwsOrganization
    sleep: Callable[[float], None]
    audit: AuditTrail | None = None
    time_left: Callable[[], float] = lambda: float("inf")
    progress: Callable[[int, int], None] = lambda done, total: None
    workers: int = _WORKERS


@dataclass(frozen=True, slots=True)
class RemindResult:
    """How a run ended: the digest as it was sent, each letter with its problem ("" if it arrived), and `code`, the exit
    code; `hints` say what to do about some problems."""

    digest: Digest
    letters: tuple[tuple[Letter, str], ...]
    code: int = 0
    hints: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Posting:
    """A letter, and what went wrong with it so far."""

    letter: Letter
    problem: Problem | None = None


@dataclass
class _Delivery:
    """The letters of one run on their way; `told` are owners who got theirs. Safe to share between threads."""

    settings: FleetSettings
    around: RemindContext
    renderer: Renderer
    told: set[Owner] = field(default_factory=set)
    forgotten: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)
    codes: set[int] = field(default_factory=set)
    failing: dict[str, int] = field(default_factory=dict)  # by channel: failures in a row
    lock: Lock = field(default_factory=Lock)

    def deliver(self, letters: Sequence[Letter]) -> list[_Posting]:
        """All of them, those of one owner one after the other."""
        postings = pending = [_Posting(letter) for letter in letters]
        for pause in _PAUSES:
            if not pending or self.around.time_left() <= pause:
                break
            self.around.sleep(pause) if pause else None
            self.failing.clear()
            by_owner = [list(mine) for _, mine in groupby(pending, lambda each: each.letter.planned)]
            with Pool(self.around.workers) as pool:
                pool.map(self._owner, by_owner, self.around.progress)
            pending = [each for each in pending if isinstance(each.problem, TryLater)]
        for each in pending:
            each.problem = each.problem or TryLater(_NO_TIME)
        problems = [each.problem for each in postings if each.problem]
        # A setting that shows itself as wrong only now (the secret of a chat) is no wrong command line.
        self.codes |= {Problem.code if isinstance(each, WrongUsage) else each.code for each in problems}
        return postings

    def _owner(self, postings: Sequence[_Posting]) -> None:
        arrived = [each.letter for each in postings if self._send(each)]
        mine = [letter for letter in arrived if letter.planned and not letter.escalation]
        planned = mine[0].planned if mine else None
        if not planned:
            return
        with self.lock:
            first = planned.notice.owner not in self.told
            self.told.add(planned.notice.owner)
        if first:
            self._remember(planned, addressed=any(letter.channel.personal for letter in mine))
            self._record(planned, ", ".join(letter.channel.name for letter in mine))

    def _send(self, posting: _Posting) -> bool:
        channel = posting.letter.channel
        try:
            if self.around.time_left() <= 0:
                raise TryLater(_NO_TIME)
            if self.failing.get(channel.name, 0) >= _IN_A_ROW:
                raise TryLater(f"channel {channel.name} kept failing")
            channel.deliver(posting.letter.message)
            posting.problem = None
        except Problem as problem:
            posting.problem = problem
        with self.lock:
            failures = self.failing.get(channel.name, 0) + isinstance(posting.problem, TryLater)
            self.failing[channel.name] = failures if posting.problem else 0
        return posting.problem is None

    def _remember(self, planned: PlannedNotice, *, addressed: bool) -> None:
        """Write down that the owner of these keys was told of them, as a notice before an act only if they were
        `addressed`; a row for each user of whom that is not possible.
        Who is told without being remembered is told again by the next run."""
        users: dict[tuple[str, str], list[tuple[Row, UserFacts, KeyLine]]] = {}
        for (row, facts), line in zip(planned.cases, planned.notice.keys, strict=True):
            users.setdefault((row.account.number, row.user.arn), []).append((row, facts, line))
        for found in users.values():
            row, facts, _ = found[0]
            account, user, tag = row.account, row.user, self.settings.remind.tag
            _, why = recall(user, tag)
            told = {each.key.key_id: line for each, _, line in found if each.key.key_id}
            if not why and len(told) < len(found):
                why = "the ID of a key is unknown"
            warned = [each for each, line in told.items() if line.off and addressed]
            days = {each: line.off.date() for each, line in told.items() if line.recall and line.off and addressed}
            memory = after_notice(facts.memory, told, self.renderer.now.date(), warned, days)
            known = [key.key_id for key in user.keys]
            keep = [key_id for key_id in known if key_id] if all(known) else None
            try:
                if why:
                    raise Problem(why)
                self.around.organization.directory(account).tag(user.name, tag, tag_value(memory, tag, keep))
            except Problem as problem:
                with self.lock:
                    self.forgotten.append(Remark(f"{user.name} in {account}", problem.message, problem.hint))
                    if isinstance(problem, Denied | TryLater):  # a full tag is no fault of the run
                        self.codes.add(problem.code)

    def _record(self, planned: PlannedNotice, over: str) -> None:
        if not self.around.audit:
            return
        owner, now = planned.notice.owner, self.renderer.now
        who = owner.address or owner.name
        said = {"owner": who, "channels": over, "notice": str(planned.notice.number)}
        events = [
            Event(
                now,
                "notified",
                row.account.number,
                row.user.name,
                row.key.key_id or "",
                f"{line.state}, {row.age.days} days old",
                self.settings.fingerprint,
                details=said | ({"coming": "deactivate", "not_before": f"{line.off:%Y-%m-%d}"} if line.off else {}),
            )
            for (row, _), line in zip(planned.cases, planned.notice.keys, strict=True)
        ]
        try:
            self.around.audit.record(*events)
        except Problem as problem:
            with self.lock:
                self.notes.append(Remark(who, problem.message))
                self.codes.add(problem.code)


def prepare(
    surveys: Sequence[AccountSurvey],
    settings: FleetSettings,
    mapping: Addresses,
    now: datetime,
    places: Finder = lambda account, user: "",
) -> tuple[NoticePlan, Digest]:
    """Decide who is told of what, out of what was found in the accounts, and give the digest's share of it; `places`
    says where new keys wait."""
    rows = [row for row in judge(surveys, settings, mapping, now) if included(row.user, settings, None)]
    found = findings_of(surveys, rows, now)
    ended = tuple(Remark("the settings", said) for said in settings.ended(now.date()))
    return plan_notices(rows, settings, now, places), replace(found, notes=(*found.notes, *ended))


def preview(
    plan: NoticePlan, findings: Digest, channels: Channels, settings: FleetSettings, renderer: Renderer
) -> RemindResult:
    """A run in which all goes well, of which nothing is sent or remembered. Raises WrongUsage for a template."""
    rehearse(settings, renderer)
    ready = letters(plan, channels, settings, renderer)
    reached = {letter.planned.notice.owner for letter in ready if letter.planned and not letter.escalation}
    told = [planned for planned in plan.now if planned.notice.owner in reached]
    digest = digest_of(plan, findings, told, channels, renderer)
    last = digest_letters(digest, channels, settings, renderer)
    return RemindResult(digest, tuple((letter, "") for letter in (*ready, *last)), findings.code)


def remind(
    plan: NoticePlan,
    findings: Digest,
    channels: Channels,
    settings: FleetSettings,
    renderer: Renderer,
    around: RemindContext,
) -> RemindResult:
    """Send everything. Raises WrongUsage for a template that cannot be rendered, before anything was sent."""
    ready = preview(plan, findings, channels, settings, renderer)
    owners = _Delivery(settings, around, renderer)
    posted = owners.deliver([letter for letter, _ in ready.letters if letter.planned])
    failed = [(each.letter.about, each.problem) for each in posted if each.problem]
    digest = replace(
        ready.digest,
        told=tuple(each.notice for each in plan.now if each.notice.owner in owners.told),
        undelivered=tuple(Remark(about, problem.message, problem.hint) for about, problem in failed),
        forgotten=tuple(sorted(owners.forgotten)),
        notes=(*findings.notes, *sorted(owners.notes)),
    )
    admins = _Delivery(settings, replace(around, time_left=lambda: max(around.time_left(), 1.0)), renderer)
    posted += admins.deliver(digest_letters(digest, channels, settings, renderer))
    problems = [each.problem for each in posted if each.problem]
    return RemindResult(
        digest,
        tuple((each.letter, each.problem.message if each.problem else "") for each in posted),
        first_code(owners.codes | admins.codes | {findings.code}),
        {each.message: each.hint for each in problems if each.hint},
    )
