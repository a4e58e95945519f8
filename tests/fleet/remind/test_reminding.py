"""A run: what is sent, what is remembered, and what becomes of what goes wrong."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rotate_my_key.core.errors import Denied, Interrupted, Problem, TryLater, WrongUsage
from rotate_my_key.core.model import FLEET_KEY
from rotate_my_key.fleet.judge import Row
from rotate_my_key.fleet.memory import decode, ref
from rotate_my_key.fleet.messages import Channels, Renderer
from rotate_my_key.fleet.model import Message
from rotate_my_key.fleet.notices import Digest, Remark, plan_notices
from rotate_my_key.fleet.remind import RemindContext, RemindResult, remind
from rotate_my_key.settings.fleet import Enforce, FleetSettings, Remind
from tests.fleet.fakes import NOW, FakeAudit, FakeChannel, FakeDirectory, FakeOrganization
from tests.fleet.remind.cases import found_in

SETTINGS = FleetSettings(remind=Remind(owners=("mail",), admins=("ops",), escalate=("boss",)))
DAY = timedelta(days=1)


class Flaky(FakeChannel):
    """Raises for some addresses, some times."""

    def __init__(self, name: str, problem: Problem, times: dict[str, int], wants_address: bool = True) -> None:
        super().__init__(name, wants_address)
        self.problem = problem
        self.times = Counter(times)
        self.tried: list[str] = []

    def deliver(self, message: Message) -> None:
        """See the port."""
        self.tried.append(message.to)
        if self.times[message.to] > 0:
            self.times[message.to] -= 1
            raise self.problem
        super().deliver(message)


@dataclass
class Office:
    """Accounts, channels and a clock; `day` counts the days since NOW."""

    mail: FakeChannel = field(default_factory=FakeChannel)
    ops: FakeChannel = field(default_factory=lambda: FakeChannel("ops", wants_address=False))
    boss: FakeChannel = field(default_factory=lambda: FakeChannel("boss", wants_address=False))
    book: FakeAudit = field(default_factory=FakeAudit)
    directories: list[FakeDirectory] = field(default_factory=lambda: [FakeDirectory(name="production")])
    slept: list[float] = field(default_factory=list)
    settings: FleetSettings = SETTINGS
    owner: str = ""
    time_left: Callable[[], float] = lambda: float("inf")
    sleep: Callable[[float], None] | None = None
    findings: Digest = field(default_factory=lambda: Digest(NOW))
    others: tuple[FakeChannel, ...] = ()

    @property
    def home(self) -> FakeDirectory:
        """The first account."""
        return self.directories[0]

    def run(self, day: float = 0, workers: int = 1) -> RemindResult:
        """One run of the fleet."""
        channels = Channels((self.mail, *self.others), (self.ops,), (self.boss,))
        return self.remind(found_in(self.directories, NOW + day * DAY, self.owner), channels, NOW + day * DAY, workers)

    def remind(self, cases: list[Row], channels: Channels, now: datetime = NOW, workers: int = 1) -> RemindResult:
        """Tell of these cases over these channels."""
        around = RemindContext(
            FakeOrganization(*self.directories),
            self.sleep or self.slept.append,
            self.book,
            self.time_left,
            workers=workers,
        )
        plan = plan_notices(cases, self.settings, now)
        templates = Renderer(self.settings.remind.templates, now)
        return remind(plan, self.findings, channels, self.settings, templates, around)

    def tag(self, name: str, directory: FakeDirectory | None = None) -> str | None:
        """What is remembered of a user."""
        return (directory or self.home).everybody[name].tags.get(FLEET_KEY)


def addresses(channel: FakeChannel) -> list[str]:
    """Whom it wrote to."""
    return [message.to for message in channel.sent]


def texts(remarks: Iterable[Remark]) -> list[str]:
    """Rows of the digest as text."""
    return [f"{remark.about}: {remark.text}" for remark in remarks]


@pytest.fixture
def office() -> Office:
    """An account in which alice's key is overdue, bob's is due, and carol's is new."""
    found = Office()
    for name, age in (("alice", 98), ("bob", 80), ("carol", 3)):
        found.home.user(name, age)
    return found


def test_owners_are_told_and_it_is_remembered(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """Each gets one mail; the tag says on which day; the admins get their digest; the audit has a line a key, and the
    log none. Without an old key the digest comes all the same: silence means that the run did not happen."""
    caplog.set_level(logging.DEBUG)
    done = office.run()
    assert addresses(office.mail) == ["alice@example.com", "bob@example.com"]
    (key_id,) = office.home.everybody["alice"].keys
    assert office.tag("alice") == f"1 {ref(key_id)}:n1:f20261125:l20261125"
    assert office.tag("carol") is None
    assert [message.subject for message in office.ops.sent] == ["AWS access keys: 1 overdue, 1 due"]
    assert "2 owners notified now" in office.ops.sent[0].text
    assert (done.code, office.boss.sent, caplog.records) == (0, [], [])
    (first, _) = office.book.events
    assert (first.what, first.user, first.key_id, first.why) == ("notified", "alice", key_id, "overdue, 98 days old")
    assert first.details == {"owner": "alice@example.com", "channels": "mail", "notice": "1"}
    for name in ("alice", "bob"):
        del office.home.everybody[name]
    assert office.run(1).code == 0
    assert office.ops.sent[1].subject == "AWS access keys: none due"


def test_days_of_runs(office: Office) -> None:
    """A daily run tells every third day, the fourth notice goes to others too, and a replaced key ends it."""
    for day in range(12):
        office.run(day)
        if day == 10:
            office.home.everybody["alice"].keys.clear()
            office.home.key("alice", 0)
    assert addresses(office.mail).count("alice@example.com") == 4  # days 0, 3, 6, 9
    assert len(office.ops.sent) == 12
    assert [message.subject for message in office.boss.sent] == [
        "AWS access keys: alice@example.com has not acted on 3 reminders",
        "AWS access keys: bob@example.com has not acted on 3 reminders",
    ]
    assert "0 owners notified now, 2 notified recently" in office.ops.sent[1].text
    assert "Reminders without effect (2)" in office.ops.sent[10].text
    assert "Reminders without effect (1)" in office.ops.sent[11].text


def test_one_mail_for_all_accounts(office: Office) -> None:
    """One owner, two accounts: one mail, and each account's user remembers; in each account by itself."""
    other = FakeDirectory("210987654321", "staging")
    other.user("deploy", 100)
    other.broken["tag"] = Denied("AWS does not allow iam:TagUser", action="iam:TagUser")
    office.directories.append(other)
    office.owner = "alice"
    done = office.run()
    assert addresses(office.mail) == ["alice@example.com"]
    assert "deploy in staging (210987654321)" in office.mail.sent[0].text
    assert (office.tag("alice"), office.tag("bob")) != (None, None)
    assert office.tag("deploy", other) is None
    assert texts(done.digest.forgotten) == ["deploy in staging (210987654321): AWS does not allow iam:TagUser"]
    assert done.code == 5


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({f"t{n}": "" for n in range(50)}, "the user has 50 tags already"),
        ({FLEET_KEY: "of the data team"}, f"the tag {FLEET_KEY} was not written by this version"),
    ],
)
def test_what_cannot_be_remembered_is_a_row(office: Office, tags: dict[str, str], said: str) -> None:
    """The notice goes out, at every run; the tag stays as it was; it is no fault of the run."""
    office.home.everybody["alice"].tags.update(tags)
    for day in range(2):
        done = office.run(day)
        assert [said in text for text in texts(done.digest.forgotten)] == [True]
        assert done.code == 0
    assert office.home.everybody["alice"].tags == tags
    assert addresses(office.mail).count("alice@example.com") == 2
    assert "notified again by the next run (1)" in office.ops.sent[1].text


def test_nothing_is_remembered_that_was_not_delivered(office: Office) -> None:
    """A mail that fails is a row; the others are told; the next run tries again."""
    office.mail = Flaky("mail", Problem("the address is suppressed"), {"alice@example.com": 1})
    done = office.run()
    assert addresses(office.mail) == ["bob@example.com"]
    assert (office.tag("alice"), done.code) == (None, 1)
    assert texts(done.digest.undelivered) == ["alice@example.com via mail: the address is suppressed"]
    assert [event.user for event in office.book.events] == ["bob"]
    office.run(1)
    assert addresses(office.mail) == ["bob@example.com", "alice@example.com"]


def test_throttling_is_tried_again_after_the_others(office: Office) -> None:
    """Alice is throttled twice: bob is told first, then she is, and nothing is wrong in the end. Who stays throttled is
    a row, exit code 75."""
    office.mail = flaky = Flaky("mail", TryLater("SES is busy"), {"alice@example.com": 2})
    done = office.run()
    assert addresses(office.mail) == ["bob@example.com", "alice@example.com"]
    assert (office.slept, done.code, done.digest.undelivered) == ([5.0, 20.0], 0, ())
    assert office.tag("alice") is not None
    assert flaky.tried.count("bob@example.com") == 1
    flaky.times["alice@example.com"] = 9
    done = office.run(3)
    assert texts(done.digest.undelivered) == ["alice@example.com via mail: SES is busy"]
    assert done.code == 75


def test_a_channel_that_is_down_is_given_a_rest() -> None:
    """It is not asked a thousand times with patience each: five failures in a row end a round."""
    office = Office()
    for number in range(40):
        office.home.user(f"user{number:02d}", 98)
    down = {f"user{number:02d}@example.com": 99 for number in range(40)}
    office.mail = flaky = Flaky("mail", TryLater("SES is busy"), down)
    done = office.run()
    assert len(flaky.tried) == 15
    assert len(done.digest.undelivered) == 40
    assert len(office.ops.sent) == 1


def test_when_time_is_up_the_digest_still_goes_out(office: Office) -> None:
    """Who was not told is a row, and the next run tells him."""
    office.time_left = lambda: 10.0 if not office.mail.sent else 0.0
    done = office.run()
    assert addresses(office.mail) == ["alice@example.com"]
    assert texts(done.digest.undelivered) == [
        "bob@example.com via mail: no time was left, so the next run notifies them"
    ]
    assert len(office.ops.sent) == 1
    assert (office.tag("bob"), done.code) == (None, 75)


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Denied("AWS does not allow sns:Publish", action="sns:Publish"), 5),
        (WrongUsage("the secret contains no URL"), 1),  # a setting that is wrong only when used is no wrong usage
    ],
)
def test_a_digest_that_does_not_arrive(office: Office, problem: Problem, code: int) -> None:
    """The owners were told all the same; whoever started the run learns of it by the exit code."""
    office.ops.broken = problem
    done = office.run()
    assert (done.code, len(office.mail.sent)) == (code, 2)
    assert [said for letter, said in done.letters if letter.planned is None] == [problem.message]


def test_two_channels_for_owners(office: Office) -> None:
    """One arrives, one does not: he was told, and the other is a row; without an address only the chat is used."""
    chat = FakeChannel("chat", wants_address=False)
    office.others = (chat,)
    office.mail.broken = Problem("no")
    done = office.run()
    assert len(chat.sent) == 2 and not any(message.to for message in chat.sent)
    assert office.tag("alice") is not None
    assert texts(done.digest.undelivered) == ["alice@example.com via mail: no", "bob@example.com via mail: no"]
    assert done.digest.unaddressed == ()
    assert office.book.events[0].details["channels"] == "chat"


@pytest.mark.parametrize("personal", [True, False])
def test_a_post_in_a_room_counts_as_no_notice(office: Office, personal: bool) -> None:
    """It is remembered, so that the room has peace; but it is no notice before an act, as mail is."""
    office.settings = replace(
        office.settings, enforce=Enforce(deactivate_at=timedelta(days=100), accounts=("123456789012",))
    )
    office.others = (FakeChannel("chat", wants_address=False),)
    office.others[0].personal, office.mail.broken = personal, Problem("no")
    office.run()
    (known,) = decode(office.tag("alice")).values()
    assert (known.notices, known.warnings) == (1, int(personal))


def test_a_second_try_remembers_once(office: Office) -> None:
    """Told over the chat at once and by mail in the second round: that is one notice."""
    office.others = (FakeChannel("chat", wants_address=False),)
    office.mail = Flaky("mail", TryLater("busy"), {"alice@example.com": 1})
    office.run()
    (known,) = decode(office.tag("alice")).values()
    assert known.notices == 1
    assert [event.user for event in office.book.events].count("alice") == 1


def test_an_escalation_is_no_notice(office: Office) -> None:
    """Where his mail does not arrive, his superiors learn of it, but he was not told: nothing is counted."""
    for day in (0, 3, 6):
        office.run(day)
    office.mail.broken = Problem("no such mailbox")
    before = office.tag("alice")
    done = office.run(9)
    assert office.tag("alice") == before
    assert len(office.boss.sent) == 2
    assert [event.what for event in office.book.events].count("notified") == 6
    assert done.code == 1


def test_what_fails_around_the_letters_is_a_row(office: Office) -> None:
    """An account that could not be looked at leads the digest, an audit that cannot be written stands in it; everybody
    is told all the same. Of several exit codes 1 comes first."""
    office.findings = Digest(NOW, broken=(Remark("staging", "AWS does not allow sts:AssumeRole"),), code=5)
    assert office.run().code == 5
    assert "Could not be checked (1)\n  staging: AWS does not allow sts:AssumeRole" in office.ops.sent[0].text
    office.book.good = 0
    done = office.run(3)
    assert "alice@example.com: the audit cannot be written (disk full)" in texts(done.digest.notes)
    assert (done.code, len(office.mail.sent)) == (1, 4)


def test_a_watch_tells_admins_only(office: Office) -> None:
    """Without channels for owners nobody else is told and no tag is written: reading is enough."""
    done = office.remind(found_in(office.directories, NOW), Channels(admins=(office.ops,)))
    assert len(office.ops.sent) == 1
    assert office.home.calls["tag"] == 0
    assert (done.digest.told, done.code) == ((), 0)


def test_a_wrong_template_stops_a_run_that_has_done_nothing(office: Office, tmp_path: Path) -> None:
    """The digest's too: nobody is told, and nothing is written."""
    (tmp_path / "digest.txt.j2").write_text("Subject: x\n{{ nothing }}\n")
    office.settings = replace(SETTINGS, remind=replace(SETTINGS.remind, templates=str(tmp_path)))
    with pytest.raises(WrongUsage, match="digest"):
        office.run()
    assert (office.mail.sent, office.home.calls["tag"]) == ([], 0)


def test_ctrl_c_ends_it_and_nobody_is_told_twice(office: Office) -> None:
    """What was delivered is remembered, so the next run goes on behind it."""
    office.mail = Flaky("mail", Interrupted("stopped"), {"bob@example.com": 1})
    with pytest.raises(Interrupted):
        office.run()
    office.run()
    assert sorted(addresses(office.mail)) == ["alice@example.com", "bob@example.com"]


def test_many_owners_at_once() -> None:
    """Side by side each is told once and remembered once."""
    office = Office()
    for number in range(60):
        office.home.user(f"user{number:02d}", 98)
    done = office.run(workers=8)
    assert sorted(addresses(office.mail)) == [f"user{number:02d}@example.com" for number in range(60)]
    assert all((office.tag(f"user{number:02d}") or "").count(":n1:") == 1 for number in range(60))
    assert done.code == 0
