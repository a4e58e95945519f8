"""`[after_rotate]`: the user's own commands, told what changed when the new key is in its place."""

import json
import os
import signal
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.policy import Hook, PendingChange
from rotate_my_key.files.command import run
from rotate_my_key.rotation.after import After
from rotate_my_key.settings.ini import File
from rotate_my_key.settings.trust import own_objection
from rotate_my_key.state.history import PendingChanges
from tests.cli.terminal import Terminal
from tests.core.worlds import ALICE, NEW, NOTE, OLD
from tests.laptop import Finished, Laptop

from .conftest import script, settings

# Notes what it is given, a line each time, and ends as the file `code` says.
TELLER = """\
#!/bin/sh
cat >>"$HOME/told"
echo >>"$HOME/told"
echo "on stdout"
echo "on stderr" >&2
exit "$(cat "$HOME/code" 2>/dev/null || echo 0)"
"""


def telling(laptop: Laptop, more: str = "") -> None:
    """Set a command that notes what it is told."""
    script(laptop.home, "teller", TELLER)
    settings(laptop, f"max_age = 90d\n[after_rotate]\n[[teller]]\ncommand = ~/teller\n{more}\n")


def told(laptop: Laptop) -> list[dict[str, Any]]:
    """What it was told, once for each run of it."""
    file = laptop.home / "told"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def ids(laptop: Laptop) -> list[tuple[str, str]]:
    """The old and the new key of each time."""
    return [(each["old_key_id"], each["new_key_id"]) for each in told(laptop)]


def rotate(laptop: Laptop, *words: str) -> Finished:
    """Rotate without a question."""
    return laptop.run("rotate", "--yes", *words)


def pending(laptop: Laptop) -> list[str]:
    """What is still to be told."""
    folder = laptop.state / "after"
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_it_is_told_what_changed(laptop: Laptop) -> None:
    """As JSON on stdin, without the secret; what it prints is on neither stream of --json."""
    telling(laptop)
    done = rotate(laptop, "--json")
    assert done.code == 0, done.text
    assert json.loads(done.out)["after_rotate"] == [{"name": "teller", "exit_code": 0, "problem": None}]
    assert "on stdout" not in done.text
    (given,) = told(laptop)
    places = [{"path": str(laptop.file), "profile": name, "kind": "credentials"} for name in ("default", "work")]
    account = laptop.aws.account
    assert given == {
        "version": 1,
        "account": account,
        "arn": f"arn:aws:iam::{account}:user/alice",
        "user": "alice",
        "old_key_id": laptop.old.key_id,
        "new_key_id": laptop.pair().key_id,
        "profiles": ["default", "work"],
        "places": places,
    }
    assert pending(laptop) == []
    assert rotate(laptop).code == 0
    assert len(told(laptop)) == 1


def test_the_secret_only_for_who_asks(laptop: Laptop) -> None:
    """And even then it is not shown, whatever the command prints."""
    script(laptop.home, "echoes", "#!/bin/sh\ntee $HOME/told\nexit 7\n")
    settings(laptop, "[after_rotate]\n[[echoes]]\ncommand = ~/echoes\nsecret = yes\n")
    done = laptop.run("-v", "rotate", "--yes")
    assert done.code == 1
    assert "echoes: " in done.err
    assert told(laptop)[0]["secret"] == laptop.pair().secret
    assert not [secret for secret in laptop.secrets() if secret in done.text]


def active(laptop: Laptop) -> list[str]:
    """The keys that work."""
    return [key.key_id for key in laptop.aws.keys("alice") if key.active]


def test_the_old_key_waits_for_a_command_that_failed(laptop: Laptop) -> None:
    """It goes on working; each run tries again what failed, with the same JSON, until it is well, and then ends it."""
    telling(laptop, "[[fine]]\ncommand = touch, fine\n[[late]]\ncommand = touch, late\nholds_old = no")
    (laptop.home / "code").write_text("3")
    done = rotate(laptop, "--json")
    new = laptop.works()
    assert (done.code, active(laptop)) == (1, [laptop.old.key_id, new.key_id])
    assert "  after_rotate teller ended with exit code 3: on stderr\n  after_rotate: fine done\n" in done.err
    said = (
        f"command teller from [after_rotate] failed for key ...{new.key_id[-4:]}, so ...{laptop.old.key_id[-4:]} stays"
    )
    assert f"error: {said} active\nhint: rotate-my-key, once that is fixed; " in done.err
    assert [(each["name"], each["exit_code"]) for each in json.loads(done.out)["after_rotate"]] == [
        ("teller", 3),
        ("fine", 0),
        ("late", 0),
    ]
    for name in ("fine", "late"):
        (laptop.home / name).unlink()
    assert rotate(laptop).code == 1
    (laptop.home / "code").unlink()
    done = rotate(laptop)
    assert (done.code, active(laptop)) == (0, [new.key_id]), done.text
    assert ids(laptop) == [(laptop.old.key_id, new.key_id)] * 3
    assert told(laptop)[0] == told(laptop)[2]
    assert not (laptop.home / "fine").exists() and not (laptop.home / "late").exists()
    assert pending(laptop) == []


@pytest.mark.slow
def test_at_a_terminal_it_is_said_once(laptop: Laptop) -> None:
    """What was finished before the question is not told again with the key."""
    telling(laptop)
    (laptop.home / "code").write_text("3")
    assert rotate(laptop).code == 1
    screen = Terminal((), laptop.environment(), laptop.home).end()
    assert screen.code == 1
    assert [line for line in screen.lines if "error:" in line or "ended with" in line] == [
        "  after_rotate teller ended with exit code 3: on stderr",
        next(line for line in screen.lines if "failed for key" in line),
    ]


GOES_ON = {"one that holds nothing": ((), "holds_old = no"), "a leak": (("--force", "--keep-old", "0"), "")}


@pytest.mark.parametrize("case", GOES_ON)
def test_the_old_key_goes_all_the_same(laptop: Laptop, case: str) -> None:
    """And who failed is told again by the next run, at its end."""
    words, more = GOES_ON[case]
    telling(laptop, more)
    (laptop.home / "code").write_text("3")
    done = rotate(laptop, *words)
    new = laptop.works().key_id
    assert (done.code, active(laptop)) == (1, [new])
    assert "Done." in done.out
    assert "error: after_rotate teller ended with exit code 3: on stderr\nhint: " in done.err
    assert done.err.index("deactivated and deleted") < done.err.index("teller ended")
    (laptop.home / "code").unlink()
    assert rotate(laptop).code == 0
    assert ids(laptop) == [(laptop.old.key_id, new)] * 2
    assert pending(laptop) == []


@pytest.mark.slow
@pytest.mark.parametrize("words", [("rotate", "--all", "--yes"), ("schedule", "run", "rotate", "--all", "--yes")])
def test_it_holds_whoever_rotates(laptop: Laptop, words: tuple[str, ...]) -> None:
    """Several keys at once, and the schedule: the commands run one at a time, and each key waits for its own."""
    telling(laptop, "profiles = work")
    (laptop.home / "code").write_text("3")
    laptop.env["ROTATE_MY_KEY_OVERLAP"] = "0"
    done = laptop.run(*words)
    assert (done.code, active(laptop)) == (1, [laptop.old.key_id, laptop.works().key_id]), done.text
    (laptop.home / "code").unlink()
    assert "teller done" in laptop.run(*words).err
    assert active(laptop) == [laptop.works().key_id]


def test_undo_tells_all_that_may_have_been_told(laptop: Laptop) -> None:
    """Also one that failed; and the new key goes on working until they have succeeded with the old one."""
    telling(laptop)
    (laptop.home / "code").write_text("3")
    assert rotate(laptop).code == 1
    new = laptop.works().key_id
    done = laptop.run("undo", "--yes")
    assert (done.code, active(laptop)) == (1, [laptop.old.key_id, new])
    (laptop.home / "code").unlink()
    assert laptop.run("rotate", "--yes", env={"ROTATE_MY_KEY_MAX_AGE": "900d"}).code == 0
    assert (laptop.works(), active(laptop)) == (laptop.old, [laptop.old.key_id])
    assert ids(laptop) == [(laptop.old.key_id, new), *[(new, laptop.old.key_id)] * 2]
    assert pending(laptop) == []


def test_undo_tells_them_though_the_old_file_came_back(laptop: Laptop) -> None:
    """No place is changed then, and those that follow have the new key all the same."""
    telling(laptop)
    before = laptop.file.read_bytes()
    assert rotate(laptop, "--keep-old", "7d", "--old-active").code == 0
    laptop.file.write_bytes(before)
    done = laptop.run("undo", "--yes")
    assert done.code == 0, done.text
    assert [old for old, _ in ids(laptop)] == [laptop.old.key_id, ids(laptop)[0][1]]
    assert active(laptop) == [laptop.old.key_id]


def test_it_takes_too_long(laptop: Laptop) -> None:
    """It is ended, with all that it started."""
    script(laptop.home, "slow", "#!/bin/sh\nsleep 61 & echo $! >$HOME/pid\nwait\n")
    settings(laptop, "[after_rotate]\n[[slow]]\ncommand = ~/slow\ntimeout = 1s\n")
    done = rotate(laptop)
    assert done.code == 1
    assert "after_rotate slow took longer than 1 s" in done.err
    child = int((laptop.home / "pid").read_text())
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text()


def test_with_the_old_key_kept(laptop: Laptop) -> None:
    """It is told when the new key is in use, once, not when the old one goes; and again after undo, the other way."""
    telling(laptop)
    assert rotate(laptop, "--keep-old", "7d", "--old-active").code == 0
    new = laptop.pair().key_id
    assert ids(laptop) == [(laptop.old.key_id, new)]
    assert rotate(laptop).code == 0
    assert laptop.run("undo", "--yes").code == 0
    assert ids(laptop) == [(laptop.old.key_id, new), (new, laptop.old.key_id)]


def test_only_for_its_profiles(laptop: Laptop) -> None:
    """A command for another profile is not run, and nothing is left to do."""
    telling(laptop, "profiles = nightly\n[[mine]]\ncommand = touch, mine\nprofiles = work, nightly")
    assert rotate(laptop).code == 0
    assert told(laptop) == []
    assert (laptop.home / "mine").exists()
    assert pending(laptop) == []


def test_taken_back_nobody_is_told(laptop: Laptop) -> None:
    """The places hold the old key again, so nothing has changed."""
    telling(laptop)
    laptop.aws.add_user("bob")
    laptop.at("GetCallerIdentity", 5, lambda call: laptop.signal())  # as read from the profile
    assert laptop.end(laptop.start("rotate", "--yes", "--keep-old", "7d")).code < 0
    assert laptop.pair() != laptop.old
    laptop.calm()
    assert laptop.run("undo", "--yes").code == 0
    assert laptop.pair() == laptop.old
    assert told(laptop) == []
    assert pending(laptop) == []


def test_a_dry_run_names_them(laptop: Laptop) -> None:
    """And when each would run; --json lists them, not ended."""
    telling(laptop, "[[late]]\ncommand = touch, late\nholds_old = no\n[[other]]\ncommand = id\nprofiles = other")
    done = rotate(laptop, "--dry-run")
    lines = [
        "run teller from [after_rotate], before the old key is deactivated",
        "run late from [after_rotate], at the end",
    ]
    assert [line.strip() for line in done.out.splitlines() if "after_rotate" in line] == lines
    named = json.loads(rotate(laptop, "--dry-run", "--json").out)["after_rotate"]
    assert named == [{"name": name, "exit_code": None, "problem": None} for name in ("teller", "late")]
    assert told(laptop) == []


def test_one_is_run_again_by_hand(laptop: Laptop) -> None:
    """With what the last rotation here brought; the next run ends what had waited for it."""
    telling(laptop, "[[fine]]\ncommand = touch, fine\n[[other]]\ncommand = touch, other\nprofiles = other")
    assert "no profile here holds a key that came from a rotation" in laptop.run("after", "run").err
    (laptop.home / "code").write_text("3")
    assert rotate(laptop).code == 1
    done = laptop.run("after", "run", "teller")
    assert (done.code, done.err.splitlines()[-1]) == (1, "hint: fix it, then: rotate-my-key after run teller")
    (laptop.home / "fine").unlink()
    (laptop.home / "code").unlink()
    done = laptop.run("after", "run", "teller", "--json")
    ran = [{"name": "teller", "exit_code": 0, "problem": None}]
    assert json.loads(done.out) == {"version": 1, "after_rotate": ran}
    assert rotate(laptop).code == 0
    assert active(laptop) == [laptop.pair().key_id]
    assert laptop.run("after", "run").code == 0
    assert (laptop.home / "fine").exists() and not (laptop.home / "other").exists()
    assert [told(laptop)[0]] * 4 == told(laptop)
    assert laptop.run("after", "run", "other").code == 1
    assert "has no command nobody\nhint: rotate-my-key config path" in laptop.run("after", "run", "nobody").err
    settings(laptop, "[after_rotate]\n")
    assert "has no command for the profiles" in laptop.run("after", "run").err


def test_one_is_tried_with_a_made_up_key(laptop: Laptop) -> None:
    """With "test": true, after a question; all that it prints is shown."""
    telling(laptop, "secret = yes\nprofiles = work")
    done = laptop.run("after", "test", "teller")
    assert (done.code, told(laptop)) == (4, [])
    assert done.err.splitlines()[-1] == "hint: rotate-my-key after test teller --yes"
    done = laptop.run("after", "test", "teller", "--yes")
    assert done.code == 0 and "  teller: on stderr\n" in done.err
    (given,) = told(laptop)
    assert (given["test"], given["profiles"]) == (True, ["work"])
    assert laptop.old.key_id not in json.dumps(given) and laptop.old.secret not in json.dumps(given)
    assert laptop.works() == laptop.old and pending(laptop) == []


REFUSED = {
    "a program that is not there": ("[[x]]\ncommand = no-such-program", "there is no program no-such-program"),
    "words without commas": (
        "[[x]]\ncommand = gh secret set",
        "no shell reads it; separate its words by commas: gh, secret, set",
    ),
    "no command": ("[[x]]\nsecret = yes", "[[x]] has no command"),
    "another setting": ("[[x]]\ncommand = true\nshell = yes", "has no setting shell"),
    "a wrong timeout": ("[[x]]\ncommand = true\ntimeout = 0", "0 is too short"),
    "a setting in the section itself": ("command = true", "each command has a section [[NAME]]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_changes(laptop: Laptop, case: str) -> None:
    """Two lines that name the line of the file."""
    entry, text = REFUSED[case]
    file = settings(laptop, f"[after_rotate]\n{entry}\n")
    done = rotate(laptop)
    assert done.code in (1, 2)
    assert text in done.err
    assert f"{file} line " in done.err
    assert laptop.pair() == laptop.old
    assert laptop.aws.keys("alice")[0].active


def test_the_site_cannot_set_commands() -> None:
    """In its file the section is an error."""
    with pytest.raises(Problem, match=r"\[after_rotate\] is only for your own file"):
        File("/etc/x", b"max_age = 60d\n[after_rotate]\n[[x]]\ncommand = id\n", site=True).settings()


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_that_others_can_write_runs_nothing(laptop: Laptop, what: str) -> None:
    """The hint mends it; what an earlier run began is finished then, and the old key goes on working until then."""
    telling(laptop)
    laptop.at("GetCallerIdentity", 5, lambda call: laptop.signal())
    assert laptop.end(laptop.start("rotate", "--yes")).code < 0
    laptop.calm()
    file = laptop.home / ".config/rotate-my-key/config.ini"
    loose = file if what == "file" else file.parent
    loose.chmod(0o770)
    done = rotate(laptop)
    assert done.code == 1
    assert f"are not run: {loose} can be written by others\nhint: chmod go-w {loose}\n" in done.err
    assert done.err.count("are not run") == 1
    assert active(laptop) == [laptop.old.key_id, laptop.pair().key_id]
    assert "are not run" in laptop.run("config", "show").err
    assert told(laptop) == []
    loose.chmod(0o700)
    assert rotate(laptop).code == 0
    assert active(laptop) == [laptop.pair().key_id]
    assert ids(laptop) == [(laptop.old.key_id, laptop.pair().key_id)]


def test_whose_file_it_is(tmp_path: Path) -> None:
    """Somebody else's file is none of ours; a folder that all may write will do if it is sticky."""
    file = tmp_path / "shared" / "config.ini"
    file.parent.mkdir()
    file.write_text("")
    file.chmod(0o600)
    assert own_objection(str(file), os.getuid()) == ""
    assert "belongs to uid" in own_objection(str(file), os.getuid() + 1) or os.getuid() == 0
    file.parent.chmod(0o1777)
    assert own_objection(str(file), os.getuid()) == ""
    file.parent.chmod(0o777)
    assert "can be written by others" in own_objection(str(file), os.getuid())


def test_config_show_names_them(laptop: Laptop) -> None:
    """With their line, and whether they get the secret; `config set` leaves them as they are."""
    telling(laptop, "secret = yes")
    shown = laptop.run("config", "show").out
    assert "after_rotate teller, with the secret: '~/teller'" in shown
    assert laptop.run("config", "set", "max_age", "60d").code == 0
    assert json.loads(laptop.run("config", "show", "--json").out)["after_rotate"] == ["teller"]
    assert rotate(laptop).code == 0
    assert len(told(laptop)) == 1


@pytest.mark.parametrize("action", ["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"])
def test_killed_during_the_rotation(laptop: Laptop, action: str) -> None:
    """The run that finishes it tells, once."""
    telling(laptop)
    laptop.at(action, 1, lambda call: laptop.signal())
    assert laptop.end(laptop.start("rotate", "--yes")).code == -signal.SIGKILL
    laptop.calm(20)
    assert rotate(laptop).code == 0
    assert rotate(laptop).code == 0
    assert ids(laptop)[-1][1] == laptop.pair().key_id
    assert len(told(laptop)) == 1
    assert pending(laptop) == []


# The parts


def test_a_change_straight_back_is_none(tmp_path: Path) -> None:
    """Unless somebody may have been told of it: then all are told again."""
    store = PendingChanges(str(tmp_path / "after"))
    programs, places = cast("Any", SimpleNamespace(hooks=lambda: (Hook("x", ("true",), ""),))), cast("Any", None)
    after = After(programs, store, places, places, nullcontext)
    there = replace(NOTE, wanted=NEW)
    change = PendingChange(OLD, OLD, NEW, ALICE.account, ALICE.arn)
    after.changing(there)
    assert (after.untold(there), store.all()) == (("x",), (change,))
    after.changing(there.swapped())
    assert store.all() == ()
    store.save(change._replace(begun=True))
    after.changing(there)
    assert (after.untold(there), store.all()) == ((), (change._replace(begun=True),))
    assert after.untold(there.swapped()) == ("x",)
    for note in (there.swapped(), there):
        after.changing(note)
        assert after.untold(note) == ("x",)


def test_a_child_left_behind_is_not_waited_for(tmp_path: Path) -> None:
    """A command may start a service and end."""
    began = time.monotonic()
    ran = run(["sh", "-c", "echo started; sleep 3 & exit 4"], b"x" * 200_000, os.environ, str(tmp_path), 60)
    assert (ran.code, ran.said) == (4, "started\n")
    assert time.monotonic() - began < 2.5


def test_arguments_are_not_read_by_a_shell(tmp_path: Path) -> None:
    """They arrive as they are."""
    words = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "$HOME; `id`", "*"]
    assert run(words, b"", os.environ, str(tmp_path), 60).said.strip() == "['$HOME; `id`', '*']"
