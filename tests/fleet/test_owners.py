"""Whose keys they are, and who is left alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rotate_my_key.core.errors import WrongUsage
from rotate_my_key.fleet.judge import exempt, owner_of, read_mapping, unreadable
from rotate_my_key.fleet.model import FleetUser, Owner
from rotate_my_key.settings.fleet import Exempt, Owners

ACCOUNT = "123456789012"
DAY = datetime(2026, 11, 1, tzinfo=UTC)


def person(name: str = "alice", path: str = "/", **facts: object) -> FleetUser:
    """A user of the account."""
    return FleetUser(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user{path}{name}", **{"tags": {}, **facts})  # type: ignore[arg-type]


ROOT = FleetUser(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
MAP = {"alice": "al@example.com", "123456789012/bob": "here@example.com", "bob": "bob@example.com"}
TAGGED = {"Owner": " team@example.com "}


@pytest.mark.parametrize(
    ("case", "user", "owners", "owner"),
    [
        (
            "the mapping comes first",
            person(tags=TAGGED),
            Owners(),
            Owner("al@example.com", "al@example.com", "mapping"),
        ),
        (
            "the order is what `by` says",
            person(tags=TAGGED),
            Owners(by=("tag", "mapping")),
            Owner("team@example.com", "team@example.com", "tag owner"),
        ),
        (
            "a line for the account goes before one for all",
            person("bob"),
            Owners(),
            Owner("here@example.com", "here@example.com", "mapping"),
        ),
        (
            "user names are compared as IAM compares them",
            person("ALICE"),
            Owners(),
            Owner("al@example.com", "al@example.com", "mapping"),
        ),
        ("the domain makes an address", person("eve"), Owners(domain="x.org"), Owner("eve", "eve@x.org", "user name")),
        ("a domain may begin with @", person("eve"), Owners(domain="@x.org"), Owner("eve", "eve@x.org", "user name")),
        (
            "a name that is an address stays",
            person("e@y.org"),
            Owners(domain="x.org"),
            Owner("e@y.org", "e@y.org", "user name"),
        ),
        (
            "a tag that is a name gets the domain",
            person("eve", tags={"owner": "bob"}),
            Owners(domain="x.org"),
            Owner("bob", "bob@x.org", "tag owner"),
        ),
        (
            "a tag without an address yields to a name that has one",
            person("eve@y.org", tags={"owner": "Team Red"}),
            Owners(),
            Owner("eve@y.org", "eve@y.org", "user name"),
        ),
        (
            "without any address the first name stays",
            person("eve", tags={"owner": "Team Red"}),
            Owners(),
            Owner("Team Red", "", "tag owner"),
        ),
        (
            "a name with a comma makes no address",
            person("eve,x"),
            Owners(domain="x.org"),
            Owner("eve,x", "", "user name"),
        ),
        (
            "denied tags are passed over",
            person("eve", tags=None),
            Owners(domain="x.org"),
            Owner("eve", "eve@x.org", "user name"),
        ),
        ("no rule, no address", person("eve"), Owners(by=("mapping",)), Owner("eve")),
        ("root gets no address by its name", ROOT, Owners(domain="x.org"), Owner("root")),
    ],
)
def test_owner(case: str, user: FleetUser, owners: Owners, owner: Owner) -> None:
    """Tag, name and mapping, in the order of the settings."""
    assert owner_of(user, owners, MAP) == owner


def test_root_is_somebodys_by_the_mapping() -> None:
    """The mapping names root as the credential report does."""
    mapping = read_mapping("<root_account>,it@x.org\n", "owners.csv")
    assert owner_of(ROOT, Owners(domain="y.org"), mapping).address == "it@x.org"


def test_mapping_file() -> None:
    """Head, comments, blank lines, a byte order mark, quotes and blanks around values are all right."""
    text = '\ufeffuser,address\r\n# us\r\n\r\nAlice, al@x.org\r\n123456789012/bob,bob@x.org\n"a,b",ab@x.org\n'
    text += "alice,al@x.org"
    assert read_mapping(text, "owners.csv") == {
        "alice": "al@x.org",
        "123456789012/bob": "bob@x.org",
        "a,b": "ab@x.org",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alice\n", "owners.csv, line 1: 1 values where there must be two"),
        ("# us\nalice,a@x.org,b\n", "owners.csv, line 2: 3 values where there must be two"),
        ("alice;a@x.org\n", "owners.csv, line 1: 1 values where there must be two"),
        ("alice,\n", "owners.csv, line 1: alice has no address that could be used"),
        ("12/alice,a@x.org\n", "owners.csv, line 1: '12/alice' is no user name"),
        ("alice,a@x.org\nALICE,b@x.org\n", "owners.csv, line 2: ALICE has another address further up"),
        ('alice,"a@x.org\n', "owners.csv, line 1: unexpected end of data"),
        ("alice,a@x.org\rBcc: b@x.org\n", "owners.csv, line 2: 1 values where there must be two"),
        ('alice,"a@x.org\nBcc: b@x.org"\n', "owners.csv, line 2: alice has no address that could be used"),
    ],
)
def test_mapping_errors_name_the_line(text: str, message: str) -> None:
    """Whoever wrote the file finds the place."""
    with pytest.raises(WrongUsage) as caught:
        read_mapping(text, "owners.csv")
    assert caught.value.message == message
    assert caught.value.hint


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
        (
            "a group as the user's own list has it",
            person("eve", groups=frozenset({"bots"})),
            Exempt(groups=("bots",)),
            "group bots",
        ),
        ("no password and no sign-in", person(password=False), Exempt(never_signed_in=True), "never signed in"),
        ("a password", person(password=True), Exempt(never_signed_in=True), ""),
        ("signed in once", person(password=False, signed_in=DAY), Exempt(never_signed_in=True), ""),
        ("unknown is not never", person(password=None), Exempt(never_signed_in=True), ""),
        ("root is never exempt", ROOT, Exempt(names=("*",), paths=("/",), never_signed_in=True), ""),
    ],
)
def test_exempt(case: str, user: FleetUser, rules: Exempt, reason: str) -> None:
    """Who is left alone, and why."""
    assert exempt(user, rules, {"bots": frozenset({"bob"}), "ops": frozenset({"alice"})}) == reason


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
        ("a sign-in says it all", person(signed_in=DAY), Exempt(never_signed_in=True), None, ""),
        ("root is never exempt", ROOT, Exempt(groups=("ops",)), None, ""),
    ],
)
def test_what_cannot_be_read(
    case: str, user: FleetUser, rules: Exempt, members: dict[str, frozenset[str]] | None, said: str
) -> None:
    """Whoever acts on a user learns that his exemption is not known."""
    assert unreadable(user, rules, members) == said
