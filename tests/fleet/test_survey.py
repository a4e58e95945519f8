"""The survey of many accounts: which calls it makes, what it knows, what becomes of trouble; and its threads."""

from __future__ import annotations

import _thread
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from threading import Barrier, Event

import pytest

from rotate_my_key.core.errors import Denied, Gone, Interrupted, Problem, TryLater, WrongUsage
from rotate_my_key.core.model import LastUse
from rotate_my_key.core.parallel import Pool
from rotate_my_key.core.policy import Policy
from rotate_my_key.fleet.model import AccountSurvey, FleetUser, SurveySource
from rotate_my_key.fleet.survey import ReportWait, survey_accounts
from rotate_my_key.settings.fleet import Accounts, Exempt, FleetSettings

from .fakes import NOW, FakeDirectory, FakeOrganization, spoil

DAY = timedelta(days=1)
USED = LastUse(NOW - DAY, "s3", "eu-west-1")
MANY = FleetSettings(accounts=Accounts(role="fleet"))


def waiting() -> ReportWait:
    """A clock that goes on by a second with each look."""
    return ReportWait(lambda seconds: None, count().__next__)


def look(*directories: FakeDirectory, settings: FleetSettings | None = None, **more: object) -> list[AccountSurvey]:
    """Survey these accounts."""
    settings = settings or (MANY if len(directories) > 1 else FleetSettings())
    return survey_accounts(FakeOrganization(*directories), settings, NOW, waiting(), **more)  # type: ignore[arg-type]


def one(directory: FakeDirectory, **more: object) -> AccountSurvey:
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


def test_each_flagged_user_costs_two_calls(aws: FakeDirectory) -> None:
    """Keys and tags are listed for who is due, overdue or does not use his key, and for nobody else."""
    survey = one(aws)
    assert aws.calls == Counter(request_report=1, report=1, keys=3, tags=3)
    assert [user.name for user in survey.users if user.tags is not None] == ["due", "overdue", "unused"]


def test_ids_and_exact_ages_come_from_the_list(directory: FakeDirectory) -> None:
    """The report's date moves when a key is switched off and on again; the list's does not."""
    directory.user("alice")
    key_id = directory.key("alice", 98, use=USED)
    directory.changed[key_id] = NOW - 80 * DAY
    (key,) = called(one(directory), "alice").keys
    assert (key.key_id, key.created, key.last_use) == (key_id, NOW - 98 * DAY, USED)
    assert directory.calls["last_use"] == 0


def test_exact_lists_everybody_who_has_a_key(aws: FakeDirectory) -> None:
    """A key that was switched off and on looks younger in the report; `exact` finds it all the same."""
    aws.user("late")
    aws.changed[aws.key("late", 98, use=USED)] = NOW - 5 * DAY
    assert called(one(aws), "late").keys[0].key_id is None
    aws.calls.clear()
    survey = one(aws, settings=FleetSettings(exact=True))
    assert called(survey, "late").keys[0].created == NOW - 98 * DAY
    assert called(survey, "late").tags == {}
    assert called(survey, "fresh").keys[0].key_id
    assert aws.calls == Counter(request_report=1, report=1, keys=5, tags=4)


def test_keys_that_are_switched_off_need_no_attention(aws: FakeDirectory) -> None:
    """However old they are: they are as the report has them."""
    aws.user("off")
    aws.key("off", 200, "Inactive")
    assert called(one(aws), "off").keys[0].key_id is None


def test_who_has_more_keys_than_slots_is_listed(directory: FakeDirectory) -> None:
    """AWS says in a column of its own that the report does not tell of all keys."""
    directory.user("many", 1, 2, 100)
    assert len(called(one(directory), "many").keys) == 3


def test_a_key_made_after_the_report_is_asked_about(directory: FakeDirectory) -> None:
    """What the report does not know of a key, AWS is asked."""
    directory.user("alice")
    directory.key("alice", 98, use=USED)
    directory.unreported = {directory.key("alice", 0.01, use=LastUse(NOW, "sts", "us-east-1"))}
    old, new = called(one(directory), "alice").keys
    assert (old.last_use, new.last_use) == (USED, LastUse(NOW, "sts", "us-east-1"))
    assert directory.calls["last_use"] == 1


def test_what_was_settled_since_the_report_needs_no_attention(directory: FakeDirectory) -> None:
    """A key that was deleted, or switched off, since the report is not called overdue."""
    directory.user("alice", 98)
    directory.user("bob", 98)
    directory.user("carol", 98)
    organization = FakeOrganization(directory)
    text = directory.report()
    directory.report = lambda: text  # type: ignore[method-assign]  # the report is of earlier
    (key_id,) = directory.everybody["alice"].keys
    directory.set_active("alice", key_id, False)
    directory.everybody["bob"].keys.clear()
    del directory.everybody["carol"]
    directory.calls.clear()
    (survey,) = survey_accounts(organization, FleetSettings(), NOW, waiting())
    assert [(user.name, [key.active for key in user.keys]) for user in survey.users if not user.is_root] == [
        ("alice", [False]),
        ("bob", []),
    ]
    assert directory.calls["tags"] == 0


def test_the_policy_decides_who_is_flagged(aws: FakeDirectory) -> None:
    """Stricter settings flag more; the days of the last use too."""
    one(aws, settings=FleetSettings(policy=Policy(8 * DAY, DAY), unused_after=365 * DAY))
    assert aws.calls["keys"] == 4
    aws.calls.clear()
    one(aws, settings=FleetSettings(policy=Policy(400 * DAY, DAY), unused_after=365 * DAY))
    assert aws.calls["keys"] == 0


# Waiting for reports


def test_a_report_is_waited_for(directory: FakeDirectory) -> None:
    """AWS needs some seconds to make one."""
    directory.waits = 3
    slept: list[float] = []
    (survey,) = survey_accounts(
        FakeOrganization(directory), FleetSettings(), NOW, ReportWait(slept.append, count().__next__)
    )
    assert (survey.source, survey.problem) == (SurveySource.REPORT, "")
    assert directory.calls == Counter(request_report=4, report=2)
    assert slept == [0.25, 0.5, 1.0, 2.0]


def test_half_a_minute_of_waiting_costs_ten_calls(directory: FakeDirectory) -> None:
    """One to learn who we are, seven for asking, two for fetching: each pause is twice the one before."""
    directory.waits = 6
    slept: list[float] = []
    survey_accounts(FakeOrganization(directory), FleetSettings(), NOW, ReportWait(slept.append, count().__next__))
    assert 30 < sum(slept) < 35
    assert directory.calls.total() + 1 == 10


def test_all_accounts_are_asked_before_any_is_waited_for() -> None:
    """AWS makes the reports of all accounts at the same time."""
    directories = [FakeDirectory(f"{number:012d}") for number in range(1, 4)]
    for each in directories:
        each.waits = 2
    order: list[str] = []
    survey_accounts(
        FakeOrganization(*directories),
        MANY,
        NOW,
        ReportWait(lambda seconds: order.append("waits"), count().__next__),
        progress=lambda what, done, total: order.append(what),
        workers=1,
    )
    assert order.index("waits") > len(order) - 1 - order[::-1].index("asking for reports")


def test_a_report_that_came_meanwhile_is_not_asked_for_again() -> None:
    """With many accounts the first reports are there when the last was asked for: two calls an account."""
    directories = [FakeDirectory(f"{number:012d}") for number in range(1, 4)]
    for each in directories:
        each.waits = 1
    slept: list[float] = []
    survey_accounts(FakeOrganization(*directories), MANY, NOW, ReportWait(slept.append, count().__next__))
    assert [each.calls for each in directories] == [Counter(request_report=1, report=1)] * 3
    assert slept == []


def test_a_report_that_never_comes(directory: FakeDirectory) -> None:
    """After some minutes the users are listed instead, and that is said."""
    directory.user("alice", 98)
    directory.waits = 10_000
    survey = one(directory)
    assert survey.source is SurveySource.LISTS
    assert survey.notes == (
        "users were listed instead, and root's keys are not seen: the credential report did not come within 180 s",
    )
    assert called(survey, "alice").keys[0].key_id


# Without a report


def test_a_denied_report_falls_back_to_lists(aws: FakeDirectory) -> None:
    """Ids, ages, last uses, and the tags of whoever needs attention."""
    aws.broken["request_report"] = Denied("GenerateCredentialReport is denied", action="iam:GenerateCredentialReport")
    survey = one(aws)
    assert (survey.source, survey.problem, survey.code, survey.at) == (SurveySource.LISTS, "", 0, NOW)
    assert aws.calls == Counter(request_report=1, users=1, keys=5, last_use=4, tags=3)
    assert called(survey, "due").keys[0].last_use == USED


def test_a_report_that_cannot_be_read_falls_back_to_lists(aws: FakeDirectory) -> None:
    """What is wrong with it is said; the users are known all the same."""
    aws.report = lambda: ("user,arn\n", NOW)  # type: ignore[method-assign]
    survey = one(aws)
    assert survey.source is SurveySource.LISTS
    assert "has no column user_creation_time" in survey.notes[0]
    assert len(survey.users) == 5


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


def test_denied_report_and_denied_lists(aws: FakeDirectory) -> None:
    """Then the account cannot be looked at; both reasons are told."""
    aws.broken["request_report"] = Denied("no report", action="iam:GenerateCredentialReport")
    aws.broken["users"] = Denied("no lists", action="iam:ListUsers")
    survey = one(aws)
    assert (survey.problem, survey.code, survey.at) == ("no lists", 5, None)
    assert survey.notes == ("users were listed instead, and root's keys are not seen: no report",)


def test_lists_of_which_some_fail(directory: FakeDirectory) -> None:
    """Users whose keys are not known are counted, not left out in silence."""
    directory.broken["request_report"] = Denied("no report", action="iam:GenerateCredentialReport")
    directory.user("alice", 98)
    directory.user("bob", 98)
    spoil(directory, "keys", TryLater("AWS is throttling"), lambda user: user == "bob")
    survey = one(directory)
    assert [user.name for user in survey.users] == ["alice"]
    assert survey.notes[-1] == "the keys of one user are not known: AWS is throttling"
    assert survey.code == 75


def test_lists_of_which_all_fail(aws: FakeDirectory) -> None:
    """Then nothing is known of the account."""
    aws.broken["request_report"] = Denied("no report", action="iam:GenerateCredentialReport")
    aws.broken["keys"] = Denied("no keys", "ask IT", action="iam:ListAccessKeys")
    survey = one(aws)
    assert (survey.problem, survey.hint, survey.code, survey.users) == ("no keys", "ask IT", 5, ())


# Details that cannot be had


def test_denied_list_access_keys(aws: FakeDirectory) -> None:
    """What the report tells is kept, without ids; that ages are not exact is said, with its exit code."""
    aws.broken["keys"] = Denied("iam:ListAccessKeys is denied", action="iam:ListAccessKeys")
    survey = one(aws)
    assert survey.notes == ("ids and exact ages of the keys of 3 users are not known: iam:ListAccessKeys is denied",)
    assert survey.code == 5
    (key,) = called(survey, "overdue").keys
    assert (key.key_id, key.created, key.last_use) == (None, NOW - 98 * DAY, USED)


def test_tags_that_are_not_known(aws: FakeDirectory) -> None:
    """They are None, which is not "no tags"; a line says so."""
    aws.broken["tags"] = Denied("no", action="iam:ListUserTags")
    survey = one(aws)
    assert called(survey, "overdue").tags is None
    assert survey.notes == ("the tags of 3 users, and so who is exempt or an owner by tag, are not known",)
    assert survey.code == 0


def test_an_unknown_last_use_is_not_never(aws: FakeDirectory) -> None:
    """Denied or throttled, it stays unknown."""
    aws.broken["request_report"] = Denied("no report", action="iam:GenerateCredentialReport")
    aws.broken["last_use"] = TryLater("throttled")
    survey = one(aws)
    assert all(key.last_use is None for user in survey.users for key in user.keys)
    assert survey.notes[-1] == "the last use of 4 keys is not known"


def test_one_unknown_last_use(aws: FakeDirectory) -> None:
    """A key of after the report whose use AWS does not tell."""
    aws.unreported = {aws.key("overdue", 0)}
    aws.broken["last_use"] = TryLater("throttled")
    assert one(aws).notes == ("the last use of one key is not known",)


def test_a_user_who_goes_meanwhile(aws: FakeDirectory) -> None:
    """Deleted between two calls: gone, and no trouble."""
    aws.broken["tags"] = Gone("there is no user")
    survey = one(aws)
    assert [user.name for user in survey.users] == ["root", "fresh", "nobody"]
    assert (survey.notes, survey.code) == ((), 0)


def test_last_uses_are_not_asked_for_in_vain(directory: FakeDirectory) -> None:
    """Who is denied or throttled for three keys is so for thousands; each would take a minute's patience."""
    for number in range(50):
        directory.user(f"user{number}", 10)
    directory.broken["request_report"] = Denied("no report", action="iam:GenerateCredentialReport")
    directory.broken["last_use"] = TryLater("throttled")
    one(directory, workers=1)
    assert directory.calls["last_use"] == 3


@pytest.mark.parametrize("verb", ["keys", "tags"])
def test_an_account_that_is_throttled_is_not_asked_on(verb: str, directory: FakeDirectory) -> None:
    """After all patience with one user the others would take as long each."""
    for number in range(50):
        directory.user(f"user{number}", 98)
    directory.broken[verb] = TryLater("throttled")
    survey = one(directory, workers=1)
    assert directory.calls[verb] == 1
    assert survey.code == 75
    assert len(survey.users) == 51
    assert all(user.tags is None for user in survey.users)


@pytest.mark.parametrize("verb", ["request_report", "report", "keys", "tags", "members"])
def test_ctrl_c_is_no_account_s_problem(aws: FakeDirectory, verb: str) -> None:
    """Who stops at the question for a code stops all of it."""
    aws.broken[verb] = Interrupted("stopped")
    with pytest.raises(Interrupted):
        one(aws, settings=FleetSettings(exempt=Exempt(groups=("bots",))))


# Exempt groups


def test_groups_are_read_once_an_account(aws: FakeDirectory) -> None:
    """One call a group, if anybody needs attention at all."""
    aws.everybody["overdue"].groups = {"bots"}
    settings = FleetSettings(exempt=Exempt(groups=("bots", "gone")))
    survey = one(aws, settings=settings)
    assert aws.calls["members"] == 2
    assert called(survey, "overdue").groups == {"bots"}
    assert called(survey, "due").groups == frozenset()
    calm = FakeDirectory()
    calm.user("fresh", 1)
    one(calm, settings=settings)
    assert calm.calls["members"] == 0


def test_denied_groups(aws: FakeDirectory) -> None:
    """Then it is not known who is exempt, and a line says so."""
    aws.broken["members"] = Denied("iam:GetGroup is denied", action="iam:GetGroup")
    survey = one(aws, settings=FleetSettings(exempt=Exempt(groups=("bots",))))
    assert called(survey, "overdue").groups is None
    assert survey.notes == ("who is in group bots, and so exempt, is not known: iam:GetGroup is denied",)


# Which accounts


def test_without_a_role_it_is_the_own_account() -> None:
    """The organization is not asked."""
    organization = FakeOrganization(FakeDirectory("111111111111"), FakeDirectory("222222222222"))
    organization.broken = Denied("no organization")
    surveys = survey_accounts(organization, FleetSettings(), NOW, waiting())
    assert [survey.account.number for survey in surveys] == ["111111111111"]


@pytest.mark.parametrize(
    ("accounts", "numbers"),
    [
        (Accounts(role="fleet"), ["111111111111", "222222222222", "333333333333"]),
        (Accounts(role="fleet", but=("222222222222",)), ["111111111111", "333333333333"]),
        (Accounts(role="fleet", only=("333333333333",)), ["333333333333"]),
        (Accounts(only=("111111111111",)), ["111111111111"]),
    ],
)
def test_only_and_but(accounts: Accounts, numbers: list[str]) -> None:
    """The settings say which of the organization's accounts are meant."""
    organization = FakeOrganization(*(FakeDirectory(number * 12) for number in "123"))
    surveys = survey_accounts(organization, FleetSettings(accounts=accounts), NOW, waiting())
    assert [survey.account.number for survey in surveys] == numbers


def test_other_accounts_need_a_role() -> None:
    """It is said before anything is asked."""
    with pytest.raises(WrongUsage, match="222222222222 is not your own"):
        look(FakeDirectory("111111111111"), settings=FleetSettings(accounts=Accounts(only=("222222222222",))))


def test_a_denied_organization_ends_it() -> None:
    """It is not known which accounts there are."""
    organization = FakeOrganization()
    organization.broken = Denied("organizations:ListAccounts is denied")
    with pytest.raises(Denied):
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
    import threading

    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:  # an idle pool of another test's does not end
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(5)
    assert threading.active_count() <= len(before)


def test_a_report_that_expired_is_asked_for_again(directory: FakeDirectory) -> None:
    """It was there a moment ago, and must be made anew."""
    spoil(directory, "report", Gone("the report has expired"), times=1)
    assert one(directory).source is SurveySource.REPORT
    assert directory.calls == Counter(request_report=2, report=1)


@pytest.mark.parametrize("but", [("111111111111",), ()])
def test_looking_at_nothing_is_not_finding_nothing(but: tuple[str, ...]) -> None:
    """An organization without an active account, or settings that leave out all, are a fault and no clean report."""
    settings = FleetSettings(accounts=Accounts(role="fleet", but=but))
    organization = FakeOrganization(FakeDirectory("111111111111"))
    if not but:
        organization.directories.clear()
    with pytest.raises(Problem, match="there is no account to look at"):
        survey_accounts(organization, settings, NOW, ReportWait(lambda seconds: None, lambda: 0.0))


# Accounts that do not answer


class Hanging(FakeDirectory):
    """Each call of a verb lets twenty seconds pass: a read timeout of ten, and the one try more."""

    def __init__(self, number: str, clock: Clock, verb: str) -> None:
        super().__init__(number)
        self._clock, self._verb = clock, verb

    def _called(self, verb: str) -> None:
        super()._called(verb)
        if verb == self._verb:
            self._clock.now += 20
            raise TryLater("iam.amazonaws.com does not answer in time", "repeat the command later")


class Clock:
    """In seconds; only sleep and calls that hang move it."""

    now = 0.0

    def sleep(self, seconds: float) -> None:
        """It passes."""
        self.now += seconds


def hang(verb: str, accounts: int) -> tuple[list[AccountSurvey], list[Hanging], float]:
    """Survey accounts that do not answer, one after the other; gives the seconds that it took."""
    clock = Clock()
    found = [Hanging(f"{number:012d}", clock, verb) for number in range(accounts)]
    waits = ReportWait(clock.sleep, lambda: clock.now)
    return survey_accounts(FakeOrganization(*found), MANY, NOW, waits, workers=1), found, clock.now


@pytest.mark.parametrize("verb", ["request_report", "report"])
def test_a_report_that_hangs_is_tried_once(verb: str) -> None:
    """The call was tried again already where it was made: three minutes of that would be for nothing."""
    surveys, found, seconds = hang(verb, 2)
    assert [each.problem for each in surveys] == ["iam.amazonaws.com does not answer in time"] * 2
    assert {each.code for each in surveys} == {75}
    assert [each.calls[verb] for each in found] == [1, 1]
    assert seconds == 40


@pytest.mark.parametrize("verb", ["request_report", "report"])
def test_where_nobody_answers_the_rest_is_not_asked(verb: str) -> None:
    """Hundreds of accounts would take hours; each of them says why it was not looked at."""
    surveys, found, seconds = hang(verb, 300)
    assert sum(each.calls[verb] for each in found) == 16
    assert seconds == 320
    assert surveys[-1].problem == "not asked any more: iam.amazonaws.com does not answer in time"
    assert (surveys[-1].code, surveys[-1].hint) == (75, "repeat the command later")


def test_one_answer_is_enough_to_go_on() -> None:
    """Accounts that hang here and there do not keep the others from being asked."""
    clock = Clock()
    found: list[FakeDirectory] = []
    for number in range(60):
        kind = Hanging(f"{number:012d}", clock, "report") if number % 10 else FakeDirectory(f"{number:012d}")
        found.append(kind)
    waits = ReportWait(clock.sleep, lambda: clock.now)
    survey_accounts(FakeOrganization(*found), MANY, NOW, waits, workers=1)
    assert all(each.calls["report"] == 1 for each in found)


def test_results_are_in_the_order_of_the_items() -> None:
    """Whichever ends first."""
    gates = [Event() for _ in range(3)]

    def work(number: int) -> int:
        if number < 2:
            gates[number + 1].wait(5)
        gates[number].set()
        return number

    with Pool(8) as pool:
        assert pool.map(work, [0, 1, 2]) == [0, 1, 2]


def test_so_many_at_a_time() -> None:
    """All workers are used, for one list after the other."""
    together = Barrier(4)
    with Pool(4) as pool:
        for _ in range(2):
            assert pool.map(lambda item: together.wait(5) >= 0, range(8)) == [True] * 8


def test_one_item_needs_no_thread() -> None:
    """It is done in the caller's."""
    with Pool(4) as pool:
        assert pool.map(lambda item: threading.current_thread(), ["item"]) == [threading.current_thread()]
        assert pool.map(lambda item: item, []) == []


def test_the_first_error_ends_it() -> None:
    """What has not begun is dropped: whoever wants a problem as a result catches it."""
    over, begun = Event(), []

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise Gone("it left")
        over.wait(10)

    with pytest.raises(Gone), Pool(1) as pool:
        pool.map(work, range(100))
    over.set()
    assert begun in ([0], [0, 1])


def test_ctrl_c_ends_it_at_once() -> None:
    """Calls that hang are left alone, and none is begun any more."""
    over, begun = Event(), []

    def work(number: int) -> None:
        begun.append(number)
        if len(begun) == 2:
            _thread.interrupt_main()
        over.wait(10)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell would have it ignored
    try:
        with pytest.raises(KeyboardInterrupt), Pool(2) as pool:
            pool.map(work, range(10))
    finally:
        signal.signal(signal.SIGINT, before)
    over.set()
    assert sorted(begun) == [0, 1]


def test_the_caller_is_told_how_many_are_done() -> None:
    """In the caller's own thread, for a progress bar."""
    told: list[tuple[int, int, bool]] = []
    me = threading.current_thread()
    with Pool(2) as pool:
        pool.map(lambda item: item, range(3), lambda *how: told.append((*how, threading.current_thread() is me)))
    assert told == [(done, 3, True) for done in range(4)]
