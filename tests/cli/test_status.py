"""`status`: verdicts, exit codes of --check, what --cached knows; `history` beside it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from rotate_my_key.core.model import Credentials, LastUse
from tests.cli.conftest import Desk

MakeKey = Callable[..., Credentials]
OFFLINE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}


def verdicts(desk: Desk, *words: str, **env: str) -> dict[str, str]:
    """The verdict by profile."""
    keys = desk.run("status", "--json", *words, **env).json["keys"]
    return {profile: key["verdict"] for key in keys for profile in key["profiles"]}


def test_verdicts(empty: Desk, make_key: MakeKey) -> None:
    """One row a key; what AWS refuses is a row and no failure. A computer without keys is no problem."""
    done = empty.run("status", "--check")
    assert (done.code, done.out) == (0, "no profile here holds a key\n")
    wrong, old = make_key("mallory"), make_key()
    empty.profiles(
        default=old,
        work=old,
        due=make_key("bob", days=80),
        fresh=make_key("carol", days=3),
        exempt=make_key("eve", rotate_my_key="exempt"),
        wrong=Credentials(wrong.key_id, "x" * 40),
    )
    empty.add("[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = work\n", empty.config)
    found = verdicts(empty)
    assert {found.pop(name) for name in ("default", "work")} == {"overdue"}
    assert found.pop("wrong") == "refused" and found.pop("role") == "not rotatable"
    assert found == {name: name for name in ("due", "fresh", "exempt")}
    assert empty.changes == []


# Days, the option's value, the exit code.
CHECKS = [
    pytest.param(3, None, 0, id="fresh"),
    pytest.param(80, None, 3, id="due"),
    pytest.param(80, "overdue", 0, id="due, asked for overdue"),
    pytest.param(98, "overdue", 3, id="overdue"),
    pytest.param(98, "due", 3, id="overdue, asked for due"),
]


@pytest.mark.parametrize(("days", "least", "code"), CHECKS)
def test_check(empty: Desk, make_key: MakeKey, days: int, least: str | None, code: int) -> None:
    """Exit 3 if a key is that old, else 0."""
    empty.profiles(default=make_key(days=days))
    assert empty.run("status", "--check", *([least] if least else [])).code == code


def test_what_is_excluded_does_not_count(desk: Desk, make_key: MakeKey) -> None:
    """Neither a key that is overdue nor one that AWS refuses, nor any profile beside it; unless it is asked for."""
    desk.profiles(fresh=make_key("carol", days=3), dead=Credentials("AKIADEADDEADDEADDEAD", "x" * 40))
    assert desk.run("status", "--check").code == 3
    desk.settings("exclude = work,\n")
    assert desk.run("status", "--check").code == 75
    desk.settings("exclude = work, dead\n")
    assert desk.run("status", "--check").code == 0
    assert desk.run("status", "--check", "--cached").code == 0
    assert desk.run("status", "--check", "-p", "default").code == 3
    assert desk.run("status", "--check", "-p", "dead").code == 75


def test_check_does_not_guess(empty: Desk, make_key: MakeKey) -> None:
    """A key whose age is not known is 75, never 0; known once, its age is known offline too, until that was longer ago
    than cache_max_age."""
    empty.profiles(default=make_key(days=3))
    assert empty.run("status", "--check", "--cached").code == 75
    assert empty.run("status", "--check", **OFFLINE).code == 75
    assert empty.run("status", "--check").code == 0
    assert empty.run("status", "--check", "--cached").code == 0
    cache = empty.state / "status.json"
    cache.write_text(re.sub(r'("seen_at": ?)"[^"]+"', r'\1"2020-01-01T00:00:00+00:00"', cache.read_text()))
    assert empty.run("status", "--check", "--cached").code == 75


def test_offline(desk: Desk) -> None:
    """Without a network a key's row says so, and the age of a key that was seen before is still there."""
    assert verdicts(desk, **OFFLINE) == {"default": "unknown", "work": "unknown"}
    desk.run("status")
    calls = len(desk.aws.calls)
    assert verdicts(desk, "--cached") == {"default": "overdue", "work": "overdue"}
    assert "98 days" in desk.run("status", **OFFLINE).out
    assert "overdue" in desk.run("status", "--cached", **OFFLINE).out
    assert len(desk.aws.calls) == calls


def test_cached_sees_the_files_as_they_are(desk: Desk, make_key: MakeKey) -> None:
    """A profile that was added since is in the table, not looked up yet; and a rotation keeps what it learnt: the cache
    names the new key. -p shows one profile's key only; a name that is not known is a problem."""
    desk.run("rotate", "--yes")
    (key,) = desk.run("status", "--cached", "--json").json["keys"]
    assert (key["key_id"], key["verdict"]) == (desk.held(), "fresh")
    desk.profiles(bob=make_key("bob"))
    assert verdicts(desk, "--cached")["bob"] == "unknown"
    assert verdicts(desk, "-p", "bob") == {"bob": "overdue"}
    done = desk.run("status", "-p", "nobody")
    assert (done.code, done.problem()[0]) == (1, "no key or profile named nobody is known here")


def test_unfinished(desk: Desk, old: Credentials) -> None:
    """A rotation that was begun is told with its key, also from the cache."""
    desk.aws.settings.propagation = 3600
    assert desk.run("rotate", "--yes", ROTATE_MY_KEY_PROPAGATION_TIMEOUT="1s").code == 75
    assert verdicts(desk) == {"default": "unfinished", "work": "unfinished"}
    assert verdicts(desk, "--cached") == {"default": "unfinished", "work": "unfinished"}
    desk.aws.settings.propagation = 0
    assert desk.run("rotate").code == 0
    assert list(desk.ids()) == [desk.held()] != [old.key_id]
    assert verdicts(desk) == {"default": "fresh", "work": "fresh"}


def test_history(desk: Desk, old: Credentials) -> None:
    """One line a rotation with whole ids, and how long both keys worked; nothing yet is said in words."""
    assert desk.run("history").out == "No rotations on this computer yet.\n"
    desk.run("rotate", "--yes")
    head, line, more = desk.run("history").out.splitlines()
    assert head.split() == ["WHEN", "WHAT", "OLD", "KEY", "NEW", "KEY", "USER", "ACCOUNT"]
    assert line.split()[2:] == ["rotated", old.key_id, desk.held(), "alice", desk.aws.account]
    assert more == "  both keys worked for less than a minute"


def test_history_of_an_overlap(desk: Desk, old: Credentials) -> None:
    """What used the old key after the switch, how long both worked, and what the old one waited for."""
    copy, short = desk.home / ".env", {"ROTATE_MY_KEY_OVERLAP_MOST": "1s"}
    copy.write_text(f"AWS_ACCESS_KEY_ID={old.key_id}\nAWS_SECRET_ACCESS_KEY={old.secret}\n")
    desk.settings("[after_rotate]\n[[restart]]\ncommand = true\n")
    assert desk.run("rotate", "--yes", "--update-copies", "--overlap", "1s", **short).code == 0
    used = datetime.now(UTC) + timedelta(seconds=1)
    desk.aws.set_last_use(old.key_id, LastUse(used, "s3", "eu-west-1"))
    time.sleep(1.1)
    assert desk.run("rotate", **short).code == 0
    (past,) = desk.run("history", "--json").json["history"]
    used_at, off, made = (datetime.fromisoformat(past[name]) for name in ("used_at", "old_off", "new_made"))
    assert past["used_by"] == "s3 in eu-west-1" and abs(used_at - used) < timedelta(seconds=2)
    assert past["copies"] == [str(copy)] and past["commands"] == ["restart"]
    assert timedelta(0) < off - made < timedelta(minutes=1)
    assert [line.partition(", last on")[0] for line in desk.run("history").out.splitlines()[2:]] == [
        "  both keys worked for less than a minute",
        "  meanwhile the old key was used by s3 in eu-west-1",
        "  changed with it: ~/.env",
        "  commands run: restart",
    ]


@dataclass(frozen=True)
class Home:
    """Keys by profile: their age in days, and what is odd about them."""

    ages: dict[str, int]
    exempt: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    sso: bool = False
    limits: tuple[int, int] = (90, 15)


HOMES = {
    "no key": Home({}),
    "a fresh one": Home({"a": 3}),
    "on the day that it is due, and the one before": Home({"a": 75, "b": 74}),
    "on the day that it is overdue, and the one before": Home({"a": 90, "b": 89}),
    "all overdue": Home({"a": 98, "b": 120, "c": 91}),
    "one of each": Home({"a": 3, "b": 80, "c": 98, "d": 98, "e": 5}, exempt=("d",), dead=("e",), sso=True),
    "refused ones only": Home({"a": 3, "b": 98}, dead=("a", "b")),
    "excluded, and one that is not": Home({"a": 98, "b": 98}, excluded=("a",)),
    "beside SSO": Home({"a": 98, "b": 98}, mixed=("a",)),
    "a second key each": Home({"a": 98, "b": 3}, second=("a", "b")),
    "tighter limits": Home({"a": 29, "b": 31, "c": 3}, limits=(30, 10)),
}
WORST = ["overdue", "refused", "unfinished", "due", "unknown", "kept", "switched off"]
WORST += ["fresh", "exempt", "not rotatable"]


def lay_out(desk: Desk, make_key: MakeKey, home: Home) -> None:
    """The files and AWS as the home says, looked at once."""
    desk.add("", desk.config)
    for name, days in home.ages.items():
        pair = make_key(f"u-{name}", days=days, **({"rotate_my_key": "exempt"} if name in home.exempt else {}))
        desk.profiles(**{name: Credentials(pair.key_id, "x" * 40) if name in home.dead else pair})
        if name in home.mixed:
            desk.add(f"[profile {name}]\nsso_start_url = https://example.com/start\n", desk.config)
        if name in home.second:
            make_key(f"u-{name}", days=200, status="Inactive")
    if home.sso:
        desk.add("[profile sso]\nsso_start_url = https://example.com/start\n", desk.config)
    most, before = home.limits
    desk.settings(f"exclude = {','.join(home.excluded)},\nmax_age = {most}d\nremind_before = {before}d\n")
    desk.run("status")


@pytest.mark.parametrize("home", HOMES.values(), ids=HOMES)
def test_the_screen_says_what_the_json_says(empty: Desk, make_key: MakeKey, home: Home) -> None:
    """Each verdict, age, name and count on it, worked out a second way: from ages, limits and the rows of --json."""
    lay_out(empty, make_key, home)
    keys = empty.run("status", "--cached", "--json").json["keys"]
    done, now, (most, before) = empty.run("status", "--cached"), datetime.now(UTC), home.limits
    for key in keys:
        (name,) = key["profiles"]
        age = (now - datetime.fromisoformat(key["created"])).days if key["created"] else None
        odd = "exempt" if name in home.exempt else "refused" if name in home.dead else ""
        by_age = "unknown" if age is None else "overdue" if age >= most else "due" if age >= most - before else "fresh"
        assert key["verdict"] == (odd or by_age if key["key_id"] else "not rotatable")
        (line,) = [line for line in done.out.splitlines()[1:] if re.match(rf"\S+( \S+)?  +{name} ", line)]
        cells = re.split(r"  +", line)
        assert cells[:2] == [key["verdict"], name]
        assert cells[2] == (f"...{key['key_id'][-4:]}" if key["key_id"] else "-")
        assert cells[3].split()[0] == (str(age) if age is not None else "-")
        assert cells[4] == (f"{key['user']} in {key['account']}" if key["user"] else "-")
    shown = [line.split("  ")[0] for line in done.out.splitlines()[1:]]
    assert shown == sorted((key["verdict"] for key in keys), key=WORST.index) or not keys
    ripe = [key for key in keys if key["verdict"] in ("due", "overdue") and key["profiles"][0] not in home.excluded]
    plain = [key for key in ripe if key["profiles"][0] not in home.mixed]
    said = re.search(r"(\d+) keys? (?:is|are) (.*): rotate-my-key rotate (.*)", done.err)
    assert (int(said[1]) if said else 0) == len(plain)
    assert set(said[2].split(" or ") if said else []) == {key["verdict"] for key in plain}
    assert not said or said[3] == ("--all" if plain[1:] else f"-p {plain[0]['profiles'][0]}")
    assert re.findall(r"rotate -p (\w+) --mixed", done.err) == [name for name in home.ages if name in home.mixed]
    assert re.findall(r"doctor -p (\w+)", done.err) == [name for name in home.ages if name in home.dead]
    assert done.err.count(" has a second key, ...") == len(home.second)
    assert empty.run("status", "--cached", "--check").code == (3 if ripe else 75 if home.dead else 0)
    assert empty.run("status", "--cached", "--check", "-q").text == ""
