"""The function of the packed zip, in a process of its own with nothing but Lambda's libraries, against the stand-in.

A run that must end in time leaves what it has not begun, and ends what it has.

What the function in Lambda tells of a run, and when it says that the run came to nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from rotate_my_key.core.errors import Denied, NotAllowed, Problem, TryLater, WrongUsage
from rotate_my_key.core.model import RECALL_KEY, Credentials
from rotate_my_key.fleet.assembly import Assembly
from rotate_my_key.fleet.deploy import _SCHEDULES
from rotate_my_key.fleet.function import JOBS, Deadline, FunctionRun, OutOfTime
from rotate_my_key.fleet.model import AwsAccount
from rotate_my_key.settings.fleet import Accounts, FleetSettings
from tests.fleet.fakes import NOW, FakeDirectory, FakeOrganization
from tests.fleet.function.conftest import PARAMETER, Lambda, deployed
from tests.standin import StandIn
from tests.web import serve

pytestmark = pytest.mark.slow

MAIL = """
contact = it@example.com
[channels]
[[mail]]
kind = ses
sender = it@example.com
[[admins]]
kind = sns
topic = {topic}
[remind]
owners = mail,
admins = admins,
[owners]
domain = example.com
"""
Put = Callable[[str], None]


@pytest.fixture
def mail(aws: StandIn, settings: Put) -> Put:
    """Settings with mail for owners and a topic for admins; it takes what shall stand behind the channels instead."""
    aws.verify("it@example.com")
    topic = aws.add_topic("rotate-my-key-admins", "eu-west-1")
    settings(MAIL.format(topic=topic))
    channels = MAIL.format(topic=topic).partition("[remind]")[0]
    return lambda rest: settings(channels + rest)


def test_owners_and_admins_are_told_once(function: Lambda, aws: StandIn, mail: Put) -> None:
    """The first run tells alice and remembers it in her tag; the second tells the admins only. Every line of the log is
    JSON: what begins, what was told, what came of it, and the metric; keys by their ids alone."""
    ended = function.invoke({"command": "remind"}, {"command": "remind"})
    first, second = ended.answers
    assert (first[0], first[1]["numbers"]) == ("answer", {"old": 1, "owners": 1, "letters": 2, "unanswered": 0})
    assert (second[0], second[1]["numbers"]) == ("answer", {"old": 1, "owners": 0, "letters": 1, "unanswered": 1})
    assert not first[1]["incomplete"]
    assert [each.to for each in aws.mails] == [("alice@example.com",)]
    assert len(aws.published) == 2
    assert aws.tags("alice")["rotate-my-key-fleet"].startswith("1 ")
    messages = [line["message"] for line in ended.lines if "message" in line]
    assert messages == ["the endpoint is not AWS's own", *["begun", "done"] * 2]
    assert [line["what"] for line in ended.lines if "what" in line] == ["notified", "ended", "ended"]
    metrics = [(line["Command"], line["owners"]) for line in ended.lines if "_aws" in line]
    assert metrics == [("remind", 1), ("remind", 0)]
    for user in ("alice", "bob", "fleet"):
        for key in aws.keys(user):
            assert aws.pair(key.key_id).secret not in ended.text


def test_a_warm_function_reuses_what_it_has(function: Lambda, aws: StandIn, settings: Put) -> None:
    """The second run in a process opens no connection and asks no more who it is; the settings are read again."""
    settings("max_age = 120d")
    ended = function.invoke(*[{"command": "report"}] * 3)
    assert [answer[1]["numbers"]["due"] for answer in ended.answers] == [0, 0, 0]
    calls = [call.action for call in aws.calls]
    assert calls.count("GetCallerIdentity") == 1
    assert calls.count("GetParameter") == 3
    assert max(call.connection for call in aws.calls) <= 4


def test_the_event_chooses_one_account(function: Lambda, aws: StandIn, settings: Put) -> None:
    """By the role there, as a Distributed Map does it; the list of accounts is what it goes over."""
    settings("[accounts]\nrole = rotate-my-key-fleet\nexternal_id = x1")
    other = aws.add_account("prod")
    other.add_role("rotate-my-key-fleet", external_id="x1")
    other.add_user("carol")
    listed, one = function.invoke({"command": "accounts"}, {"command": "report", "account": other.account}).answers
    assert sorted(listed[1]["accounts"]) == sorted([aws.account, other.account])
    assert one[0] == "answer", one
    assert (one[1]["looked_at"], one[1]["numbers"]["users"]) == (1, 1)


def test_in_a_map_the_admins_get_no_digest_for_each_account(function: Lambda, aws: StandIn, mail: Put) -> None:
    """The owners of the account are told, and nobody else: three hundred digests would be noise."""
    answer = function.invoke({"command": "remind", "account": aws.account}).answers[0]
    assert answer[1]["numbers"]["owners"] == 1, answer
    assert (len(aws.mails), len(aws.published)) == (1, 0)


def test_files_of_its_own_are_found_where_the_settings_name_them(
    make_function: Callable[..., Lambda], aws: StandIn, admin: Credentials, mail: Put, tmp_path: Path
) -> None:
    """A mapping of owners and a folder with templates, as `fleet package --include` puts them into the zip."""
    (tmp_path / "owners.csv").write_text("alice,boss@example.com\n")
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "owner.txt.j2").write_text("Subject: time is up\n\nDear {{ notice.owner.name }}")
    function = deployed(make_function(include=[f"{tmp_path}/owners.csv", f"{tmp_path}/mails"]), aws, admin)
    mail("[owners]\nmapping = files/owners.csv\n[remind]\ntemplates = files/mails\nowners = mail,\nadmins = admins,\n")
    answer = function.invoke({"command": "remind"}).answers[0]
    assert answer[0] == "answer", answer
    assert [(each.to, each.subject) for each in aws.mails] == [(("boss@example.com",), "time is up")]


WRONG = [
    ({}, "the event has no valid command ("),
    ({"command": "delete-everything"}, "the event has no valid command ("),
    ("remind", "the event has no valid command ("),
    (None, "the event has no valid command ("),
    ({"command": "report", "account": 123456789012}, "the event's account must be a string of twelve digits"),
    ({"command": "report", "account": "12345"}, "the event's account must be a string of twelve digits"),
    ({"command": "report", "acount": "123456789012"}, "the event has 'acount', which is not a known field"),
    ({"command": "enforce", "dry_run": "false"}, "the event's dry_run must be true or false"),
    ({"command": "revoke", "user": "alice", "dry_run": True}, "the event has 'dry_run', which is not a known field"),
]


def test_an_event_that_makes_no_sense_is_refused(function: Lambda, aws: StandIn) -> None:
    """Before anything is asked of AWS: what was misspelt must not become all accounts."""
    answers = function.invoke(*[event for event, _ in WRONG]).answers
    for (event, said), (how, kind, message, _) in zip(WRONG, answers, strict=True):
        assert (how, kind) == ("raised", "WrongUsage"), event
        assert message.startswith(said)
    assert aws.calls == []


# The settings (None: there is no parameter), what is denied, the invocation; and the kind and words of what is raised.
ENDS: dict[str, tuple[str | None, str, dict[str, Any], str, str]] = {
    "no variable": (None, "", {"ROTATE_MY_KEY_FLEET_SETTINGS": ""}, "WrongUsage", "FLEET_SETTINGS is not set; hint: "),
    "no parameter": (None, "", {}, "Gone", f"there is no SSM parameter {PARAMETER}"),
    "wrong settings": ("max_agee = 60d", "", {}, "WrongUsage", f"ssm:{PARAMETER} line 1"),
    "no time": ("", "", {"milliseconds": 20_000}, "TryLater", "there was no time left for it in this run"),
    "no rights": ("", "GenerateCredentialReport ListUsers", {}, "NotAllowed", "iam:ListUsers"),
    "no bucket for reports": (
        "",
        "",
        {"ROTATE_MY_KEY_FLEET_REPORTS": "elsewhere"},
        "Gone",
        "there is no bucket elsewhere;",
    ),
}


@pytest.mark.parametrize("sentence", ENDS)
def test_a_run_that_cannot_be_is_an_error(function: Lambda, aws: StandIn, settings: Put, sentence: str) -> None:
    """It names what to do, and ends before Lambda ends it. Nothing of botocore's errors is behind what is raised, for
    they may quote anything; the alarm says so, and Lambda tries again."""
    text, denied, invocation, kind, said = ENDS[sentence]
    if text is not None:
        settings(text)
    for action in denied.split():
        aws.deny(action)
    answer = function.invoke({"command": "report"}, **invocation).answers[0]
    assert (answer[:2], said in answer[2]) == (["raised", kind], True), answer
    assert answer[3] == "None"
    assert sentence != "no time" or not [call for call in aws.calls if call.service == "iam"]


def test_a_fault_tells_where_and_not_what(function: Lambda, aws: StandIn, settings: Put) -> None:
    """Lambda writes every traceback into the log: no value is in it."""
    settings("")
    secret: Any = "wJalrXUtnFEMI"
    ended = function.invoke({"command": "report"}, milliseconds=secret)
    how, kind, message, behind = ended.answers[0]
    assert (how, kind, behind) == ("raised", "Fault", "None")
    assert message.startswith("internal error in rotate-my-key ")
    assert "TypeError at function.py:" in message
    assert secret not in ended.text
    assert ended.lines[-1]["level"] == "error"


def test_no_digest_is_an_error(function: Lambda, aws: StandIn, mail: Put) -> None:
    """Admins who hear nothing know that something is wrong: then the alarm must say it."""
    aws.deny("Publish")
    how, kind, message, _ = function.invoke({"command": "remind"}).answers[0]
    assert (how, kind) == ("raised", "Problem")
    assert message.startswith("no admin got the digest: ")


def test_a_notice_that_does_not_arrive_makes_the_run_incomplete(function: Lambda, aws: StandIn, mail: Put) -> None:
    """The digest still goes out; the alarm of its own reads `incomplete` in the last line."""
    aws.deny("SendEmail")
    ended = function.invoke({"command": "remind"})
    result = ended.answers[0][1]
    assert result["incomplete"] is True
    assert result["troubles"][0].startswith("alice@example.com via mail: ")
    assert (ended.lines[-1]["message"], ended.lines[-1]["incomplete"]) == ("done", True)
    assert len(aws.published) == 1


def test_hours_are_meant_in_the_zone_of_the_schedule(function: Lambda, aws: StandIn, mail: Put) -> None:
    """Two zones would mean a run that comes every day outside of its hours. Where acts wait all the same, the run is
    incomplete, and the admins are told."""
    hour = datetime.now(ZoneInfo("Pacific/Kiritimati")).hour  # 14 hours ahead of UTC
    rules = f"deactivate_at = 90d\naccounts = {aws.account}\nweekdays = mon, tue, wed, thu, fri, sat, sun\n"
    mail(
        "[owners]\ndomain = example.com\n[remind]\nowners = mail,\nadmins = admins,\n"
        f"[enforce]\n{rules}hours = {hour}-{(hour + 2) % 24}\n"
    )
    day = f"{datetime.now(UTC) - timedelta(days=10):%Y%m%d}"
    aws.set_tags("alice", {"rotate-my-key-fleet": f"1 {aws.keys('alice')[0].key_id[-8:]}:n1:f{day}:l{day}:w1:d{day}"})
    shut = function.invoke({"command": "enforce"}).answers[0][1]
    assert (shut["numbers"]["Deactivated"], shut["incomplete"]) == (0, True)
    assert shut["troubles"][0].startswith("1 action waits for a later run: it is ")
    assert "1 action waits for a later run" in aws.published[-1].message
    there = function.invoke({"command": "enforce"}, ROTATE_MY_KEY_FLEET_TIMEZONE="Pacific/Kiritimati").answers[0][1]
    assert (there["numbers"]["Deactivated"], there["incomplete"], there["closed"]) == (1, False, "")
    undo = {"command": "undo", "user": "alice"}
    answers = function.invoke(undo, undo | {"of": "enforce"}, undo | {"of": "all"}).answers
    assert [len(answer[1]["switched"]) for answer in answers[:2]] == [0, 1]  # each takes back its own
    assert answers[2][1] == "WrongUsage"


def test_without_notices_no_channel_is_needed(function: Lambda, aws: StandIn, mail: Put) -> None:
    """As on the command line. Reminders without anybody to remind are a wrong setting."""
    mail(
        f"[enforce]\ndeactivate_at = 90d\nnotices = 0\naccounts = {aws.account}\n"
        "weekdays = mon, tue, wed, thu, fri, sat, sun\nhours = 0-24\n"
    )
    enforced, reminded = function.invoke({"command": "enforce"}, {"command": "remind"}).answers
    assert (enforced[0], enforced[1]["numbers"]["Deactivated"], enforced[1]["incomplete"]) == ("answer", 1, False)
    assert (reminded[1], "sets no channel" in reminded[2]) == ("WrongUsage", True), reminded


def test_keys_of_who_left_are_switched_off_by_an_event(function: Lambda, aws: StandIn, mail: Put) -> None:
    """At three in the morning whoever may invoke the function can do it, and take it back; who is told reads why."""
    revoked, back = function.invoke(
        {"command": "revoke", "user": "alice", "why": "leaked"}, {"command": "undo", "owner": "alice@example.com"}
    ).answers
    gone = {"account": aws.account, "user": "alice", "key_id": aws.keys("alice")[0].key_id}
    assert (revoked[1]["switched"], revoked[1]["looked_at"], revoked[1]["incomplete"]) == ([gone], 1, False), revoked
    assert (len(back[1]["switched"]), back[1]["incomplete"]) == (1, False), back
    assert "revoked, leaked" in aws.mails[-1].text
    assert [key.status for key in aws.keys("alice")] == ["Active"]
    sign_in = {"user": "alice", "sign_in": "yes"}
    ended, back = function.invoke({"command": "revoke", **sign_in}, {"command": "undo", **sign_in}).answers
    assert [each["state"] for each in ended[1]["sign_in"]] == ["none", "ended"], ended
    assert ([each["state"] for each in back[1]["sign_in"]], back[1]["incomplete"]) == (["allowed again"], False), back
    odd = (
        {"command": "revoke"},
        {"command": "revoke", "user": "nobody"},
        {"command": "revoke", **sign_in, "sign_in": "1"},
    )
    answers = function.invoke(*odd).answers
    assert [kind for _, kind, _, _ in answers] == ["WrongUsage", "Gone", "WrongUsage"]


def test_an_account_that_could_not_be_checked_may_have_keys_of_theirs(
    function: Lambda, aws: StandIn, mail: Put
) -> None:
    """It is not among those that were looked at; found nowhere beside it, the user may be there, so the run failed.
    That nobody is to be told, or can be, does not hide what was done."""
    other = aws.add_account("other")
    revoke, undo = {"command": "revoke", "user": "alice"}, {"command": "undo", "user": "alice"}
    for remind, troubles in (("", 1), ("[remind]\nadmins = mail,\n", 2)):  # that channel has no fixed address
        mail(f"{remind}[accounts]\nrole = fleet\nonly = {aws.account}, {other.account}\n")
        here, nowhere, _ = function.invoke(revoke, {**revoke, "account": other.account}, undo).answers
        assert here[0] == "answer", here
        assert (len(here[1]["switched"]), here[1]["looked_at"], here[1]["trouble_count"]) == (1, 1, troubles), here
        assert nowhere[1] == "NotAllowed", nowhere
        assert "alice was not found, and 1 account could not be checked: the role " in nowhere[2]


def test_keys_are_recalled_by_an_event(function: Lambda, aws: StandIn, mail: Put) -> None:
    """The user is marked, told, and marked no more; a dry run only looks."""
    event = {"command": "recall", "user": "alice", "by": "3d", "reason": "lost"}
    nobody = {"command": "recall", "by": "3d", "reason": "lost"}
    dry, done, bad = function.invoke({**event, "dry_run": True}, event, nobody).answers
    assert (dry[1]["incomplete"], done[1]["numbers"], bad[1]) == (False, {"recalled": 1}, "WrongUsage"), (
        dry,
        done,
        bad,
    )
    assert RECALL_KEY in aws.tags("alice") and "Recalled by IT, lost" in aws.mails[-1].text
    assert aws.mails[-1].subject.startswith("Replace your AWS access key by ")
    (everybody,) = function.invoke({**nobody, "all": "yes", "dry_run": True}).answers
    assert len(everybody[1]["would"]) > 1, everybody
    (undone,) = function.invoke({"command": "recall", "user": "alice", "undo": "yes"}).answers
    assert (undone[1]["numbers"], RECALL_KEY in aws.tags("alice")) == ({"undone": 1}, False)


def test_a_key_is_made_by_an_event(function: Lambda, aws: StandIn, mail: Put) -> None:
    """It waits, and its owner is told where; nothing else is in the answer."""
    mail("[owners]\ndomain = example.com\n[remind]\nowners = mail,\nadmins = admins,\n[reissue]\nenabled = yes\n")
    answer = function.invoke({"command": "reissue", "user": "alice"}).answers[0]
    assert answer[0] == "answer", answer
    assert answer[1]["place"] in " ".join(aws.mails[-1].text.split())
    assert [key.status for key in aws.keys("alice")] == ["Active", "Active"]


DRY = """
[owners]
domain = example.com
[remind]
owners = mail,
admins = admins,
[enforce]
deactivate_at = 90d
notices = 0
accounts = {account},
weekdays = mon, tue, wed, thu, fri, sat, sun
hours = 0-24
[reissue]
enabled = yes
"""


WOULD: dict[str, tuple[dict[str, str], list[str]]] = {
    "remind": (
        {},
        ["notify alice@example.com via mail: Your AWS access key", "notify the digest via admins: AWS access"],
    ),
    "enforce": ({}, ["deactivate AKIA"]),
    "reissue": ({"user": "alice"}, ["create a key for alice in ", "notify the owner"]),
    "sweep": ({}, []),
}


@pytest.mark.parametrize("command", WOULD)
def test_a_dry_run_says_what_it_would_do(function: Lambda, aws: StandIn, mail: Put, command: str) -> None:
    """All that reads is done, with the role's own rights; nobody is told, no key is touched, nothing is recorded. It
    meets what is denied, so that the first run in earnest need not."""
    mail(DRY.format(account=aws.account))
    before, (event, would) = aws.tags("alice"), WOULD[command]
    ended = function.invoke({"command": command, "dry_run": True, **event})
    ((how, answer),) = ended.answers
    assert how == "answer", answer
    assert (answer["dry_run"], answer["incomplete"], answer["troubles"]) == (True, False, [])
    assert [any(line.startswith(each) for line in answer["would"]) for each in would] == [True] * len(would)
    assert answer["would_count"] == len(answer["would"]) == len(would)
    assert (aws.mails, aws.published, aws.tags("alice")) == ([], [], before)
    assert [key.status for key in aws.keys("alice")] == ["Active"]
    assert not [line for line in ended.lines if "what" in line]
    if command == "enforce":
        aws.deny("ListAccessKeys")
        answer = function.invoke({"command": "enforce", "dry_run": True}).answers[0][1]
        assert (answer["would"], answer["incomplete"]) == ([], True)
        assert "iam:ListAccessKeys" in answer["troubles"][0]


def test_a_report_goes_into_the_bucket(function: Lambda, aws: StandIn, settings: Put) -> None:
    """Page, CSV and JSON of one run, in the one folder that the role may write to; the log has their digests."""
    settings("")
    aws.add_bucket("evidence")
    ended = function.invoke({"command": "report"}, ROTATE_MY_KEY_FLEET_REPORTS="evidence")
    answer = ended.answers[0][1]
    names = [each["name"].removeprefix("s3://evidence/") for each in answer["files"]]
    assert [re.sub(r"\d{8}T\d{6}Z", "*", name) for name in names] == [
        f"rotate-my-key/reports/access-keys-*.{ending}" for ending in ("json", "csv", "html")
    ]
    data = [aws.objects("evidence")[name].body for name in names]
    assert [sha256(each).hexdigest() for each in data] == [each["sha256"] for each in answer["files"]]
    assert ended.lines[-1]["files"] == answer["files"]
    assert json.loads(data[0])["counts"]["overdue"] == 1
    assert all(name.rpartition("/")[2] in data[2].decode() for name in names[:2])
    one = function.invoke({"command": "report", "account": aws.account}, ROTATE_MY_KEY_FLEET_REPORTS="evidence")
    assert one.answers[0][1]["files"][2]["name"].endswith(f"Z-{aws.account}.html")
    assert function.invoke({"command": "report"}).answers[0][1]["files"] == []


# With apprise


def test_a_chat_is_reached_from_the_zip(
    make_function: Callable[..., Lambda], aws: StandIn, admin: Credentials, settings: Put
) -> None:
    """Through apprise without its compiled parts; the URL comes from Secrets Manager and stays out of the log."""
    settings("[channels]\n[[chat]]\nkind = apprise\nurls = secretsmanager:rotate-my-key/chat\n[remind]\nadmins = chat,")
    with serve() as web:
        aws.add_secret("rotate-my-key/chat", f"json://127.0.0.1:{web.port}/tok3n")
        ended = deployed(make_function(apprise=True), aws, admin).invoke({"command": "remind"})
    assert ended.answers[0][0] == "answer", ended.answers
    ((path, _, body),) = web.asked
    assert path == "/tok3n"
    assert "1 overdue" in json.loads(body)["title"]
    assert "tok3n" not in ended.text


def test_without_apprise_in_the_zip_the_error_says_so(function: Lambda, aws: StandIn, settings: Put) -> None:
    """Once, and with what to do."""
    aws.add_secret("rotate-my-key/chat", "json://127.0.0.1:1/tok3n")
    settings("[channels]\n[[chat]]\nkind = apprise\nurls = secretsmanager:rotate-my-key/chat\n[remind]\nadmins = chat,")
    how, _, message, _ = function.invoke({"command": "remind"}).answers[0]
    assert how == "raised"
    assert "apprise" in message


def test_with_botocore_in_the_zip_nothing_of_lambdas_is_used(
    make_function: Callable[..., Lambda], aws: StandIn, admin: Credentials, settings: Put
) -> None:
    """For whoever wants to choose its version."""
    settings("")
    function = deployed(make_function(botocore=True), aws, admin)
    assert not list(function.runtime.iterdir())
    assert function.invoke({"command": "report"}).answers[0][1]["numbers"]["overdue"] == 1


def test_accounts_are_left_when_time_is_up() -> None:
    """Some seconds are spared for what must be said at the end. Those that were left are remembered by their numbers;
    with time left nothing is different."""
    left = iter([31, 31, 900, 30, 5, 5])
    deadline = Deadline(lambda: next(left), 30)
    deadline.check()
    assert deadline.left() == 1
    organization = company(ONE)
    late = deadline.watch(organization)
    there = organization.directory(AwsAccount(ONE))
    assert (len(there.keys("alice")), late) == (1, set())
    with pytest.raises(OutOfTime):
        there.keys("alice")
    assert (late, deadline.left()) == ({ONE}, 0)


ROLE = Accounts(role="rotate-my-key-fleet")
ONE, TWO, THREE = "111111111111", "222222222222", "333333333333"
DENIED = Denied("no", action="sts:AssumeRole")


def company(*numbers: str, broken: Mapping[str, Problem] = MappingProxyType({})) -> FakeOrganization:
    """Accounts with one old key each; some cannot be looked at."""
    directories = [FakeDirectory(number) for number in numbers]
    for directory in directories:
        directory.user("alice", 98)
        if directory.account.number in broken:
            directory.broken["request_report"] = broken[directory.account.number]
    return FakeOrganization(*directories)


def job(organization: FakeOrganization, where: Accounts = ROLE, account: str = "", left: float = 900) -> FunctionRun:
    """A run with so many seconds left; of the Assembly these jobs use the organization alone."""
    parts = cast(Assembly, SimpleNamespace(organization=organization))
    settings, deadline = FleetSettings(accounts=where), Deadline(lambda: left, 30)
    return FunctionRun(parts, settings, NOW, deadline, lambda line: None, account)


def test_every_schedule_starts_a_command_that_there_is() -> None:
    """The template and the function know the same words."""
    assert {command for _, command, _ in _SCHEDULES} <= set(JOBS)


@pytest.mark.parametrize(
    ("broken", "account", "looked_at", "failed"),
    [({}, "", 2, []), ({TWO: DENIED}, "", 1, [{"account": TWO, "problem": "no"}]), ({TWO: DENIED}, ONE, 1, [])],
    ids=["nothing is wrong", "one account fails", "it is another's turn"],
)
def test_a_report_counts_the_keys(
    broken: dict[str, Problem], account: str, looked_at: int, failed: list[dict[str, str]]
) -> None:
    """By kind, over all accounts, and as JSON. Where one fails the others are looked at; the run is incomplete, for the
    alarm."""
    result = json.loads(json.dumps(JOBS["report"](job(company(ONE, TWO, broken=broken), account=account))))
    assert (result["numbers"]["overdue"], result["looked_at"]) == (looked_at, looked_at)
    assert (result["failed"], result["left"], result["incomplete"]) == (failed, [], bool(failed))


FAILS: dict[str, tuple[dict[str, Problem], str, float, type[Problem], str]] = {
    "nobody is let in": (
        dict.fromkeys((ONE, TWO), DENIED),
        "",
        900,
        NotAllowed,
        "none of 2 accounts could be checked: no",
    ),
    "later it may go": (dict.fromkeys((ONE, TWO), TryLater("busy")), "", 900, TryLater, "none of 2 .*: busy"),
    "the one account of a Map": ({TWO: DENIED}, TWO, 900, NotAllowed, f"account {TWO} could not be checked: no"),
    "no time": ({}, "", 20, TryLater, "there was no time left"),
}


@pytest.mark.parametrize("sentence", FAILS)
def test_a_run_that_looked_at_nothing_has_failed(sentence: str) -> None:
    """That is no empty report: Lambda tries again, and the Map counts it; the kind says whether trying can help."""
    broken, account, left, kind, said = FAILS[sentence]
    with pytest.raises(kind, match=said):
        JOBS["report"](job(company(ONE, TWO, broken=broken), account=account, left=left))


def test_what_time_does_not_allow_is_left() -> None:
    """Accounts that were not looked at to the end are named, apart from those that failed; the run is incomplete."""
    organization, left = company(ONE, TWO, THREE, broken={THREE: DENIED}), [900.0]
    organization.directories[ONE].everybody.clear()
    first, slow, third = organization.directories.values()
    real = slow.report

    def report() -> tuple[str, datetime]:
        while not (first.calls["report"] and third.calls["request_report"]):  # they run side by side
            time.sleep(0.001)
        left[0] = 10.0
        return real()

    slow.report = report  # type: ignore[method-assign]
    parts = cast(Assembly, SimpleNamespace(organization=organization))
    made = FunctionRun(parts, FleetSettings(accounts=ROLE), NOW, Deadline(lambda: left[0], 30), lambda line: None)
    result = JOBS["report"](made)
    assert (result["looked_at"], result["left"], result["incomplete"]) == (1, [TWO], True)
    assert [each["account"] for each in result["failed"]] == [THREE]


def test_an_account_that_the_settings_leave_out_is_refused() -> None:
    """Whoever names it in an event does not widen what the settings allow."""
    for where in (replace(ROLE, but=(TWO,)), replace(ROLE, only=(ONE,))):
        with pytest.raises(WrongUsage, match=f"account {TWO} is excluded"):
            job(company(ONE, TWO), where, TWO)


def test_the_accounts_are_those_of_the_settings() -> None:
    """What the Map goes over: the organization's without those that are left out. Without an organization it fails, and
    is not an empty list."""
    organization = company(ONE, TWO, THREE)
    assert JOBS["accounts"](job(organization, replace(ROLE, but=(TWO,)))) == {"accounts": [ONE, THREE]}
    organization.broken = Denied("no organizations:ListAccounts", action="organizations:ListAccounts")
    with pytest.raises(Denied):
        JOBS["accounts"](job(organization))
