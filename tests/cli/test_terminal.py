"""What a person sees in a real terminal: the question, its answers, the lines of a rotation, colours."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from rotate_my_key.cli.app import App
from rotate_my_key.core.model import Credentials, LastUse
from tests.cli.conftest import Desk

QUESTION = "Rotate it? It takes about 10 seconds. [Y/n]"
ESCAPE = "\x1b["


def last(key_id: str) -> str:
    """How an id is shown."""
    return f"...{key_id[-4:]}"


def test_a_whole_rotation(desk: Desk, old: Credentials) -> None:
    """Who, which key, how old; one question; a line a step; when the next is due. Nothing else stays on the screen."""
    desk.aws.settings.propagation = 1.5
    run = desk.terminal()
    run.answer(QUESTION, "y\r")
    done = run.end()
    assert done.code == 0
    (new,) = desk.ids()
    account, url = re.escape(desk.aws.account), re.escape(desk.aws.url)
    expected = [
        rf"alice in {account}, key {last(old.key_id)} \(profiles default, work\)",
        r"98 days old, maximum age is 90; never used",
        rf"Endpoint: {url} \(not AWS\)",
        r"Only this computer is updated\. Anything else that uses this key stops working\.",
        r"To keep the old key working for a day, and to be able to undo: --overlap 1d",
        r"Rotate it\? It takes about 10 seconds\. \[Y/n\] y",
        rf"  created a new key {last(new)}",
        r"  new key works \(verified in \d s\)",
        r"  ~/\.aws/credentials: updated default and work",
        rf"  deactivated and deleted the old key {last(old.key_id)}",
        r"Done\. Next rotation due on \d+ \w+( \d{4})?\.",
    ]
    for line, form in zip(done.lines, expected, strict=True):
        assert re.fullmatch(form, line), line
    assert "waiting for the new key to take effect (about 10 seconds, Ctrl-C is safe)" in done.stream


KEEP = "Rotate it? It takes about 10 seconds. [y]es, [K]eep the old key working for a day, [n]o:"


@pytest.mark.parametrize(
    ("words", "question", "keys", "kept"),
    [
        pytest.param("", KEEP, "what\r\r", True, id="Enter"),
        pytest.param("", KEEP, "yes\r", False, id="yes"),
        pytest.param("rotate --force --keep-old 0", QUESTION, "\r", False, id="a leaked key is not kept"),
    ],
)
def test_a_key_in_use_may_go_on_working(
    desk: Desk, old: Credentials, words: str, question: str, keys: str, kept: bool
) -> None:
    """Who uses it is said before the question, whose answer is then k: the old key works for a day more. That it was
    used, not by us, is known on the day after, too."""
    desk.aws.set_last_use(old.key_id, LastUse(datetime.now(UTC) - timedelta(hours=3), "s3", "eu-west-1"))
    with program(old) as process:
        run = desk.terminal(*words.split())
        run.until("maximum age is 90; last used 3 hours ago by s3 in eu-west-1")
        run.until(f"Running now with this key: sleep ({process.pid})")
        run.answer(question, keys)
        done = run.end()
    assert done.code == 0, done.text
    assert desk.ids() == {desk.held(): "Active", **({old.key_id: "Active"} if kept else {})}
    assert ("works until tomorrow, " in done.text) is kept


@contextmanager
def program(pair: Credentials) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has the key in its environment."""
    with subprocess.Popen(["sleep", "60"], env={"AWS_ACCESS_KEY_ID": pair.key_id, "PATH": os.environ["PATH"]}) as run:
        yield run
        run.kill()


def test_a_use_by_others_outlives_our_own(desk: Desk, old: Credentials) -> None:
    """AWS knows the last use only, and a look is one: even if the person stops at the question, it is remembered."""
    desk.aws.set_last_use(old.key_id, LastUse(datetime.now(UTC) - timedelta(hours=3), "s3", "eu-west-1"))
    run = desk.terminal()
    run.answer(KEEP, "\x03")
    assert run.end().code == 130
    desk.aws.set_last_use(old.key_id, LastUse(datetime.now(UTC), "sts", "us-east-1"))
    done = desk.run("rotate", "--dry-run")
    assert "last used 3 hours ago by s3 in eu-west-1; since then only by rotate-my-key" in done.err
    (row,) = desk.run("status", "--json").json["keys"]
    assert (row["last_use"]["service"], row["used_by_others"]["service"]) == ("sts", "s3")
    assert f"alice in {desk.aws.account}  3 hours ago by s3 in eu-west-1" in desk.run("status").out


@pytest.mark.parametrize(
    ("words", "keys", "code"),
    [
        pytest.param("", "n\r", 4, id="n"),
        pytest.param("rotate --overlap 1h", "n\r", 4, id="n, with an overlap"),
        pytest.param("rotate --keep-old 7d", "n\r", 4, id="n, with a kept key"),
        pytest.param("", "\x03", 130, id="Ctrl-C"),
        pytest.param("", "\x04", 130, id="Ctrl-D"),
        pytest.param("", "\r", 0, id="Enter is yes"),
    ],
)
def test_answers(desk: Desk, old: Credentials, words: str, keys: str, code: int) -> None:
    """What is no yes changes nothing and says so, at once. How the old key is kept is told unless it was just typed."""
    before = desk.snapshot()
    run = desk.terminal(*words.split())
    run.answer(QUESTION, keys)
    done = run.end()
    assert done.code == code, done.text
    assert ("to be able to undo" in done.text) is not bool(words)
    assert (desk.held() != old.key_id) is (code == 0)
    if code:
        assert done.lines[-1] == "Cancelled. Nothing changed."
        assert desk.changes == []
        assert {name: file for name, file in desk.snapshot().items() if name in before} == before


def test_stopped_while_waiting(desk: Desk) -> None:
    """Ctrl-C while AWS is waited for says what will be, exits 130, and the next run finishes without a question."""
    desk.aws.settings.propagation = 5
    run = desk.terminal()
    run.answer(QUESTION, "y\r")
    run.answer("waiting for the new key to take effect", "\x03")
    done = run.end()
    assert done.code == 130, done.text
    assert done.lines[-1:] == ["Interrupted. Run `rotate-my-key` again to finish; your profile works."]
    assert any("stopping" in line for line in done.lines)
    desk.aws.settings.propagation = 0
    again = desk.shown()
    assert again.code == 0, again.text
    assert not any("?" in line for line in again.lines)
    assert list(desk.ids()) == [desk.held()]


@pytest.mark.parametrize("yes", [True, False])
def test_the_inactive_second_key(desk: Desk, old: Credentials, make_key: Callable[..., Credentials], yes: bool) -> None:
    """A switched-off key that this tool did not make has a question of its own, whose answer is no by default."""
    second = make_key(days=300, status="Inactive")
    run = desk.terminal()
    run.answer(f"Delete {last(second.key_id)} to make room? [y/N]", "y\r" if yes else "\r")
    if yes:
        run.answer(QUESTION, "\r")
    done = run.end()
    assert done.code == (0 if yes else 4), done.text
    assert f"Your other key, {last(second.key_id)}, is inactive (300 days old, never used). AWS allows two" in done.text
    assert yes or (done.lines[-1], "error:" in done.text) == ("Cancelled. Nothing changed.", False)
    assert (second.key_id in desk.ids()) is not yes
    assert (old.key_id in desk.ids()) is not yes


def test_status_is_a_table(desk: Desk, old: Credentials, make_key: Callable[..., Credentials]) -> None:
    """One line a key under a head, in columns; colours for the verdicts."""
    desk.profiles(fresh=make_key("bob", days=3))
    desk.add("[profile login]\nsso_start_url = https://example.com/start\n", desk.config)
    done = desk.shown("status", COLUMNS="140")
    head, *rows, more = done.lines
    assert more == "1 key is overdue: rotate-my-key rotate -p default"
    assert re.split(r"  +", head) == ["VERDICT", "PROFILES", "KEY", "AGE", "USER", "LAST USE"]
    assert [re.split(r"  +", row) for row in rows] == [
        ["overdue", "default and work", last(old.key_id), "98 days", f"alice in {desk.aws.account}", "never"],
        ["fresh", "fresh", rows[1].split()[2], "3 days", f"bob in {desk.aws.account}", "never"],
        ["not rotatable", "login", "-", "-", "-", "-", "signs in with SSO"],
    ]
    assert "\x1b[31m" in done.styled[1]
    assert "\x1b[32m" in done.styled[2]


COLOURLESS = [
    pytest.param(("status", "--no-color"), {}, id="--no-color behind the command"),
    pytest.param(("--no-color", "status"), {}, id="--no-color before the command"),
    pytest.param(("status",), {"NO_COLOR": "1"}, id="NO_COLOR"),
    pytest.param(("status",), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, id="NO_COLOR before FORCE_COLOR"),
    pytest.param(("status",), {"CLICOLOR": "0"}, id="CLICOLOR=0"),
    pytest.param(("status",), {"TERM": "dumb"}, id="TERM=dumb"),
]


@pytest.mark.parametrize(("words", "env"), COLOURLESS)
def test_no_colours(desk: Desk, words: tuple[str, ...], env: dict[str, str]) -> None:
    """Whoever wants no colours gets none, spinner included."""
    done = desk.shown(*words, **env)
    assert done.code == 0
    assert not re.search(r"\x1b\[[0-9;]+m", done.stream.replace("\x1b[0m", ""))


def test_colours_without_a_terminal(desk: Desk) -> None:
    """`error:` is red in a terminal; in a pipe there is no escape code at all, but the log of a CI server shows colours
    where it asks for them, and is asked nothing."""
    assert "\x1b[31m" in desk.shown("rotate", "-p", "nobody").stream
    assert ESCAPE not in desk.process("rotate", "-p", "nobody").text + desk.process("status").text
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        assert "\x1b[31m" in desk.process("status", **{name: "1"}).text
        assert ESCAPE not in desk.process("status", **{name: "0"}).text


def test_where_nothing_spins(desk: Desk) -> None:
    """-q leaves the result, and in a terminal no spinner either; in a pipe there are only the lines; TERM=dumb cannot
    move its cursor; and in a narrow terminal no line of the spinner is too long, so it leaves nothing behind."""
    quiet = desk.shown("rotate", "--yes", "-q")
    assert (quiet.code, [line[:5] for line in quiet.lines]) == (0, ["Done."])
    assert "waiting" not in quiet.stream
    piped = desk.process("rotate", "--yes", "--force")
    assert piped.code == 0
    assert ESCAPE not in piped.text and "waiting" not in piped.text
    dumb = desk.shown("rotate", "--yes", "--force", TERM="dumb")
    assert dumb.code == 0
    assert "\x1b[1A" not in dumb.stream
    desk.aws.settings.propagation = 1
    narrow = desk.terminal("rotate", "--yes", "--force", width=30).end()
    assert narrow.code == 0
    spun = [text for text in re.split(r"\x1b\[[\d;?]*\w|[\r\n]", narrow.stream) if "waiting" in text]
    assert spun and max(map(len, spun)) < 30
    assert not any("waiting" in line for line in narrow.lines), narrow.text


class Spinner:
    """One whose first frame takes its time, while another thread has something to say."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.console, self.shown = self, list[str]()
        self.other = threading.Thread(target=meanwhile)

    def start(self) -> None:
        """As rich's."""
        self.other.start()
        self.other.join(0.2)
        self.shown.append("frame")

    def stop(self) -> None:
        """As rich's."""
        self.shown.append("cleared")

    def print(self, text: object, **how: object) -> None:
        """As its console's."""
        self.shown.append(str(text))


def test_what_another_thread_says_waits_for_the_first_frame() -> None:
    """The MFA code's worker: its line would end up behind the frame, and be wiped out with it."""
    app = App({})
    spinner = Spinner(lambda: app.complain("wrong code"))
    with app._spinning(spinner):  # type: ignore[arg-type]
        spinner.other.join()
    assert spinner.shown == ["frame", "wrong code", "cleared"]


@pytest.mark.parametrize(("verb", "error"), [("start", OSError), ("stop", OSError), ("start", KeyboardInterrupt)])
def test_a_spinner_that_fails_is_gone(verb: str, error: type[BaseException]) -> None:
    """A terminal that was closed stops no rotation; after Ctrl-C nothing spins on."""
    app, spinner = App({}), Spinner(lambda: None)

    def fail() -> None:
        raise error

    setattr(spinner, verb, fail)
    with suppress(KeyboardInterrupt), app._spinning(spinner):  # type: ignore[arg-type]
        pass
    assert (app._spinner, "cleared" in spinner.shown) == (None, verb == "start")


def test_nothing_spins_over_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a worker asks before the spinner starts."""
    app = App({})
    spinner = Spinner(lambda: None)

    def typed(descriptor: int, most: int) -> bytes:
        with app._spinning(spinner):  # type: ignore[arg-type]
            return b"123456\n"

    monkeypatch.setattr(os, "read", typed)
    assert app.line("MFA code: ", lambda: None) == "123456\n"
    assert spinner.shown == []
