"""`schedule` as a person types it: which keys, installing, seeing what came of it, taking it out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from rotate_my_key.core.model import Credentials
from tests.cli.conftest import Desk
from tests.schedule.conftest import Box

Make = Callable[..., Credentials]
DAILY = ("schedule", "run", "--daily", "rotate", "--all", "--yes", "--quiet", "--keep-old", "7d")
ONCE = tuple(word for word in DAILY if word != "--daily")


def units(desk: Desk) -> list[str]:
    """The unit files there are."""
    return sorted(path.name for path in (desk.home / ".config").rglob("rotate-my-key.*"))


def kept(desk: Desk) -> dict[str, object]:
    """schedule.json."""
    read: dict[str, object] = json.loads((desk.state / "schedule.json").read_text())
    return read


# Installing


def test_without_a_terminal_it_needs_yes(desk: Desk, systemd: Box) -> None:
    """Exit 4, naming the command with --yes; nothing is installed."""
    before = desk.snapshot()
    done = desk.run("schedule", "install")
    assert done.code == 4
    assert done.problem()[1] == "rotate-my-key schedule install --yes"
    assert desk.snapshot() == before
    assert "enable" not in systemd.log


def test_a_key_that_aws_refused_is_named_as_such(desk: Desk, systemd: Box) -> None:
    """So that nobody agrees to rotate a dead key without knowing."""
    desk.profiles(dead=Credentials("AKIADEADDEADDEADDEAD", "x" * 40))
    desk.run("status")
    said = desk.run("schedule", "install").err
    assert re.search(r"dead +\.\.\.DEAD  AWS refused it when it was last seen\n", said), said


def test_systemd_is_taken_where_it_runs(desk: Desk, systemd: Box) -> None:
    """Both units are written, private, and the timer is enabled and started; cron is not asked for anything. The second
    time nothing is changed; a timer that was stopped is started again."""
    done = desk.run("schedule", "install", "--yes")
    assert done.code == 0, done.text
    program = desk.run("schedule", "show", "--json").json["command"][0]
    assert done.out == ("Installed: a systemd user timer, once a day (~/.config/systemd/user/rotate-my-key.timer).\n")
    assert units(desk) == ["rotate-my-key.service", "rotate-my-key.timer"]
    for path in (desk.home / ".config/systemd/user").glob("rotate-my-key.*"):
        assert path.stat().st_mode & 0o777 == 0o600
    service = (desk.home / ".config/systemd/user/rotate-my-key.service").read_text()
    assert f"ExecStart={program} {' '.join(DAILY)}\n" in service
    assert "--user --no-pager enable rotate-my-key.timer\n" in systemd.log
    assert systemd.crontab is None
    before = desk.snapshot()
    assert "Already installed" in desk.run("schedule", "install", "--yes").out
    (systemd.folder / "running").unlink()
    assert "the timer is inactive" in desk.run("schedule", "show").out
    assert desk.run("schedule", "install", "--yes").code == 0
    assert (systemd.folder / "running").exists()
    assert desk.snapshot() == before


def test_cron_is_taken_where_no_systemd_answers(desk: Desk, systemd: Box) -> None:
    """As in a container or on a server without a session; once systemd runs, the timer takes the line's place."""
    systemd.set("broken")
    assert "Installed: a line in your crontab" in desk.run("schedule", "install", "--yes").out
    assert units(desk) == []
    (systemd.folder / "broken").unlink()
    assert "Installed: a systemd user timer" in desk.run("schedule", "install", "--yes").out
    assert systemd.crontab is None


def test_a_computer_without_any_scheduler(desk: Desk, box: Box) -> None:
    """One line, and nothing is left behind."""
    before = desk.snapshot()
    done = desk.run("schedule", "install", "--yes")
    assert done.code == 1
    assert "no systemd user timer and no line in your crontab" in done.err
    assert desk.snapshot() == before


def test_a_manager_that_does_not_want_it_and_somebody_elses_unit(desk: Desk, systemd: Box) -> None:
    """What systemctl said is passed on, and the units are taken out again. A unit of that name that was not made here
    is refused, and stays at uninstalling."""
    systemd.set("unwilling")
    done = desk.run("schedule", "install", "--yes")
    assert (done.code, units(desk)) == (1, [])
    assert "Unit is masked" in done.err
    file = desk.home / ".config/systemd/user/rotate-my-key.service"
    file.parent.mkdir(parents=True)
    file.write_text("[Service]\nExecStart=/bin/true\n")
    done = desk.run("schedule", "install", "--yes")
    assert done.code == 1
    assert "did not create it" in done.err
    desk.run("schedule", "uninstall")
    assert file.read_text() == "[Service]\nExecStart=/bin/true\n"


def test_before_there_is_any_key(empty: Desk, systemd: Box) -> None:
    """IT may install it with the laptop: nothing is asked, and the first key is found once it is there."""
    done = empty.run("schedule", "install")
    assert done.code == 0, done.text
    assert "has a key yet" in done.err


def test_what_the_scheduled_run_will_not_see_is_said(desk: Desk, systemd: Box) -> None:
    """Settings of this shell, and a proxy's password."""
    proxy = "http://alice:hunter2@proxy:3128"
    done = desk.run("schedule", "install", "--yes", HTTPS_PROXY=proxy, ROTATE_MY_KEY_MAX_AGE="1d")
    assert "ROTATE_MY_KEY_MAX_AGE is set here, but not for the scheduled run" in done.err
    assert "HTTPS_PROXY is set here" in done.err
    assert not any(b"hunter2" in data for data, _ in desk.snapshot().values())


def test_json(desk: Desk, systemd: Box) -> None:
    """install, show and uninstall give one object each."""
    made = desk.run("schedule", "install", "--yes", "--json").json
    assert (made["changed"], made["installed"], made["scheduler"]) == (True, True, "a systemd user timer")
    assert made["command"][1:] == list(ONCE[2:])
    assert made["next"] == "2026-11-22T00:45:55+00:00"
    assert desk.run("schedule", "uninstall", "--json").json["removed"] == ["a systemd user timer"]
    assert desk.run("schedule", "show", "--json").json["installed"] is False


# Which keys


def test_every_key_is_listed_and_asked_for(desk: Desk, systemd: Box, make_key: Make) -> None:
    """In a terminal: whose it is and how old; a no puts its profiles into `exclude`, and only those."""
    desk.profiles(bot=make_key("bot", 10))
    desk.run("status")
    screen = desk.terminal("schedule", "install")
    screen.until("default and work")
    screen.until("alice in")
    screen.until("98 days old")
    screen.answer("(default and work) without asking? [Y/n]", "y\r")
    screen.answer("(bot) without asking? [Y/n]", "n\r")
    end = screen.end()
    assert end.code == 0, end.text
    assert "Excluded from now on: bot" in end.text
    assert desk.run("config", "get", "exclude").out == "bot\n"
    assert "bot" not in desk.run("schedule", "install", "--yes").err


def test_no_to_all_installs_nothing(desk: Desk, systemd: Box) -> None:
    """Exit 4, and no profile is excluded either."""
    before = desk.snapshot()
    screen = desk.terminal("schedule", "install")
    screen.answer("[Y/n]", "n\r")
    end = screen.end()
    assert end.code == 4
    assert "Nothing was installed" in end.text
    assert desk.snapshot() == before


def test_what_is_excluded_already_is_not_listed(desk: Desk, systemd: Box, make_key: Make) -> None:
    """Nor what the environment of this shell alone excludes: the scheduled run does not see that."""
    bot = make_key("bot", 10)
    desk.profiles(bot=bot)
    desk.settings("exclude = bot\n")
    done = desk.run("schedule", "install", "--yes", ROTATE_MY_KEY_EXCLUDE="default,work")
    assert bot.key_id[-4:] not in done.err
    assert "default and work" in done.err


# Running


def test_a_run_rotates_what_is_due_and_notes_it(desk: Desk, old: Credentials) -> None:
    """The old key goes on working for a day and is then kept; nothing is said, so that cron sends no mail. No secret is
    in what is noted."""
    done = desk.run(*ONCE)
    assert (done.code, done.text) == (0, "")
    assert desk.ids() == {old.key_id: "Active", desk.held(): "Active"}
    (row,) = [row for row in desk.run("status", "--json").json["keys"] if row["key_id"] == old.key_id]
    works, gone = (datetime.fromisoformat(row[name]) for name in ("works_until", "switched_off_until"))
    assert (gone - works).days == 7 and 0 <= (works - datetime.now(UTC)).days < 1
    assert kept(desk)["settled"] == kept(desk)["last"]
    assert "1 replaced" in desk.run("schedule", "show").out
    assert (desk.state / "schedule.json").stat().st_mode & 0o777 == 0o600
    text = (desk.state / "schedule.json").read_text()
    assert not [key for key in desk.aws.keys("alice") if desk.aws.pair(key.key_id).secret in text]


def test_a_setting_for_the_overlap_counts(desk: Desk, old: Credentials) -> None:
    """The schedule's own is a default."""
    desk.settings("overlap = 0\n")
    assert desk.run(*ONCE).code == 0
    assert desk.ids()[old.key_id] == "Inactive"


def test_nothing_due_is_a_good_run(empty: Desk, make_key: Make) -> None:
    """Exit 0, `not due`."""
    empty.profiles(default=make_key("alice", 1))
    assert empty.run(*ONCE).text == ""
    assert "1 not due" in empty.run("schedule", "show").out
    assert empty.changes == []


@pytest.mark.slow
def test_offline_is_tried_again_and_is_no_failure(desk: Desk) -> None:
    """75 and silence; the last result that counted stays."""
    assert desk.run(*ONCE).code == 0
    before = kept(desk)["settled"]
    desk.aws.fault("*", "drop", times=None)
    done = desk.run(*ONCE)
    assert (done.code, done.text) == (75, "")
    assert kept(desk)["settled"] == before
    shown = desk.run("schedule", "show").out
    assert "trying again later" in shown
    assert "before that: " in shown


TELLER = "[after_rotate]\n[[teller]]\ncommand = /bin/false\n"
FAILURES: dict[str, tuple[Callable[[Desk], object], int, str, str]] = {
    "a denial": (lambda desk: desk.aws.deny("CreateAccessKey"), 5, "iam:CreateAccessKey", "iam:CreateAccessKey"),
    "a command that fails once the key is replaced": (
        lambda desk: desk.settings(TELLER), 1, "teller", "command teller from [after_rotate] failed for key"),
    "a broken setting, before any key is looked at": (
        lambda desk: desk.settings("max_age = soon\n"), 2, "max_age", "max_age"),
}  # fmt: skip


@pytest.mark.parametrize(("breaks", "code", "said", "noted"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_is_said_kept_and_shown(
    desk: Desk, breaks: Callable[[Desk], object], code: int, said: str, noted: str
) -> None:
    """The exit code, the words and the hint; `show` and the reminder have them."""
    breaks(desk)
    done = desk.run(*ONCE)
    assert (done.code, said in done.err) == (code, True)
    settled = kept(desk)["settled"]
    assert isinstance(settled, dict)
    assert (settled["code"], noted in settled["message"]) == (code, True)
    desk.settings("")
    assert f"failed: {settled['message']}" in desk.run("schedule", "show").out


def test_daily_runs_once_a_day(desk: Desk) -> None:
    """The scheduler comes every hour: after a run that counted, one call asks for recalls until tomorrow."""
    assert desk.run(*DAILY).code == 0
    calls = len(desk.aws.calls)
    assert desk.run(*DAILY).code == 0
    assert [call.action for call in desk.aws.calls[calls:]] == ["GetUser"]
    file = desk.state / "schedule.json"
    file.write_text(file.read_text().replace("202", "201"))  # years ago
    assert desk.run(*DAILY).code == 0
    assert len(desk.aws.calls) > calls


def test_daily_tries_again_after_an_hour_without_network(desk: Desk, old: Credentials) -> None:
    """75 does not count as today's run."""
    assert desk.run(*DAILY, AWS_ENDPOINT_URL="http://127.0.0.1:1").code == 75
    assert desk.run(*DAILY).code == 0
    assert desk.held() != old.key_id


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2}', b'{"version": 1, "last": 3}', b"\xff" * 100])
def test_a_file_that_makes_no_sense_is_written_anew(desk: Desk, content: bytes) -> None:
    """Torn, of another version, not ours: it counts as none."""
    desk.state.mkdir(parents=True, mode=0o700)
    (desk.state / "schedule.json").write_bytes(content)
    assert "last run: none yet" in desk.run("schedule", "show").out
    assert desk.run(*DAILY).code == 0
    assert kept(desk)["version"] == 1


@pytest.mark.parametrize("words", [[], ["status"], ["delete-key", "AKIA"]], ids=["nothing", "status", "delete-key"])
def test_only_a_rotation_is_run(desk: Desk, words: list[str]) -> None:
    """The hidden command is for the scheduler alone."""
    assert desk.run("schedule", "run", *words).code == 2
    assert desk.aws.calls == []


# Taking it out


def test_uninstall_leaves_nothing(desk: Desk, systemd: Box) -> None:
    """No unit, no folder, no state of its own; the second time it says so."""
    desk.run("status")
    before = set(desk.home.rglob("*"))
    assert desk.run("schedule", "install", "--yes").code == 0
    desk.run(*ONCE)
    (desk.state / "history.jsonl").unlink(missing_ok=True)
    done = desk.run("schedule", "uninstall")
    assert done.out == "Removed: a systemd user timer. Your keys are no longer rotated automatically.\n"
    assert {path for path in set(desk.home.rglob("*")) - before if "/state/" not in str(path)} == set()
    assert not (desk.state / "schedule.json").exists()
    assert desk.run("schedule", "uninstall").out == "No schedule was installed.\n"


def test_uninstall_works_when_the_manager_is_gone(desk: Desk, systemd: Box) -> None:
    """Files and the link that `enable` made go also where no systemd answers; other units and other timers stay."""
    desk.run("schedule", "install", "--yes")
    other = desk.home / ".config/systemd/user/other.timer"
    other.write_text("[Timer]\n")
    desk.run("schedule", "uninstall")
    assert units(desk) == []
    other.unlink()
    desk.run("schedule", "install", "--yes")
    wants = desk.home / ".config/systemd/user/timers.target.wants"
    wants.mkdir()
    (wants / "rotate-my-key.timer").symlink_to("../rotate-my-key.timer")
    systemd.set("broken")
    assert desk.run("schedule", "uninstall").code == 0
    assert not (desk.home / ".config").exists()


def test_a_policy_that_wants_mfa_leaves_it_to_the_person(desk: Desk, old: Credentials) -> None:
    """Nobody is there for the code: exit 4, nothing is changed, and the command for the person is kept."""
    desk.aws.add_mfa("alice")
    desk.aws.attach_policy("alice", json.loads(desk.run("policy", "self-mfa").out))
    assert desk.run(*ONCE).code == 4
    settled = kept(desk)["settled"]
    assert isinstance(settled, dict)
    assert settled["hint"] == "rotate-my-key -p default --mfa-code CODE"
    assert desk.ids() == {old.key_id: "Active"}
