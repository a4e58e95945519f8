"""What is thought of each key: verdict, exemption, owner, and what the benchmark says.

Whose keys they are, and who is left alone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotate_my_key.core.errors import WrongUsage
from rotate_my_key.core.model import LastUse
from rotate_my_key.core.policy import Policy, Verdict
from rotate_my_key.fleet import judge as judging
from rotate_my_key.fleet.judge import Members, Row, Status, exempt, judge, owner_of, read_mapping, unreadable
from rotate_my_key.fleet.model import AccountSurvey, AwsAccount, FleetKey, FleetUser, Owner
from rotate_my_key.settings.fleet import Exempt, FleetSettings, Owners
from rotate_my_key.settings.fleet_ini import parse

from .fakes import NOW, rows

ACCOUNT = AwsAccount("123456789012", "shop")
DAY = timedelta(days=1)
USED = LastUse(NOW - DAY, "s3", "eu-west-1")
NEVER = LastUse(None)
PLAIN = FleetSettings()


def user(*keys: FleetKey, name: object = "alice", **facts: object) -> FleetUser:
    """A user with these keys, whose tags were asked for."""
    arn = f"arn:aws:iam::{ACCOUNT.number}:{'root' if name == 'root' else f'user/{name}'}"
    return FleetUser(ACCOUNT.number, arn, keys, **{"tags": {}, **facts})  # type: ignore[arg-type]


def key(age: float, use: LastUse | None = USED, *, active: bool = True, key_id: str | None = "AKIA1") -> FleetKey:
    """A key of this age in days."""
    return FleetKey(active, NOW - age * DAY, key_id, use)


def judged(*users: FleetUser, settings: FleetSettings = PLAIN) -> list[Row]:
    """The rows of an account with these users."""
    return judge([AccountSurvey(ACCOUNT, users)], settings, {}, NOW)


EXEMPT = {"rotate-my-key": "exempt"}


@pytest.mark.parametrize(
    ("case", "who", "standing", "unused", "fails", "attention"),
    [
        ("young and used", user(key(10)), "fresh", False, "", False),
        ("a second before it is due", user(key(75 - 1 / 86400)), "fresh", False, "", False),
        ("due", user(key(75)), "due", False, "", True),
        ("overdue", user(key(90)), "overdue", False, "1.14", True),
        ("not used for 45 days", user(key(60, LastUse(NOW - 45 * DAY, "s3"))), "fresh", True, "1.12", True),
        ("used 44 days ago", user(key(60, LastUse(NOW - 44 * DAY, "s3"))), "fresh", False, "", False),
        ("never used, and 45 days old", user(key(45, NEVER)), "fresh", True, "1.12", True),
        ("never used, and young", user(key(44, NEVER)), "fresh", False, "", False),
        ("an unknown last use is not unused", user(key(60, None)), "fresh", False, "", False),
        ("not enabled", user(key(300, NEVER, active=False)), "inactive", False, "", False),
        ("exempt, and overdue by its age", user(key(300, NEVER), tags=EXEMPT), "exempt", False, "1.12 1.14", False),
        ("root", user(key(1), name="root"), "root", False, "1.4", True),
        ("root's, switched off", user(key(300, active=False), name="root"), "root", False, "1.4", True),
        ("root is never exempt", user(key(1), name="root", tags=EXEMPT), "root", False, "1.4", True),
    ],
)
def test_standing(case: str, who: FleetUser, standing: str, unused: bool, fails: str, attention: bool) -> None:
    """What a key is, beyond its age."""
    (row,) = judged(who)
    assert row.standing.value == standing
    assert row.unused is unused
    assert " ".join(control.number for control in row.fails) == fails
    assert row.attention is attention


def test_the_benchmarks_numbers_are_its_own() -> None:
    """Other limits of ours change verdicts, not what CIS says."""
    settings = FleetSettings(policy=Policy(365 * DAY, DAY), unused_after=200 * DAY)
    (row,) = judged(user(key(100, NEVER)), settings=settings)
    assert (row.standing, row.unused) == (Status.FRESH, False)
    assert [control.number for control in row.fails] == ["1.12", "1.14"]


def test_what_keeps_us_from_knowing() -> None:
    """Denied tags are told of where it matters, and not of keys that nobody asks about. A key of the future is as old
    as one of now, for clocks differ by seconds; what is switched off cannot be unused."""
    rows = judged(user(key(98), tags=None), user(key(10), name="bob", tags=None))
    assert [(row.user.name, row.uncertain) for row in rows] == [("alice", "the tags of alice"), ("bob", "")]
    assert [row.age for row in judged(user(key(-1)))] == [timedelta(0)]
    assert not judging.is_unused(key(100, NEVER, active=False), 45 * DAY, NOW)


def test_order() -> None:
    """Root's first, then overdue, due, unused, fresh, exempt, switched off; the oldest first among equals."""
    rows = judged(
        user(key(1, NEVER, active=False), key(2), name="a"),
        user(key(80), key(98), name="b"),
        user(key(60, NEVER), key(20), name="c"),
        user(key(400), key(3), name="d", tags=EXEMPT),
        user(key(500, NEVER), name="e"),
        user(key(5), name="root"),
    )
    found = ", ".join(f"{row.standing.value} {row.age.days}" for row in rows)
    assert found == (
        "root 5, overdue 500, overdue 98, due 80, fresh 60, fresh 20, fresh 2, exempt 400, exempt 3, inactive 1"
    )


# Figures


def bars(*ages: float, policy: Policy = Policy()) -> str:  # noqa: B008 - frozen
    """The bars that have keys."""
    rows = judged(*(user(key(age), name=f"user{age}") for age in ages), settings=FleetSettings(policy=policy))
    return " ".join(f"{bar.label}:{bar.keys}" for bar in judging.histogram(rows, policy) if bar.keys)


def test_histogram() -> None:
    """Each bar is of one verdict, and begins with its first age. So it is with hours, everything due at once, and
    limits beyond the marks."""
    found = bars(0, 29.9, 30, 74.9, 75, 89.9, 90, 5000)
    assert found == "0-30d:2 30-60d:1 60-75d:1 75-90d:2 90-180d:1 730d+:1"
    verdicts = [bar.verdict.value for bar in judging.histogram([], Policy())]
    assert verdicts == ["fresh"] * 3 + ["due"] + ["overdue"] * 4
    assert bars(0.4, 0.6, policy=Policy(DAY, DAY / 2)) == "0-12h:1 12h-1d:1"
    assert bars(1, 31, policy=Policy(10 * DAY, 20 * DAY)) == "0-10d:1 30-60d:1"
    assert {bar.verdict for bar in judging.histogram([], Policy(10 * DAY, 20 * DAY))} == {Verdict.DUE, Verdict.OVERDUE}
    assert bars(900, 1500, policy=Policy(1000 * DAY, DAY)) == "730-999d:1 1000d+:1"


def test_histogram_is_of_active_keys_of_users() -> None:
    """Root's and what is switched off are not in it; the exempt are counted apart."""
    rows = judged(
        user(key(98), key(98, active=False)), user(key(98), name="root"), user(key(99), name="bot", tags=EXEMPT)
    )
    (bar,) = [bar for bar in judging.histogram(rows, Policy()) if bar.keys or bar.exempt]
    assert (bar.keys, bar.exempt) == (1, 1)


def test_counts() -> None:
    """Users without root, accounts that failed, keys of every kind."""
    surveys = [
        AccountSurvey(ACCOUNT, (user(key(98), key(1)), user(name="bob"), user(key(1), name="root"))),
        AccountSurvey(AwsAccount("210987654321"), problem="denied", code=5),
    ]
    counts = judging.count(surveys, judge(surveys, FleetSettings(exempt=Exempt(tags=())), {}, NOW))
    found = " ".join(f"{name}={number}" for name, number in counts.items() if number)
    assert found == "accounts=2 failed=1 users=2 with_keys=1 keys=3 root=1 overdue=1 fresh=1"


OLD, RECENT = NOW - 45 * DAY, NOW - 44 * DAY
BOSS: dict[str, object] = {"name": "root", "password": None, "mfa": False}
ROOTS_KEY = {"1.4": "1/1", "1.5": "1/1", "1.12": "0/1", "1.14": "0/1"}
PASSED = {"1.4": "0/0", "1.5": "0/0", "1.10": "0/0", "1.12": "0/0", "1.13": "0/0", "1.14": "0/0"}


@pytest.mark.parametrize(
    ("case", "who", "said", "found"),
    [
        ("a console password without MFA", user(password=True, mfa=False), "1.10", {"1.10": "1/1", "1.12": "0/1"}),
        ("a console password with MFA", user(password=True, mfa=True), "", {"1.10": "0/1", "1.12": "0/1"}),
        ("no password needs no MFA", user(password=False, mfa=False), "", {}),
        ("nothing is known without a credential report", user(password=None, mfa=None), "", {}),
        ("a password not used", user(password=True, mfa=True, signed_in=OLD), "1.12", {"1.10": "0/1", "1.12": "1/1"}),
        ("used", user(password=True, mfa=True, signed_in=RECENT), "", {"1.10": "0/1", "1.12": "0/1"}),
        ("never used", user(password=True, mfa=True, password_set=OLD), "1.12", {"1.10": "0/1", "1.12": "1/1"}),
        ("just set", user(password=True, mfa=True, password_set=RECENT), "", {"1.10": "0/1", "1.12": "0/1"}),
        ("root without MFA", user(**BOSS), "1.5", {"1.4": "0/1", "1.5": "1/1"}),
        ("root without any sign-in", user(**BOSS | {"password": False}), "", {"1.4": "0/1"}),
        ("root with a key alone", user(key(1), **BOSS | {"password": False}), "1.5", ROOTS_KEY),
        ("two active keys", user(key(9), key(1)), "", {"1.12": "0/2", "1.13": "1/1", "1.14": "0/2"}),
        ("one switched off", user(key(9), key(1, active=False)), "", {"1.12": "0/1", "1.13": "0/1", "1.14": "0/1"}),
        ("an unknown use is not checked", user(key(100, None)), "", {"1.13": "0/1", "1.14": "1/1"}),
    ],
)
def test_figures(case: str, who: FleetUser, said: str, found: dict[str, str]) -> None:
    """What fails of how much was checked, of keys, passwords and MFA, out of the credential report alone."""
    surveys = [AccountSurvey(ACCOUNT, (who,))]
    fails = judging.sign_ins(surveys, NOW)
    assert " ".join(control.number for each in fails for control in each.fails) == said
    seen = judging.figures(surveys, judge(surveys, PLAIN, {}, NOW), fails)
    assert {each.number: f"{figure.failed}/{figure.checked}" for each, figure in seen.items()} == PASSED | found


def test_figures_of_several() -> None:
    """The exempt count as failed and apart; a rate is rounded down; each version of the benchmark has its numbers."""
    surveys = [AccountSurvey(ACCOUNT, (user(key(98)), user(key(99), name="bot", tags=EXEMPT), user(key(1), name="c")))]
    found = {
        each.numbers: each_ for each, each_ in judging.figures(surveys, judge(surveys, PLAIN, {}, NOW), []).items()
    }
    assert found["1.14", "1.13", "2.12"] == (3, 2, 1, 2)
    assert found["1.14", "1.13", "2.12"].rate == 33
    assert found["1.4", "1.3", "2.4"].rate is None
    assert list(found) == [
        *(("1.4", "1.3", "2.4"), ("1.5", "1.4", "2.5"), ("1.10", "1.9", "2.10")),
        *(("1.12", "1.11", "2.11"), ("1.13", "1.12", ""), ("1.14", "1.13", "2.12")),
    ]


ONCE = datetime(2026, 11, 1, tzinfo=UTC)


def person(name: str = "alice", path: str = "/", **facts: object) -> FleetUser:
    """A user of the account."""
    return FleetUser(ACCOUNT.number, f"arn:aws:iam::{ACCOUNT.number}:user{path}{name}", **{"tags": {}, **facts})  # type: ignore[arg-type]


ROOT = FleetUser(ACCOUNT.number, f"arn:aws:iam::{ACCOUNT.number}:root")
MAP = {"alice": "al@example.com", "123456789012/bob": "here@example.com", "bob": "bob@example.com"}
OWNERS = rows(
    """
the mapping comes first | alice Owner= team@example.com | | al@example.com al@example.com mapping
the order is what `by` says | alice Owner= team@example.com | by=tag,mapping
    | team@example.com team@example.com tag owner
a line for the account goes before one for all | bob | | here@example.com here@example.com mapping
user names are compared as IAM compares them | ALICE | | al@example.com al@example.com mapping
the domain makes an address | eve | domain=x.org | eve eve@x.org user name
a domain may begin with @ | eve | domain=@x.org | eve eve@x.org user name
a name that is an address stays | e@y.org | domain=x.org | e@y.org e@y.org user name
a tag that is a name gets the domain | eve owner=bob | domain=x.org | bob bob@x.org tag owner
a tag without an address yields to a name that has one | eve@y.org owner=Red Team | | eve@y.org eve@y.org user name
without any address the first name stays | eve owner=Red | | Red - tag owner
a name with a comma makes no address | eve,x | domain=x.org | eve,x - user name
denied tags are passed over | eve - | domain=x.org | eve eve@x.org user name
one of several that is none makes no address | eve owner=a@x.org,b | | a@x.org,b - tag owner
no rule, no address | eve | by=mapping, | eve -
root gets no address by its name | root | domain=x.org | root -
""",
    4,
)


@pytest.mark.parametrize(("sentence", "who", "said", "owner"), OWNERS, ids=[case[0] for case in OWNERS])
def test_owner(sentence: str, who: str, said: str, owner: str) -> None:
    """Tag, name and mapping, in the order of the settings: a user with a tag, settings, and name, address and rule."""
    name, _, tag = who.partition(" ")
    tags = None if tag == "-" else dict([tag.split("=")] if tag else [])
    setting, _, value = said.partition("=")
    by = {"by": tuple(filter(None, value.split(","))), "domain": value}
    owners = replace(Owners(), **{setting: by[setting]} if setting else {})
    called, address, *how = owner.split()
    found = owner_of(ROOT if name == "root" else person(name, tags=tags), owners, MAP)
    assert found == Owner(called, "" if address == "-" else address, " ".join(how))


def test_several_addresses_in_a_tag_are_all_told() -> None:
    """Blanks, commas and semicolons separate them; each counts once."""
    for between in (" ", ",", ";", ", "):
        said = between.join(("a@x.org", "b@x.org", "a@x.org"))
        assert owner_of(person("eve", tags={"owner": said}), Owners(), {}).address == "a@x.org, b@x.org", between


@pytest.mark.parametrize(
    ("who", "address"),
    [
        (person("alice"), "al@x.org"),
        (person("eve", tags={"owner": "eve@x.org"}), "eve@x.org"),
        (person("bot"), "shop@x.org"),
        (ROOT, "shop@x.org"),
        (replace(person("bot"), account="210987654321"), "it@x.org"),
    ],
)
def test_owners_of_accounts_are_told_of_who_has_nobody_else(who: FleetUser, address: str) -> None:
    """A line for all users of an account, then one for all accounts, comes after each other way to find an owner."""
    mapping = read_mapping("*,it@x.org\nalice,al@x.org\n123456789012/*,shop@x.org\n", "owners.csv")
    assert owner_of(who, Owners(), mapping).address == address
    roots = read_mapping("<root_account>,it@x.org\n", "owners.csv")  # as the credential report names it
    assert owner_of(ROOT, Owners(domain="y.org"), roots).address == "it@x.org"
    assert owner_of(who, Owners(by=("tag", "name")), mapping).address in ("", "eve@x.org")


def test_mapping_file() -> None:
    """Head, comments, blank lines, a byte order mark, quotes and blanks around values are all right."""
    text = '\ufeffuser,address\r\n# us\r\n\r\nAlice, al@x.org\r\n123456789012/bob,bob@x.org\n"a,b",ab@x.org\n'
    text += "alice,al@x.org"
    assert read_mapping(text, "owners.csv") == {"alice": "al@x.org", "123456789012/bob": "bob@x.org", "a,b": "ab@x.org"}


MAPPINGS = rows(
    r"""
1: 1 values instead of two | alice\n
2: 3 values instead of two | # us\nalice,a@x.org,b\n
1: 1 values instead of two | alice;a@x.org\n
1: alice has no usable address | alice,\n
1: 111111111111 is the number of an account | 111111111111,a@x.org\n
1: '12/alice' is not a user name | 12/alice,a@x.org\n
2: ALICE has a different address further up | alice,a@x.org\nALICE,b@x.org\n
1: unexpected end of data | alice,"a@x.org\n
2: 1 values instead of two | alice,a@x.org\rBcc: b@x.org\n
2: alice has no usable address | alice,"a@x.org\nBcc: b@x.org"\n
""",
    2,
)


@pytest.mark.parametrize(("said", "text"), MAPPINGS)
def test_mapping_errors_name_the_line(said: str, text: str) -> None:
    """Whoever wrote the file finds the place."""
    with pytest.raises(WrongUsage) as caught:
        read_mapping(text.replace(r"\n", "\n").replace(r"\r", "\r"), "owners.csv")
    assert (caught.value.message, bool(caught.value.hint)) == (f"owners.csv, line {said}", True)


@pytest.mark.parametrize(
    ("case", "user", "rules", "reason"),
    [
        ("the laptop's tag", person(tags={"rotate-my-key": " Exempt "}), Exempt(), "tag rotate-my-key=exempt"),
        ("another value", person(tags={"rotate-my-key": "no"}), Exempt(), ""),
        ("a key alone", person(tags={"Bot": ""}), Exempt(tags=("bot",)), "tag bot"),
        ("denied tags exempt nobody", person(tags=None), Exempt(), ""),
        ("a path and all below it", person(path="/bots/ci/"), Exempt(paths=("/bots/",)), "path /bots/"),
        ("a path without its first slash", person(path="/bots/"), Exempt(paths=("bots/",)), "path bots/"),
        ("another path", person(path="/robots/"), Exempt(paths=("/bots/",)), ""),
        ("a pattern", person("CI-deploy"), Exempt(names=("ci-*",)), "name ci-*"),
        ("a pattern is for the whole name", person("my-ci-x"), Exempt(names=("ci-?",)), ""),
        ("brackets are no pattern", person("a"), Exempt(names=("[a]",)), ""),
        ("a group", person(), Exempt(groups=("bots", "ops")), "group ops"),
        ("their own list of groups", person("eve", groups=frozenset({"bots"})), Exempt(groups=("bots",)), "group bots"),
        ("no password and no sign-in", person(password=False), Exempt(never_signed_in=True), "never signed in"),
        ("a password", person(password=True), Exempt(never_signed_in=True), ""),
        ("signed in once", person(password=False, signed_in=ONCE), Exempt(never_signed_in=True), ""),
        ("unknown is not never", person(password=None), Exempt(never_signed_in=True), ""),
        ("root is never exempt", ROOT, Exempt(names=("*",), paths=("/",), never_signed_in=True), ""),
    ],
)
def test_exempt(case: str, user: FleetUser, rules: Exempt, reason: str) -> None:
    """Who is left alone, and why."""
    assert str(exempt(user, rules, MEMBERS, TODAY) or "") == reason


TODAY = NOW.date()
MEMBERS = {"bots": frozenset({"bob"}), "ops": frozenset({"alice"})}
SAID = """
[exempt]
[[leave]]
names = alice, carol
until = {until}
by = jane@example.com
[[audit]]
accounts = 123456789012,
paths = /audit/,
[limits]
[[old]]
names = *,
max_age = 10d
until = 2026-01-01
[[bots]]
paths = /bots/,
groups = bots,
max_age = 365d
deactivate_at = never
[[tagged]]
tags = limit=30,
max_age = 30d
[[here]]
accounts = 123456789012,
max_age = 60d
"""


@pytest.mark.parametrize(("days", "said"), [(-1, ""), (0, "leave: name alice, until {}, by jane@example.com")])
def test_an_exemption_counts_to_the_end_of_its_last_day(days: int, said: str) -> None:
    """Then the report says that it has ended, and the command, too; until when and by whom is in every row."""
    until = TODAY + days * DAY
    settings = parse(SAID.format(until=until), "fleet.ini", FleetSettings())
    assert str(exempt(person(), settings.exempt, {}, TODAY) or "") == said.format(until)
    (row,) = judge([AccountSurvey(ACCOUNT, (person(keys=(key(400),)),))], settings, {}, NOW)
    over = f"leave ended on {until}"
    assert (row.standing.value, row.ended) == (("exempt", "") if said else ("overdue", over))
    assert row.remark == (said.format(until) or f"no longer exempt: {over}")
    assert (row.until, row.by) == ((until, "jane@example.com") if said else (None, ""))
    assert (f"[[leave]] of [exempt] ended on {until} (by jane@example.com)" in settings.ended(TODAY)) is not bool(said)


@pytest.mark.parametrize(
    ("case", "user", "members", "days", "unknown"),
    [
        ("each list must fit", person("bob", "/bots/"), MEMBERS, 365, ""),
        ("one alone does not", person("alice", "/bots/"), MEMBERS, 60, ""),
        ("a tag", person("dave", tags={"limit": "30"}), MEMBERS, 30, ""),
        ("an account, and the first that fits", person("dave"), MEMBERS, 60, ""),
        ("none", replace(person("dave"), account="210987654321"), MEMBERS, 90, ""),
        ("tags that cannot be read", person("dave", tags=None), MEMBERS, 60, "the tags of dave"),
        ("a group that cannot be read", person("bob", "/bots/"), {}, 60, "the members of group bots"),
        ("what cannot be read and does not matter", person("dave"), {}, 60, ""),
        ("an exemption by path and account", person("dave", "/audit/", tags=None), MEMBERS, 60, ""),
        ("root has the general ones", ROOT, MEMBERS, 90, ""),
    ],
)
def test_limits_for_some(case: str, user: FleetUser, members: Members, days: int, unknown: str) -> None:
    """By tag, path, name, group and account; what has ended does not count."""
    settings = parse(SAID.format(until=TODAY), "fleet.ini", FleetSettings())
    limit = judging.limit_of(user, settings, members, TODAY)
    assert settings.limited(limit).policy.max_age == days * DAY
    assert unreadable(user, settings, members, TODAY) == unknown


@pytest.mark.parametrize(
    ("case", "user", "rules", "members", "said"),
    [
        ("all was read", person(), Exempt(), None, ""),
        ("denied tags", person(tags=None), Exempt(), None, "the tags of alice"),
        ("no rule asks for tags", person(tags=None), Exempt(tags=()), None, ""),
        ("another rule holds already", person("bot", tags=None), Exempt(names=("bot",)), None, ""),
        ("a denied group", person(), Exempt(groups=("ops",)), {}, "the members of group ops"),
        ("no group was read", person(), Exempt(groups=("ops",)), None, "the members of group ops"),
        ("the user's own list of groups was read", person(groups=frozenset()), Exempt(groups=("ops",)), None, ""),
        ("a password not asked for", person(), Exempt(never_signed_in=True), None, "whether alice has a password"),
        ("a sign-in says it all", person(signed_in=ONCE), Exempt(never_signed_in=True), None, ""),
        ("root is never exempt", ROOT, Exempt(groups=("ops",)), None, ""),
    ],
)
def test_what_cannot_be_read(
    case: str, user: FleetUser, rules: Exempt, members: dict[str, frozenset[str]] | None, said: str
) -> None:
    """Whoever acts on a user learns that his exemption is not known."""
    assert unreadable(user, FleetSettings(exempt=rules), members, TODAY) == said
