"""What a person sees in the most common situations, at 60, 80 and 120 columns: a book a file each in `screens/`.

The files are written anew with ROTATE_MY_KEY_SCREENS=write in the environment (and `-m ""`, for all three widths). Ids,
account, address, times and dates are made the same in each; as dates are not equally long, the words are compared and
not where a line ends. That no line is longer than the screen is checked for itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest

from rotate_my_key.core.model import Credentials, LastUse
from tests.cli.conftest import Desk

FOLDER = Path(__file__).parent / "screens"
WIDTHS = (60, 80, 120)
KEY_OF_ALICE = timedelta(days=98)
ASK = "Rotate it?"
COMMAND = re.compile(r"hint: |.*(rotate-my-key|\baws|\$\{EDITOR)\b")  # a command is never broken
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"


class Situation(NamedTuple):
    """What is typed, what is there (a Desk with nothing in it is handed in), and what is answered to which question."""

    typed: str
    there: Callable[[Desk], object]
    answers: tuple[tuple[str, str], ...] = ()
    env: Mapping[str, str] = MappingProxyType({})


def alice(desk: Desk, days: int = 98, use: LastUse | None = None) -> Credentials:
    """Her key in two profiles."""
    pair = desk.aws.add_key("alice", timedelta(days=days), use=use)
    desk.profiles(default=pair, work=pair)
    return pair


def no_keyring(desk: Desk) -> None:
    """A server without a session."""
    desk.env.update(XDG_RUNTIME_DIR="/nonexistent")
    alice(desk)


def used(desk: Desk) -> None:
    """By s3, three hours ago."""
    alice(desk, use=LastUse(datetime.now(UTC) - timedelta(hours=3, minutes=5), "s3", "eu-west-1"))


def with_second(desk: Desk, status: str) -> None:
    """Another key of hers that nothing here has."""
    alice(desk)
    desk.aws.add_key("alice", timedelta(days=120), status)


def mfa(desk: Desk) -> None:
    """A code that was used already."""
    alice(desk)
    desk.aws.demand_mfa()
    desk.aws.add_mfa("alice", "arn:aws:iam::123456789012:mfa/alice")


def dead(desk: Desk) -> None:
    """The key is inactive."""
    desk.aws.set_status(alice(desk).key_id, "Inactive")


def sso(desk: Desk) -> None:
    """The default profile needs no key; another one has it."""
    desk.add("[default]\nsso_start_url = https://example.com/start\n", desk.config)
    desk.profiles(work=desk.aws.add_key("alice", KEY_OF_ALICE))


def unfinished(desk: Desk) -> None:
    """A run that AWS did not let come to its end."""
    alice(desk)
    desk.aws.settings.propagation = 3600
    assert desk.run("rotate", "--yes", ROTATE_MY_KEY_PROPAGATION_TIMEOUT="1s").code == 75
    desk.aws.settings.propagation = 0


def rotated(desk: Desk, *words: str) -> None:
    """A rotation that is over."""
    alice(desk)
    assert desk.run("rotate", "--yes", *words).code == 0


def many(desk: Desk) -> None:
    """A consultant's laptop."""
    rotated(desk, "--keep-old", "7d")
    for user, days in (("bob", 80), ("carol", 120)):
        desk.aws.add_user(user)
        desk.profiles(**{f"client-{user}": desk.aws.add_key(user, timedelta(days=days))})
    desk.aws.add_key("carol", timedelta(days=300), "Inactive")
    desk.profiles(old=Credentials("AKIADEADDEADDEADDEAD", "x" * 40))
    desk.add("[profile sso]\nsso_start_url = https://example.com/start\n", desk.config)


def broken(desk: Desk) -> None:
    """Others can read the file, and the user has two active keys."""
    with_second(desk, "Active")
    desk.credentials.chmod(0o644)


def copies(desk: Desk) -> None:
    """Two more files have the key."""
    pair = alice(desk)
    (desk.home / ".bash_history").write_text(f"export AWS_SECRET_ACCESS_KEY={pair.secret}\n")
    (desk.home / ".s3cfg").write_text(f"[default]\naccess_key = {pair.key_id}\nsecret_key = {pair.secret}\n")
    for name in (".bash_history", ".s3cfg"):
        (desk.home / name).chmod(0o600)


def csv(desk: Desk) -> None:
    """What IT sent, in the home."""
    pair = desk.aws.add_key("alice", timedelta(days=0))
    file = desk.home / "accessKeys.csv"
    file.write_text(f"Access key ID,Secret access key\n{pair.key_id},{pair.secret}\n")
    file.chmod(0o600)


def due_and_known(desk: Desk) -> None:
    """What the reminder goes by."""
    alice(desk)
    desk.run("status")


SITUATIONS = {
    "adopt": Situation("adopt accessKeys.csv", csv, (("[Y/n]", "y\r"),)),
    "doctor-broken": Situation("doctor", broken),
    "doctor-well": Situation("doctor", lambda desk: alice(desk, 3)),
    "help": Situation("--help", lambda desk: None),
    "history": Situation("history", rotated),
    "keyring-store": Situation("keyring store", no_keyring),
    "no-aws-folder": Situation("", lambda desk: None),
    "reminder-install": Situation("reminder install --shell bash", due_and_known),
    "reminder-show": Situation("reminder show", due_and_known),
    "rotate-active-second-key": Situation("", lambda desk: with_second(desk, "Active")),
    "rotate-due": Situation("", alice, ((ASK, "y\r"),)),
    "rotate-dry-run": Situation("rotate --dry-run", copies),
    "rotate-fresh": Situation("", lambda desk: alice(desk, 3)),
    "rotate-in-use": Situation("", used, ((ASK, "k\r"),)),
    "rotate-inactive-second-key": Situation("", lambda desk: with_second(desk, "Inactive"), (("make room?", "n\r"),)),
    "rotate-no": Situation("", alice, ((ASK, "n\r"),)),
    "rotate-offline": Situation("", alice, env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}),
    "rotate-refused-key": Situation("", dead),
    "rotate-sso-default": Situation("", sso),
    "rotate-unfinished": Situation("", unfinished),
    "rotate-wrong-mfa-code": Situation("rotate --yes --mfa-code 000000", mfa, (("MFA code for", "\x03"),)),
    "scan": Situation("scan", copies),
    "schedule-show": Situation("schedule show", alice),
    "status-many": Situation("status", many),
    "undo": Situation("undo", lambda desk: rotated(desk, "--keep-old", "7d"), (("[y/N]", "y\r"),)),
}


def told(desk: Desk, text: str) -> str:
    """The same words each time."""
    ids: dict[str, str] = {}
    names = ("MPLE", "Q2XA", "7HNB", "K4TD", "Z9CE", "V3RW", "B6YP", "N8SF")

    def named(found: re.Match[str]) -> str:
        last = ids.setdefault(found[2], names[len(ids)])
        return f"AKIAIOSFODNN7EXA{last}" if found[1] else f"...{last}"

    text = re.sub(r"(?:\.\.\.|(AKIA[A-Z0-9]{12}))([A-Z0-9]{4})\b", named, text)
    for what, always in (
        (re.escape(desk.aws.account), "123456789012"),
        (re.escape(desk.aws.url), "http://127.0.0.1:40000"),
        (re.escape(str(desk.home)), "/home/alice"),
        (r"\b(today|tomorrow), \d\d:\d\d", "tomorrow, 14:30"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-12-02 14:30"),
        (rf"\b\d+ ({MONTHS})\b", "4 February"),
        (r"verified in \d+ s", "verified in 8 s"),
        (r"4 February 20\d\d", "4 February 2027"),
    ):
        text = re.sub(what, always, text)
    return text


def sections(file: Path) -> dict[int, str]:
    """The screen of each width."""
    parts = re.split(r"^-- (\d+) columns -*\n", file.read_text() if file.exists() else "", flags=re.MULTILINE)[1:]
    return {int(width): text for width, text in zip(parts[::2], parts[1::2], strict=True)}


def widths() -> Iterator[object]:
    """All; those of 60 and 120 columns are marked slow, since each is a run of its own."""
    for name in SITUATIONS:
        for width in WIDTHS:
            yield pytest.param(name, width, marks=() if width == 80 else pytest.mark.slow, id=f"{name}-{width}")


@pytest.mark.parametrize(("name", "width"), list(widths()))
def test_the_screen_is_as_in_the_book(empty: Desk, name: str, width: int) -> None:
    """Word for word; and nothing but a command or a single word is longer than a line."""
    situation, file = SITUATIONS[name], FOLDER / f"{name}.txt"
    situation.there(empty)
    run = empty.terminal(*situation.typed.split(), width=width, **situation.env)
    for question, keys in situation.answers:
        run.answer(question, keys)
    end = run.end()
    assert [line for line in end.lines if len(line) > width and not COMMAND.match(line)] == []
    shown = told(empty, f"{end.text}\n(exit code {end.code})\n")
    if os.environ.get("ROTATE_MY_KEY_SCREENS") == "write":
        write(file, situation.typed, {**sections(file), width: shown})
    assert sections(file).get(width, "").split() == shown.split()


def write(file: Path, typed: str, screens: dict[int, str]) -> None:
    """The command, and what is on the screen at each width."""
    file.parent.mkdir(exist_ok=True)
    parts = [f"{f'-- {width} columns '.ljust(width, '-')}\n{screens[width].rstrip()}\n\n" for width in sorted(screens)]
    file.write_text(f"$ rotate-my-key {typed}".rstrip() + "\n\n" + "".join(parts).rstrip() + "\n")
