"""A company of twenty kinds of people, day by day: `remind`, `enforce` and the sweep run each morning, for real but for
AWS, which is in memory. People do what their mail says, as their kind does it.

Day 0 is when the first keys were made. A, B, C, ... are a person's keys in the order in which they were made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from rotate_my_key.core.model import Identity, LastUse
from rotate_my_key.fleet.actions import Notifier
from rotate_my_key.fleet.audit import AuditRun
from rotate_my_key.fleet.cleanup import Sweeper, sweep
from rotate_my_key.fleet.enforce import carry_out
from rotate_my_key.fleet.enforce_plan import EnforceContext, check, enforces, plan_run
from rotate_my_key.fleet.handover import SecretStore, finder, waiting
from rotate_my_key.fleet.messages import Channels, Renderer
from rotate_my_key.fleet.model import Message
from rotate_my_key.fleet.reissue import keymaker
from rotate_my_key.fleet.remind import RemindContext, prepare, remind
from rotate_my_key.fleet.survey import ReportWait, survey_accounts
from rotate_my_key.settings.fleet import ChannelSettings, Enforce, FleetSettings, Owners, Remind
from rotate_my_key.settings.fleet_ini import PRESETS, with_preset
from rotate_my_key.state.transit import read_delivery
from tests.fleet.fakes import FakeAudit, FakeChannel, FakeDirectory, FakeOrganization
from tests.fleet.reissue.world import FakeSecrets, Points

START = datetime.fromisoformat("2026-01-05T09:00:00+00:00")
DAY = timedelta(days=1)
RENDERER = Renderer("", START)  # templates are compiled once
ADOPT, PLACE = "rotate-my-key adopt", r"rotate-my-key adopt secretsmanager:arn:\S+:secret:(\S+/{}/handover)-AbCdEf"
OFF = re.compile(r"deactivated on (\d+ [A-Z][a-z]+ \d{4})")
MASKED = re.compile(r"\.\.\.(\w{4})")
BASE = FleetSettings(
    owners=Owners(by=("tag",)),
    channels={name: ChannelSettings(name, "ses") for name in ("mail", "chat")},
    remind=Remind(owners=("mail",), admins=("chat",), escalate=("chat",)),
    enforce=Enforce(accounts=("123456789012",), weekdays=("mon", "tue", "wed", "thu", "fri", "sat", "sun")),
)


@dataclass
class Kind:
    """What somebody is like. `keys` are their ages on day 0 and whether they work; `after` is how many days they take
    to do what a mail says (None: never), `reads` which command they can type; `away` are days without a mail read or a
    key used. `own` is after how many days they rotate without being told."""

    keys: tuple[tuple[int, str], ...] = ((0, "Active"),)
    after: int | None = 1
    reads: tuple[str, ...] = ("adopt", "rotate")
    away: range = range(0)
    uses: bool = True
    own: int = 0
    since: int = 0
    until: int = 10**6
    path: str = "/"
    tags: dict[str, str] = field(default_factory=dict)
    address: str | None = None
    stubborn: bool = False  # switches on again what was switched off
    password: bool = True


TWO, SPARE, OLD = ((40, "Active"), (0, "Active")), ((40, "Inactive"), (0, "Active")), ((150, "Active"),)
KINDS: dict[str, Kind] = {
    "prompt": Kind(),
    "slow": Kind(after=6),
    "late": Kind(after=25),
    "never": Kind(after=None),
    "idle": Kind(after=None, uses=False),
    "leave": Kind(away=range(55, 105)),
    "bot": Kind(after=None, tags={"rotate-my-key": "exempt"}),
    "service": Kind(after=None, path="/services/"),
    "nobody": Kind(after=None, address=""),
    "lost": Kind(after=2, reads=("adopt",), uses=False),
    "typist": Kind(after=2, reads=("rotate",)),
    "two": Kind(TWO),
    "twoidle": Kind(TWO, after=None),
    "spare": Kind(SPARE),
    "full": Kind(((95, "Active"), (50, "Inactive"))),
    "fullnever": Kind(((95, "Active"), (50, "Inactive")), after=None),
    "old": Kind(OLD),
    "oldnever": Kind(OLD, after=None),
    "joiner": Kind(since=100, after=None),
    "monthly": Kind(own=28),
    "stubborn": Kind(after=None, stubborn=True),
    "leaver": Kind(after=None, until=75),
    "boss": Kind(address="prompt@example.com"),
    "foreign": Kind(after=None, tags={"rotate-my-key-fleet": "owned by the data team"}),
}


@dataclass
class Days:
    """The company. `log` has for each person what happened, by day; `mails` each mail, by day; `secrets` what waits."""

    settings: FleetSettings
    kinds: dict[str, Kind] = field(default_factory=lambda: KINDS)
    directory: FakeDirectory = field(default_factory=FakeDirectory)
    mail: FakeChannel = field(default_factory=FakeChannel)
    chat: FakeChannel = field(default_factory=lambda: FakeChannel("chat", wants_address=False))
    audit: Any = field(default_factory=FakeAudit)
    log: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    todo: list[tuple[int, str, str]] = field(default_factory=list)  # on which day who does what their mail said
    today: int = -1
    names: dict[str, str] = field(default_factory=dict)  # of keys, by id

    def __post_init__(self) -> None:
        self.directory.now = START
        self.organization = FakeOrganization(self.directory)
        self.held = FakeSecrets(Points(), self.now)
        self.audit.run = AuditRun("20260105T090000Z-run", "enforce")
        self.me = Identity("123456789012", "arn:aws:sts::123456789012:assumed-role/fleet/it")
        self.log = {name: [] for name in self.kinds}

    # What `Assembly` gives

    def now(self) -> datetime:
        """AWS's clock."""
        return self.directory.now

    @property
    def cloud(self) -> Any:
        """Secrets Manager alone."""
        return self

    def secrets(self, region: str = "") -> FakeSecrets:
        """See AwsCloud."""
        return self.held

    # A day

    def live(self, days: int, every: int = 1) -> Days:
        """So many days, with runs on every so many."""
        for day in range(days + 1):
            self.today, self.directory.now = day, START + day * DAY
            self._people()
            if day % every == 0:
                self._runs()
        return self

    def _people(self) -> None:
        for name, kind in self.kinds.items():
            if self.today == kind.since:
                self._joins(name, kind)
            if self.today == kind.until:
                del self.directory.everybody[name]
                self._say(name, "leaves")
            user = self.directory.everybody.get(name)
            if not user or self.today in kind.away:
                continue
            for key in list(user.keys.values()):
                if not key.active and kind.stubborn and user.used[key.key_id].at:
                    self.directory.set_active(name, key.key_id, True)
                    self._say(name, f"switches {self.names[key.key_id]} on")
                if kind.uses and key.active and not self._waits(key.key_id):
                    user.used[key.key_id] = LastUse(self.now() - timedelta(hours=1), "s3", "eu-west-1")
            newest = max((key.created for key in user.keys.values()), default=self.now())
            if kind.own and self.now() - newest >= kind.own * DAY:
                self._rotates(name)
        due = [each for each in self.todo if each[0] <= self.today and self.today not in self.kinds[each[1]].away]
        self.todo = [each for each in self.todo if each not in due]
        for _, name, text in due:
            self._does(name, text)

    def _joins(self, name: str, kind: Kind) -> None:
        address = f"{name}@example.com" if kind.address is None else kind.address
        user = self.directory.user(name, path=kind.path, **kind.tags)
        user.tags |= {"owner": address} if address else {}
        user.created, user.password = START, kind.password
        for age, status in kind.keys:
            self._named(name, self.directory.key(name, age, status))

    def _named(self, name: str, key_id: str) -> str:
        mine = [each for each in self.names if each in self.directory.everybody[name].used]
        self.names.setdefault(key_id, chr(ord("A") + len(mine)))
        return self.names[key_id]

    def _does(self, name: str, text: str) -> None:
        """What the mail says: to take over what waits, or to rotate what is theirs."""
        user, place = self.directory.everybody.get(name), re.search(PLACE.format(name), text)
        if not user or f" of {name} in " not in text:
            return
        if place and "adopt" in self.kinds[name].reads and (stored := self.held.held.get(place[1])):
            delivery = read_delivery(stored.value)
            self.directory.delete(name, delivery.pair.key_id)
            if delivery.replaces in user.keys:
                self.directory.delete(name, delivery.replaces)
            self.held.held.pop(place[1])
            self._say(name, f"adopts, {self._own(name)}")
            return
        old = any(f"{key_id[-4:]} of {name} in " in text for key_id in user.keys)  # else it is done already
        if old and not place and "rotate" in self.kinds[name].reads:
            self._rotates(name)

    def _rotates(self, name: str) -> None:
        """Their oldest key that works, as the laptop does it: not while one of IT's waits; of two the older goes."""
        keys = sorted(self.directory.everybody[name].keys.values(), key=lambda key: key.created)
        active = [key for key in keys if key.active]
        if not active:
            return
        if self._waits(active[-1].key_id):
            self._say(name, "is told to adopt")
            return
        for key in keys:
            if not key.active and len(keys) > 1:
                self.directory.delete(name, key.key_id)
        self.directory.delete(name, active[0].key_id)
        became = self._own(name) if len(active) == 1 else self.names[active[1].key_id]
        self._say(name, f"rotates {self.names[active[0].key_id]} to {became}")

    def _waits(self, key_id: str) -> bool:
        return key_id in str([each.value for each in self.held.held.values()])

    def _own(self, name: str) -> str:
        pair, _ = self.directory.create(name)
        self.directory.everybody[name].used[pair.key_id] = LastUse(self.now(), "s3", "eu-west-1")
        return self._named(name, pair.key_id)

    # IT

    def _runs(self) -> None:
        self.audit.events.clear()
        RENDERER.now = self.now()
        for run, hour in ((self._enforce, 9), (self._remind, 10), (self._sweep, 11)):
            self.directory.now = START + self.today * DAY + (hour - 9) * DAY / 24
            before = {name: dict(user.keys) for name, user in self.directory.everybody.items()}
            sent = len(self.mail.sent)
            run()
            for name, keys in before.items():
                self._changes(name, keys)
            for message in self.mail.sent[sent:]:
                self._arrives(message)

    @property
    def channels(self) -> Channels:
        """Mail for owners, a chat for admins."""
        return Channels((self.mail,), (self.chat,), (self.chat,))

    def _remind(self) -> None:
        surveys = survey_accounts(
            self.organization,  # type: ignore[arg-type]
            self.settings,
            self.now(),
            ReportWait(lambda seconds: None, lambda: 0.0),
            workers=1,
        )
        places = finder(self.cloud, self.organization, self.settings)  # type: ignore[arg-type]
        plan, findings = prepare(surveys, self.settings, {}, self.now(), places)
        channels = self.channels if self.settings.remind.owners else replace(self.channels, owners=(), escalate=())
        around = RemindContext(self.organization, lambda seconds: None, self.audit, workers=1)  # type: ignore[arg-type]
        remind(plan, findings, channels, self.settings, RENDERER, around)

    def _enforce(self) -> None:
        if not enforces(self.settings):
            return
        check(self.settings, apply=True)
        places = finder(self.cloud, self.organization, self.settings)  # type: ignore[arg-type]
        notifier = Notifier(self.channels, self.settings, RENDERER)
        context = EnforceContext(
            self.organization,  # type: ignore[arg-type]
            self.settings,
            {},
            notifier,
            self.now,
            lambda seconds: None,
            workers=1,
            places=places,
        )
        maker = keymaker(self, self.settings, self.audit, self._pause)  # type: ignore[arg-type]
        carry_out(plan_run(context), context, self.audit, maker)

    def _pause(self, seconds: float) -> None:
        self.directory.now += timedelta(seconds=seconds)

    def _sweep(self) -> None:
        if self.settings.reissue.enabled:
            store = waiting(self.cloud, self.organization, self.settings)  # type: ignore[arg-type]
            assert isinstance(store, SecretStore)
            list(sweep(Sweeper(self.organization, store, self.settings, self.audit, self.now)))  # type: ignore[arg-type]

    # What is seen of it

    def _changes(self, name: str, before: dict[str, Any]) -> None:
        after = self.directory.everybody[name].keys
        for key_id, key in after.items():
            if key_id not in before:
                self._say(name, f"IT makes {self._named(name, key_id)}")
            elif before[key_id].active and not key.active:
                self._say(name, f"{self.names[key_id]} off")
        for key_id, key in before.items():
            if key_id not in after:
                assert not key.active or key_id not in str(self.log), "an active key is deleted"
                self._say(name, f"{self.names[key_id]} gone")

    def _arrives(self, message: Message) -> None:
        """A mail is said by what is to be typed, and when what will be done."""
        text = " ".join(message.text.split())
        days = [(datetime.strptime(day, "%d %B %Y") - START.replace(tzinfo=None)).days + 1 for day in OFF.findall(text)]  # noqa: DTZ007
        types = "adopt" if ADOPT in text else "rotate" if "rotate-my-key" in text else "done"
        said = f"mail: {types}" + (f", off {', '.join(map(str, days))}" if days else "")
        for name, kind in self.kinds.items():
            address = f"{name}@example.com" if kind.address is None else kind.address
            if message.to == address and name in self.directory.everybody and name != "boss":
                self._say(name, said)
            if message.to == address and kind.after is not None and types != "done":
                self.todo.append((self.today + kind.after, name, message.text))

    def _say(self, name: str, what: str) -> None:
        self.log[name].append((self.today, what))

    def said(self, name: str) -> str:
        """One line."""
        rows: list[tuple[list[int], str]] = []
        for day, what in self.log[name]:
            days = rows[-1][0] if rows and rows[-1][1] == what else []
            if days and (len(days) == 1 or day - days[-1] == days[-1] - days[-2]) and day > days[-1]:
                days.append(day)
            else:
                rows.append(([day], what))
        return "; ".join(f"{', '.join(map(str, days)) if len(days) < 3 else _span(days)} {what}" for days, what in rows)

    @property
    def table(self) -> str:
        """All of them."""
        return "\n".join(f"{name}: {self.said(name) or 'nothing'}" for name in self.kinds)


def _span(days: list[int]) -> str:
    """`90-198 every 3`."""
    step = days[1] - days[0]
    return f"{days[0]}-{days[-1]}" + (f" every {step}" if step > 1 else "")


def company(preset: str) -> Days:
    """Everybody, under a preset."""
    found = with_preset(preset, BASE)
    return Days(
        replace(found, exempt=replace(found.exempt, paths=("/services/",)), enforce=replace(found.enforce, most=99))
    )


if __name__ == "__main__":  # for the golden table
    print("\n\n".join(f"== {preset}\n{company(preset).live(200).table}" for preset in PRESETS))
