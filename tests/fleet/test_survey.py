"""The survey of many accounts: which calls it makes, what it knows, what becomes of trouble; and its threads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from rotate_my_key.core.errors import Denied, Gone, Interrupted, Problem, Throttled, TryLater, WrongUsage
from rotate_my_key.core.model import RECALL_KEY, LastUse, Recall
from rotate_my_key.core.policy import Policy
from rotate_my_key.fleet.model import AccountSurvey, FleetUser, SurveySource
from rotate_my_key.fleet.survey import ReportWait, at_work, survey_accounts
from rotate_my_key.settings.fleet import Accounts, Exempt, FleetSettings, Rule, Who

from .fakes import NOW, FakeDirectory, FakeOrganization, rows, spoil

DAY = timedelta(days=1)
USED = LastUse(NOW - DAY, "s3", "eu-west-1")
MANY = FleetSettings(accounts=Accounts(role="fleet"))


def waiting(slept: list[float] | None = None) -> ReportWait:
    """A clock that goes on by a second with each look."""
    return ReportWait((slept if slept is not None else []).append, count().__next__)


def look(*directories: FakeDirectory, settings: FleetSettings | None = None, **more: Any) -> list[AccountSurvey]:
    """Survey these accounts."""
    settings = settings or (MANY if len(directories) > 1 else FleetSettings())
    return survey_accounts(FakeOrganization(*directories), settings, NOW, more.pop("waits", waiting()), **more)


def one(directory: FakeDirectory, **more: Any) -> AccountSurvey:
    """Survey one account."""
    (survey,) = look(directory, **more)
    return survey


def called(survey: AccountSurvey, name: str) -> FleetUser:
    """The user of this name."""
    (found,) = [user for user in survey.users if user.name == name]
    return found


@pytest.fixture
def directory() -> FakeDirectory:
    """An account without users."""
    return FakeDirectory()


@pytest.fixture
def aws() -> FakeDirectory:
    """An account with fresh, due, overdue and unused keys."""
    directory = FakeDirectory()
    for name, age in (("fresh", 10), ("due", 80), ("overdue", 98)):
        directory.user(name)
        directory.key(name, age, use=USED)
    directory.user("unused", 50)
    directory.user("nobody")
    return directory


def test_5000_users_with_nothing_flagged_cost_two_calls(directory: FakeDirectory) -> None:
    """The report is asked for and fetched; whoever needs no attention costs nothing."""
    for number in range(5000):
        directory.user(f"user{number}", 10)
    survey = one(directory)
    assert directory.calls == Counter(request_report=1, report=1)
    assert len(survey.users) == 5001
    assert survey.users[0].is_root


TAGGED = Rule(tags=("team=red",), limits={"max_age": 20 * DAY, "remind_before": 11 * DAY})
STRICT, LENIENT = Policy(8 * DAY, DAY), Policy(400 * DAY, DAY)
ASKED: dict[str, tuple[FleetSettings, int, int, list[str]]] = {
    "who is due, overdue or does not use their key": (FleetSettings(), 3, 3, ["due", "overdue", "unused"]),
    "whoever may be under a shorter limit": (FleetSettings(limits=(TAGGED,)), 4, 4, []),
    "who is certainly not, as before": (FleetSettings(limits=(replace(TAGGED, names=("due",)),)), 3, 3, []),
    "who may be, by name and tag": (FleetSettings(limits=(replace(TAGGED, names=("f*",)),)), 4, 4, []),
    "nobody who is not included": (FleetSettings(include=(Who(names=("due",)),)), 1, 1, ["due"]),
    "more under a stricter policy, not what is off": (FleetSettings(policy=STRICT, unused_after=365 * DAY), 4, 4, []),
    "fewer under another": (FleetSettings(policy=LENIENT, unused_after=365 * DAY), 0, 0, []),
    "with `exact` everybody who has a key": (FleetSettings(exact=True), 5, 3, []),
}


@pytest.mark.parametrize("sentence", ASKED)
def test_of_whom_more_is_asked(aws: FakeDirectory, sentence: str) -> None:
    """Each flagged user costs two calls, for keys and for tags, and nobody else costs any."""
    settings, keys, tags, tagged = ASKED[sentence]
    aws.user("off")
    aws.key("off", 200, "Inactive")  # needs no attention however old it is
    survey = one(aws, settings=settings)
    assert aws.calls == +Counter(request_report=1, report=1, keys=keys, tags=tags)
    if tagged:
        assert [user.name for user in survey.users if user.tags is not None] == tagged
    if settings.include:
        assert [user.name for user in survey.users] == ["due"]
    else:
        looked_at = [bool(called(survey, name).keys[0].key_id) for name in ("fresh", "off")]
        assert looked_at == [keys > 3, settings.exact]
    assert bool(called(survey, "due").keys[0].key_id) is (keys > 0)


def test_what_the_list_knows_better(directory: FakeDirectory) -> None:
    """IDs and exact ages are the list's: the report's date moves when a key is switched off and on again, and where its
    last use is older than that it is noticed. A last use is the report's, but of a key made since. AWS says in a column
    of its own that a user has more keys than the report tells of."""
    for name in ("moved", "late", "later"):
        directory.user(name)
    moved, late, old = (directory.key(*each, use=USED) for each in (("moved", 98), ("late", 200), ("later", 98)))
    directory.changed = {moved: NOW - 80 * DAY, late: NOW - DAY / 2}
    directory.unreported = {new := directory.key("later", 0.01, use=LastUse(NOW, "sts", "us-east-1"))}
    directory.user("many", 1, 2, 100)
    survey = one(directory)
    found = {key.key_id: key for user in survey.users for key in user.keys}
    assert {each: (found[each].created, found[each].last_use) for each in (moved, late, old, new)} == {
        moved: (NOW - 98 * DAY, USED),
        late: (NOW - 200 * DAY, USED),
        old: (NOW - 98 * DAY, USED),
        new: (NOW - 0.01 * DAY, LastUse(NOW, "sts", "us-east-1")),
    }
    assert len(called(survey, "many").keys) == 3
    assert directory.calls == Counter(request_report=1, report=1, keys=4, tags=4, last_use=2)  # of `new` and of a third


def test_exact_finds_what_looks_younger(aws: FakeDirectory) -> None:
    """A key that was switched off and on looks younger in the report; `exact` finds it all the same."""
    aws.user("late")
    aws.changed[aws.key("late", 98, use=LastUse(NOW, "s3", "eu-west-1"))] = NOW - 5 * DAY
    assert called(one(aws), "late").keys[0].key_id is None
    late = called(one(aws, settings=FleetSettings(exact=True)), "late")
    assert (late.keys[0].created, late.tags) == (NOW - 98 * DAY, {})


def test_what_was_settled_since_the_report_needs_no_attention(directory: FakeDirectory) -> None:
    """A key that was deleted, or switched off, since the report is not called overdue."""
    directory.user("alice", 98)
    directory.user("bob", 98)
    directory.user("carol", 98)
    text = directory.report()
    directory.report = lambda: text  # type: ignore[method-assign]  # the report is of earlier
    (key_id,) = directory.everybody["alice"].keys
    directory.set_active("alice", key_id, False)
    directory.everybody["bob"].keys.clear()
    del directory.everybody["carol"]
    directory.calls.clear()
    survey = one(directory)
    assert [(user.name, [key.active for key in user.keys]) for user in survey.users if not user.is_root] == [
        ("alice", [False]),
        ("bob", []),
    ]
    assert directory.calls["tags"] == 0


# Waiting for reports


def test_a_report_is_waited_for(directory: FakeDirectory) -> None:
    """AWS needs some seconds to make one."""
    directory.waits = 3
    slept: list[float] = []
    survey = one(directory, waits=waiting(slept))
    assert (survey.source, survey.problem) == (SurveySource.REPORT, "")
    assert directory.calls == Counter(request_report=4, report=2)
    assert slept == [0.25, 0.5, 1.0, 2.0]
    directory.waits = 6  # half a minute costs ten calls: each pause is twice the one before
    directory.calls.clear()
    one(directory, waits=waiting(slept))
    assert 30 < sum(slept[4:]) < 35
    assert directory.calls.total() + 1 == 10


def test_all_accounts_are_asked_before_any_is_waited_for() -> None:
    """AWS makes the reports of all accounts at the same time. So the first are there when the last was asked for, and
    are not asked for again: two calls an account."""
    directories = [FakeDirectory(f"{number:012d}") for number in range(1, 4)]
    for each in directories:
        each.waits = 2
    order: list[str] = []
    waits = ReportWait(lambda seconds: order.append("waits"), count().__next__)
    look(*directories, waits=waits, progress=lambda what, done, total: order.append(what), workers=1)
    assert order.index("waits") > len(order) - 1 - order[::-1].index("asking for reports")
    for each in directories:
        each.waits = 1
        each.calls.clear()
    look(*directories, waits=waiting(slept := []))
    assert ([each.calls for each in directories], slept) == ([Counter(request_report=1, report=1)] * 3, [])


def test_a_report_that_is_of_no_use(aws: FakeDirectory) -> None:
    """Where it never comes, or cannot be read, the users are listed instead, and that is said. One that expired is
    asked for again."""
    spoil(aws, "report", Gone("the report has expired"), times=1)
    assert (one(aws).source, aws.calls["request_report"], aws.calls["report"]) == (SurveySource.REPORT, 2, 1)
    aws.waits = 10_000
    survey = one(aws)
    assert survey.notes == (f"{LISTED}: the credential report was not ready after 180 s",)
    assert (survey.source, bool(called(survey, "due").keys[0].key_id)) == (SurveySource.LISTS, True)
    aws.waits, aws.report = 0, lambda: ("user,arn\n", NOW)  # type: ignore[method-assign]
    survey = one(aws)
    assert (survey.source, len(survey.users)) == (SurveySource.LISTS, 5)
    assert "has no column user_creation_time" in survey.notes[0]


def test_a_recall_is_read_of_everybody_only_where_that_is_asked_for(directory: FakeDirectory) -> None:
    """One call more for each user with a key that works; then the keys of those who have a mark."""
    marked = {RECALL_KEY: Recall(NOW - DAY, NOW + DAY, "lost").value}
    directory.user("alice", 10, **marked)
    directory.user("bob", 10)
    directory.user("carol")
    assert called(one(directory), "alice").tags is None
    assert directory.calls == Counter(request_report=1, report=1)
    directory.calls.clear()
    survey = one(directory, recalls=at_work)
    assert called(survey, "alice").keys[0].key_id and called(survey, "alice").tags == marked
    assert directory.calls == Counter(request_report=1, report=1, tags=2, keys=1)
    spoil(directory, "tags", TryLater("throttled"))
    assert one(directory, recalls=at_work).notes[-1].startswith("the tags of one user are unknown")


# What breaks

NO_REPORT, BUSY = Denied("no report", action="iam:GenerateCredentialReport"), Throttled("busy")
KEYS, TAGS = Denied("no keys", "ask IT", action="iam:ListAccessKeys"), Denied("no", action="iam:ListUserTags")
RAISED: dict[str, Problem] = {
    "no_report": NO_REPORT,
    "busy": BUSY,
    "no_keys": KEYS,
    "no_tags": TAGS,
    "gone": Gone("there is no user"),
    "no_lists": Denied("no lists", action="iam:ListUsers"),
    "throttled": TryLater("throttled"),
    "no_group": Denied("iam:GetGroup is denied", action="iam:GetGroup"),
}
LISTED = "users were listed instead, without the keys of root"
BROKEN = rows(
    """
without the report ids, ages, last uses and tags come from lists | request_report=no_report | - 0
    | LISTED: no report | request_report=1 users=1 keys=5 last_use=4 tags=3
where lists are denied too both reasons are told | request_report=no_report users=no_lists | no lists 5
    | LISTED: no report | request_report=1 users=1
a report that is throttled for a minute is told from an account that is throttled | request_report=busy | - 0
    | LISTED: busy | request_report=1 users=1 keys=5 last_use=4 tags=3
an account that is throttled is not asked user by user | request_report=busy users=busy | busy 75
    | LISTED: busy | request_report=1 users=1
lists of which all fail leave nothing known | request_report=no_report keys=no_keys | no keys 5
    | LISTED: no report | request_report=1 users=1 keys=5
what the report tells is kept, without ids, and that ages are not exact is said | keys=no_keys | - 5
    | IDs and exact ages of the keys of 3 users are unknown: no keys | request_report=1 report=1 keys=3 tags=3
tags that are denied are not no tags | tags=no_tags | - 0
    | the tags of 3 users are unknown, and so are exemptions, recalls and owners by tag
    | request_report=1 report=1 keys=3 tags=3
a last use that is throttled is unknown, and not never | request_report=no_report last_use=throttled | - 0
    | LISTED: no report; the last use of 4 keys is unknown | request_report=1 users=1 keys=5 last_use=3 tags=2
groups that are denied leave it open who is exempt | members=no_group | - 0
    | who is in group bots, and so exempt, is unknown: iam:GetGroup is denied
    | request_report=1 report=1 members=1 keys=3 tags=3
a user who goes meanwhile is no trouble | tags=gone | - 0 | | request_report=1 report=1 keys=3 tags=3
""",
    5,
)


@pytest.mark.parametrize(("sentence", "broken", "ends", "said", "asked"), BROKEN, ids=[row[0] for row in BROKEN])
def test_what_breaks(sentence: str, broken: str, ends: str, said: str, asked: str, aws: FakeDirectory) -> None:
    """Each row is a sentence, what fails, why the account could not be looked at, the exit code, notes and calls."""
    aws.broken = {verb: RAISED[name] for verb, name in (each.split("=") for each in broken.split())}
    *words, code = ends.split()
    problem = " ".join(words).removeprefix("-")
    groups = ("bots",) if "members" in aws.broken else ()
    survey = one(aws, settings=FleetSettings(exempt=Exempt(groups=groups)), workers=1)
    notes = tuple(filter(None, said.replace("LISTED", LISTED).split("; ")))
    assert (survey.problem, survey.code, survey.notes) == (problem, int(code), notes)
    assert aws.calls == {verb: int(times) for verb, times in (each.split("=") for each in asked.split())}
    assert survey.source is (SurveySource.LISTS if "request_report" in aws.broken else SurveySource.REPORT)
    assert survey.hint == ("ask IT" if problem == "no keys" else "")
    assert bool(problem) is (survey.users == ()) is (survey.at is None)
    if aws.broken.keys() == {"request_report"}:
        assert (called(survey, "due").keys[0].last_use, survey.at) == (USED, NOW)
    if "last_use" in aws.broken:
        assert all(key.last_use is None for user in survey.users for key in user.keys)
    if aws.broken == {"keys": KEYS}:
        (key,) = called(survey, "overdue").keys
        assert (key.key_id, key.created, key.last_use) == (None, NOW - 98 * DAY, USED)
    if aws.broken == {"tags": TAGS}:
        assert called(survey, "overdue").tags is None
    if groups:
        assert called(survey, "overdue").groups is None
    if "goes meanwhile" in sentence:
        assert [user.name for user in survey.users] == ["root", "fresh", "nobody"]


@pytest.mark.parametrize(
    ("problem", "code"),
    [(Denied("sts:AssumeRole is denied", action="sts:AssumeRole"), 5), (TryLater("AWS cannot be reached"), 75)],
)
def test_where_lists_would_end_the_same_way_they_are_not_tried(problem: Problem, code: int) -> None:
    """No role or no network: the account's row says so, and the other accounts are looked at."""
    bad, good = FakeDirectory("111111111111"), FakeDirectory("222222222222")
    bad.broken["request_report"] = problem
    good.user("alice", 98)
    first, second = look(bad, good)
    assert (first.problem, first.code, first.users) == (problem.message, code, ())
    assert bad.calls == Counter(request_report=1)
    assert (second.problem, second.code) == ("", 0)
    assert called(second, "alice").keys[0].key_id


def test_some_that_are_not_known_are_counted(directory: FakeDirectory) -> None:
    """A user whose keys are not known, and a key of after the report whose use AWS does not tell."""
    directory.user("alice", 98)
    directory.user("bob", 98)
    directory.unreported = {directory.key("alice", 0)}
    directory.broken["last_use"] = TryLater("throttled")
    assert one(directory).notes == ("the last use of one key is unknown",)
    directory.broken["request_report"] = NO_REPORT
    spoil(directory, "keys", TryLater("AWS is throttling"), lambda user: user == "bob")
    survey = one(directory)
    assert [user.name for user in survey.users] == ["alice"]
    assert (survey.notes[1], survey.code) == ("the keys of one user are unknown: AWS is throttling", 75)


@pytest.mark.parametrize("verb", ["keys", "tags"])
def test_an_account_that_is_throttled_is_not_asked_on(verb: str, directory: FakeDirectory) -> None:
    """After all patience with one user the others would take as long each."""
    for number in range(50):
        directory.user(f"user{number}", 98)
    directory.broken[verb] = TryLater("throttled")
    survey = one(directory, workers=1)
    assert (directory.calls[verb], survey.code, len(survey.users)) == (1, 75, 51)
    assert all(user.tags is None for user in survey.users)


@pytest.mark.parametrize("verb", ["request_report", "report", "keys", "tags", "members"])
def test_ctrl_c_is_no_account_s_problem(aws: FakeDirectory, verb: str) -> None:
    """Who stops at the question for a code stops all of it."""
    aws.broken[verb] = Interrupted("stopped")
    with pytest.raises(Interrupted):
        one(aws, settings=FleetSettings(exempt=Exempt(groups=("bots",))))


def test_exempt_groups_are_read_once_an_account(aws: FakeDirectory, directory: FakeDirectory) -> None:
    """One call a group, if anybody needs attention at all."""
    aws.everybody["overdue"].groups = {"bots"}
    settings = FleetSettings(exempt=Exempt(groups=("bots", "gone")))
    survey = one(aws, settings=settings)
    assert (called(survey, "overdue").groups, called(survey, "due").groups) == ({"bots"}, frozenset())
    directory.user("fresh", 1)
    one(directory, settings=settings)
    assert (aws.calls["members"], directory.calls["members"]) == (2, 0)


# Which accounts


ONE, TWO, THREE = ("1" * 12, "2" * 12, "3" * 12)
NONE, NOT_OURS = "there is no account to check", f"{TWO} is not your own .*, and no role is set"
WHICH: list[tuple[Accounts, list[str], AbstractContextManager[object]]] = [
    (Accounts(), [ONE], nullcontext()),
    (Accounts(only=(ONE,)), [ONE], nullcontext()),
    (Accounts(only=(TWO,)), [], pytest.raises(WrongUsage, match=NOT_OURS)),
    (Accounts(role="fleet"), [ONE, TWO, THREE], nullcontext()),
    (Accounts(role="fleet", but=(TWO,)), [ONE, THREE], nullcontext()),
    (Accounts(role="fleet", only=(THREE,)), [THREE], nullcontext()),
    (Accounts(role="fleet", but=(ONE, TWO, THREE)), [], pytest.raises(Problem, match=NONE)),
]


@pytest.mark.parametrize(("accounts", "numbers", "ends"), WHICH)
def test_which_accounts(accounts: Accounts, numbers: list[str], ends: AbstractContextManager[object]) -> None:
    """Without a role it is the own account, and others are refused before anything is asked; with one it is those of
    the organization, as the settings say. Looking at nothing is not finding nothing."""
    organization = FakeOrganization(*map(FakeDirectory, (ONE, TWO, THREE)))
    with ends:
        surveys = survey_accounts(organization, FleetSettings(accounts=accounts), NOW, waiting())
        assert [survey.account.number for survey in surveys] == numbers


def test_where_the_organization_does_not_tell() -> None:
    """Denied, it is not known which accounts there are; only without a role it is not asked. Without an active account
    there is nothing to look at."""
    organization = FakeOrganization(FakeDirectory(ONE), FakeDirectory(TWO))
    organization.broken = Denied("organizations:ListAccounts is denied")
    assert len(survey_accounts(organization, FleetSettings(), NOW, waiting())) == 1
    with pytest.raises(Denied):
        survey_accounts(organization, MANY, NOW, waiting())
    organization = FakeOrganization(FakeDirectory(ONE))
    organization.accounts = lambda: ()  # type: ignore[method-assign]
    with pytest.raises(Problem, match=NONE):
        survey_accounts(organization, MANY, NOW, waiting())


# Threads


def test_order_and_progress() -> None:
    """Surveys come in the organization's order, whichever ended first; progress counts up."""
    directories = [FakeDirectory(f"{number:012d}") for number in range(1, 30)]
    for each in directories:
        each.user("alice", 98)
    seen: list[tuple[str, int, int]] = []
    surveys = look(*directories, progress=lambda *now: seen.append(now), workers=4)
    assert [survey.account.number for survey in surveys] == [each.account.number for each in directories]
    for what in ("asking for reports", "collecting reports", "looking at users"):
        assert [done for said, done, _ in seen if said == what] == list(range(30))


def test_an_interruption_is_not_waited_out() -> None:
    """What was not begun is dropped."""
    directories = [FakeDirectory(f"{number:012d}") for number in range(1, 100)]

    def stop(what: str, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look(*directories, progress=stop, workers=1)
    assert sum(each.calls["request_report"] for each in directories) < 99


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    """Threads of one test do not run into the next."""

    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:  # an idle pool of another test's does not end
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(5)
    assert threading.active_count() <= len(before)


# Accounts that do not answer


def hanging(number: str, passed: list[float], verb: str) -> FakeDirectory:
    """Each call of a verb lets twenty seconds pass: a read timeout of ten, and the one try more."""
    directory = FakeDirectory(number)
    directory.broken = {"request_report": Throttled("throttled")} if verb == "users" else {}

    def call() -> None:
        directory.calls[verb] += 1
        passed.append(20)
        raise TryLater("iam.amazonaws.com does not answer in time", "repeat the command later")

    setattr(directory, verb, call)
    return directory


def hang(verb: str, accounts: int) -> tuple[list[AccountSurvey], list[FakeDirectory], float]:
    """Survey accounts that do not answer, one after the other; gives the seconds that it took."""
    passed: list[float] = []  # only pauses and calls that hang take time
    found = [hanging(f"{number:012d}", passed, verb) for number in range(accounts)]
    waits = ReportWait(passed.append, lambda: sum(passed))
    return survey_accounts(FakeOrganization(*found), MANY, NOW, waits, workers=1), found, sum(passed)


@pytest.mark.parametrize("verb", ["request_report", "report", "users"])
def test_where_nobody_answers_the_rest_is_not_asked(verb: str) -> None:
    """A report is tried once, for the call was tried again already where it was made: three minutes of that would be
    for nothing. Hundreds of accounts would take hours; each of them says why it was not looked at."""
    surveys, found, seconds = hang(verb, 2)
    assert [(each.problem, each.code) for each in surveys] == [("iam.amazonaws.com does not answer in time", 75)] * 2
    assert ([each.calls[verb] for each in found], seconds) == ([1, 1], 40)
    surveys, found, seconds = hang(verb, 300)
    assert (sum(each.calls[verb] for each in found), seconds) == (16, 320)
    assert surveys[-1].problem == "not tried any more: iam.amazonaws.com does not answer in time"
    assert (surveys[-1].code, surveys[-1].hint) == (75, "repeat the command later")


def test_one_answer_is_enough_to_go_on() -> None:
    """Accounts that hang here and there do not keep the others from being asked."""
    passed: list[float] = []
    hangs = [(f"{number:012d}", number % 10) for number in range(60)]
    found = [hanging(number, passed, "report") if hung else FakeDirectory(number) for number, hung in hangs]
    waits = ReportWait(passed.append, lambda: sum(passed))
    survey_accounts(FakeOrganization(*found), MANY, NOW, waits, workers=1)
    assert all(each.calls["report"] == 1 for each in found)
