"""The reminder in real shells, in a pseudo-terminal: what a person sees, and what a shell goes through."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rotate_my_key.reminder import shell as shells
from rotate_my_key.reminder.shell import Tool
from rotate_my_key.reminder.state import DAY, KEPT, UNFINISHED, Item
from tests.laptop import sampled

from .conftest import PROMPT, Home, Terminal, key, lines, plain_run, wait_for

Traced = Callable[[Home, str], tuple[int, int]]
DUE = "rotate-my-key: the access key of work is 80 days old and due for replacement. Type: rotate-my-key -p work"


def test_nothing_due_starts_no_process_and_a_due_key_one_program(home: Home, shell: str, traced: Traced) -> None:
    """No fork and no exec more than the bare shell, and nothing on the screen; with a due key one of each."""
    home.install(shell, text="true")
    forks, execs = traced(home, shell)
    home.install(shell)
    assert traced(home, shell) == (forks, execs)
    assert lines(home.screen(shell)) == []
    home.due()
    assert traced(home, shell) == (forks + 1, execs + 1)


def test_a_due_key_is_said_once_a_day(home: Home, shell: str) -> None:
    """One line that tells the profile, the age and what to type; the next terminal is silent. With
    ROTATE_MY_KEY_REMINDER=0 there is not a word, and nothing counts as said."""
    home.install(shell)
    home.due()
    assert lines(home.screen(shell, {"ROTATE_MY_KEY_REMINDER": "0"})) == []
    assert lines(home.screen(shell)) == [DUE]
    assert lines(home.screen(shell)) == []


def test_an_overdue_key_is_louder(home: Home, shell: str) -> None:
    """It names the limit."""
    home.install(shell)
    home.due(98, "default", "work")
    line = "rotate-my-key: OVERDUE: the access key of default and work is 98 days old; maximum age is 90 days."
    assert lines(home.screen(shell)) == [f"{line} Type: rotate-my-key"]


def test_many_panes_speak_once(home: Home) -> None:
    """Of eight terminals that open at the same moment one shows the line."""
    home.install("bash")
    home.due()
    terminals = [home.open("bash") for _ in range(8)]
    said = [lines(terminal.end()) for terminal in terminals]
    assert sorted(said) == [[]] * 7 + [[DUE]]


def test_unfinished_and_kept_are_mentioned(home: Home) -> None:
    """In the same one line."""
    until = int(time.time()) + 3 * DAY
    home.install("bash")
    home.write(key(), Item(UNFINISHED, "AKIAUNFINISHED00BEGN", (), 0), Item(KEPT, "AKIAKEPT00000000KEPT", (), 0, until))
    home.asked()
    (line,) = lines(home.screen("bash"))
    assert DUE.removeprefix("rotate-my-key: ") in line
    assert "The rotation of key ...BEGN is not finished. Type: rotate-my-key" in line
    assert "The old key ...KEPT is kept until " in line


def test_the_line_is_not_on_stdout(home: Home, shell: str) -> None:
    """It is on the terminal while stdout is a file that stays empty of it."""
    home.install(shell)
    home.due()
    out = home.path / "out"
    terminal = home.open(shell, before=["sh", "-c", f'exec "$@" {"2>&1 " * (shell == "fish")}>{out}', "sh"])
    terminal.child.expect_exact("rotate-my-key: the access key")
    if shell == "fish":  # it draws its prompt on stdout
        terminal.child.close(force=True)
    else:
        terminal.child.sendline("exit")
        terminal.child.wait()
    assert "rotate-my-key" not in out.read_text()


def test_a_snooze_silences_it(home: Home, shell: str) -> None:
    """Until its time is over."""
    home.install(shell)
    home.write(key(), snoozed=int(time.time()) + 100)
    home.asked()
    assert lines(home.screen(shell)) == []
    home.write(key(), snoozed=int(time.time()) - 100)
    assert lines(home.screen(shell)) == [DUE]


@pytest.mark.parametrize("words", [["-c", "echo hello"], ["-lc", "echo hello"], ["-ic", "echo hello"]], ids=str)
def test_shells_without_a_person_are_silent(home: Home, shell: str, words: list[str]) -> None:
    """scp, rsync and `ssh host command` run such shells; so do editors that look for the environment (-ic)."""
    home.install(shell)
    home.due()
    rc = home.rc("bash")
    (home.path / ".bash_profile").write_text(f". {rc}\n")
    out, err = plain_run(home, [shell, *words], {"BASH_ENV": str(rc)})
    assert out == "hello\n"
    assert "rotate-my-key:" not in err
    assert not (home.state / "said").exists()
    assert not home.calls.exists()


# What a shell may be set to


HARD = {
    "bash": [
        "set -euo pipefail",
        "set -euo pipefail; set -o noclobber; set -f; set -E; trap 'echo trapped' ERR",
        "set -o posix",
        "shopt -s nocasematch extglob; alias read='echo no' printf='echo no' local='echo no'",
        "IFS=/0123456789; unset EPOCHSECONDS",
        "set -T; trap ':' DEBUG; PROMPT_COMMAND='true'",
        "unset HOME",
    ],
    "zsh": [
        "set -euo pipefail",
        "setopt ksh_arrays sh_word_split no_clobber err_return nounset glob_subst",
        "alias read='echo no' local='echo no' typeset='echo no' return='echo no'; setopt ksh_glob sh_glob",
        "setopt no_function_argzero csh_junkie_quotes ignore_braces octal_zeroes",
        "emulate sh",
        "emulate ksh",
        "trap 'echo trapped' ZERR; setopt warn_create_global",
        "zle-line-init() { : }; zle -N zle-line-init; precmd() { : }",
        "unsetopt zle",  # it speaks before the first prompt then
        "unset HOME",
    ],
    "fish": [
        "function test; echo no; end; function math; echo no; end",
        "set -e HOME",
        "function string; echo no; end",
        "set -g fish_trace",
    ],
}


@pytest.mark.parametrize(("name", "options"), [(name, text) for name, texts in HARD.items() for text in texts], ids=str)
def test_any_options(home: Home, name: str, options: str) -> None:
    """The shell starts as ever with nothing due; with a due key the line comes, once and alone."""
    home.install(name, before=options)
    assert "trapped" not in (quiet := home.screen(name))
    assert not [line for line in quiet.splitlines() if "rotate" in line or "not found" in line or "unbound" in line]
    home.due()
    loud = home.screen(name)
    assert lines(loud) == [DUE]
    assert "trapped" not in loud


def test_the_status_of_the_last_command_is_zero(home: Home, shell: str) -> None:
    """The first prompt does not show a failure that nobody caused."""
    home.install(shell, after="echo code=$status" if shell == "fish" else "echo code=$?")
    assert "code=0" in home.screen(shell)


def test_nothing_is_left_in_the_shell(home: Home, shell: str) -> None:
    """No function and no variable, neither with nothing due nor after the line; nor is a PROMPT_COMMAND made."""
    show = {"bash": "set", "zsh": "typeset; functions", "fish": "functions -a; set -g"}[shell]
    home.install(shell)
    for days in (10, 80):
        home.due(days)
        terminal = home.open(shell)
        terminal.child.expect_exact(PROMPT)
        terminal.run("true")
        left = [line for line in terminal.run(show).splitlines() if "__rotate_my_key" in line]
        assert left == []
        if shell == "bash":
            assert "[unset]" in terminal.run("echo [${PROMPT_COMMAND-unset}]")
        terminal.end()


def test_prompts_that_come_before_the_start(home: Home) -> None:
    """A theme that has all output collected until zsh has started and complains about it collects nothing."""
    collected = home.path / "collected"
    theme = f"exec 8>&1 9>&2 >{collected} 2>&1; restore() {{ exec 1>&8 2>&9 8>&- 9>&-; precmd_functions=() }}"
    home.install("zsh", before=theme, after="precmd_functions+=(restore)")
    home.due()
    assert lines(home.screen("zsh")) == [DUE]
    assert collected.read_text() == ""


# What the shell may find

STATES = {
    "a command for its arithmetic": b"a[$(touch pwned)]\n",
    "a substitution": b"$(touch pwned)\n`touch pwned`\n",
    "octal": b"0800000000\nx\n",
    "empty": b"",
    "torn": b"1763",
    "no line end": b"9" * 3000,
    "far too long": b"1" * 40 + b"\n",
    "binary": bytes(range(256)) * 4,
    "nul": b"1\x00\n",
    "other digits": "²³\n٣\n".encode(),
    "negative": b"-5\n",
    "an escape sequence": b"\x1b]0;pwned\x07\n",
    "ours without an end": b"1000000000\nrotate-my-key-reminder 1\nlimit 1\nsnoozed 0\nkey 41 1 1 1 1 41",
    "of a newer version": b"1000000000\nrotate-my-key-reminder 2\nlimit 1\n",
    "lines of nonsense": b"1000000000\nrotate-my-key-reminder 1\nlimit 1\nsnoozed 0\nkey\nkey zz 1 1 1 1 zz\n$(x)\n",
}


@pytest.mark.parametrize(
    "state", sampled(STATES, "a command for its arithmetic", "octal", "binary", "lines of nonsense")
)
def test_a_hostile_state(home: Home, shell: str, state: str) -> None:
    """Nothing is run, nothing is printed, and the shell starts."""
    home.install(shell)
    now = time.time() + 100
    (home.state / "state").write_bytes(STATES[state])
    os.utime(home.state / "state", (now, now))
    os.utime(home.state / "due", (1, 1))
    screen = home.screen(shell)
    assert "pwned" not in screen
    assert not [line for line in screen.splitlines() if "rotate" in line or "error" in line.lower()]
    assert not (home.path / "pwned").exists()


PATIENT = 20  # seconds, on a busy machine
ODD: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "huge": lambda path: (path.touch(), os.truncate(path, 4 << 30)),
    "a circle": lambda path: path.symlink_to(path),
    "unreadable": lambda path: (path.write_text("1000000000\n"), path.chmod(0)),
}


@pytest.mark.parametrize("name", sampled(["state", "due", "asked", "said", "saying"], "state"))
@pytest.mark.parametrize("odd", ODD)
def test_no_file_in_its_folder_can_hang_or_break_a_shell(home: Home, shell: str, name: str, odd: str) -> None:
    """Whatever lies where a file should be; the credentials file is newer, so that `asked` is looked at, too."""
    home.install(shell)
    home.due()
    path = home.state / name
    path.unlink(missing_ok=True)
    ODD[odd](path)
    if name == "asked":
        home.aws_changed()
    began = time.monotonic()
    screen = home.screen(shell)
    assert time.monotonic() - began < PATIENT
    assert not [line for line in screen.splitlines() if str(home.state) in line or "rror" in line]


def test_the_folder_is_gone(home: Home, shell: str) -> None:
    """An uninstalled reminder whose line somebody's dotfiles still have."""
    home.install(shell)
    os.rename(home.state, home.path / "elsewhere")
    assert "rotate" not in home.screen(shell).replace("rotate_my_key", "")


def test_an_uninstalled_tool(home: Home, shell: str) -> None:
    """Neither Python nor command are there: silence."""
    home.install(shell, tool=Tool(f"{home.path}/gone", f"{home.path}/gone-too", f"{home.path}/x.py"))
    home.due()
    home.aws_changed()
    assert "gone" not in home.screen(shell)
    os.utime(home.credentials, (1, 1))
    assert "gone" not in home.screen(shell)


def test_a_key_in_the_keyring_that_lost_its_program(home: Home, shell: str, traced: Traced) -> None:
    """Whoever removed the program without `uninstall` is told, at each login, without a process; nobody else is."""
    home.install(shell, text="true")
    bare = traced(home, shell)
    home.install(shell, tool=Tool(f"{home.path}/gone", f"{home.path}/gone-too", f"{home.path}/x.py"))
    assert lines(home.screen(shell)) == []
    (home.state.parent / "keyring.json").write_text("{}")
    assert traced(home, shell) == bare
    (line,) = lines(home.screen(shell))
    assert line.endswith("Install it again, then type: rotate-my-key uninstall")
    home.install(shell)
    assert lines(home.screen(shell)) == []


def test_a_tool_whose_python_is_gone(home: Home, shell: str) -> None:
    """The shell's own message about it is not shown."""
    home.tool.write_text("#!/nonexistent/python\n")
    home.install(shell, tool=Tool(str(home.tool), f"{home.path}/gone", f"{home.path}/x.py"))
    home.due()
    screen = home.screen(shell)
    assert "nonexistent" not in screen
    assert "rotate-my-key" not in screen


def test_after_an_upgrade_the_command_speaks(home: Home, shell: str) -> None:
    """The Python that was there at installing is gone, the command is not: it says the line."""
    home.tool.write_text(f'#!/bin/sh\necho "$@" >>{home.calls}\necho "rotate-my-key: said"\n')
    home.install(shell, tool=Tool(str(home.tool), f"{home.path}/gone", f"{home.path}/x.py"))
    home.due()
    assert lines(home.screen(shell)) == ["rotate-my-key: said"]
    assert home.calls.read_text() == "reminder say\n"


NAMES = [
    "it's",
    'say "hi"',
    "two\nlines",
    "$(touch pwned)",
    "`touch pwned`",
    "\x1b[31mred\x1b]0;title\x07",
    "a;b|c",
    "\u202eevil",
]


@pytest.mark.parametrize("name", sampled(NAMES, "two\nlines", "$(touch pwned)"), ids=ascii)
def test_names_are_never_evaluated_or_printed_raw(home: Home, shell: str, name: str) -> None:
    """A profile may have any name; on the screen its odd letters are question marks."""
    home.install(shell)
    home.due(80, name)
    terminal = home.open(shell, {"NO_COLOR": "1"})
    (line,) = lines(terminal.end())
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    assert f"the access key of {shown} is 80 days old" in line
    assert line.endswith("Type: rotate-my-key --all")
    assert not (home.path / "pwned").exists()


def test_a_root_shell_in_somebody_elses_home(home: Home, shell: str) -> None:
    """`sudo -s` keeps HOME: nothing of the user's is sourced or read."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED HERE: needs root")
    home.install(shell)
    home.due()
    script = Path(home.folder.script(shell))
    script.write_text(f"touch {home.path}/pwned\n")
    os.chown(script, 65534, 65534)
    assert lines(home.screen(shell)) == []
    assert not (home.path / "pwned").exists()
    home.install(shell)
    os.chown(home.state / "state", 65534, 65534)
    os.chown(home.state / "due", 65534, 65534)
    assert lines(home.screen(shell)) == []


# The credentials file has changed


def test_other_credentials_are_looked_at_in_the_background(home: Home, shell: str) -> None:
    """One `-q status` is started, once a day, and nobody is reminded of a key that may be gone."""
    home.install(shell)
    home.write(key())
    (home.state / "asked").unlink()
    home.aws_changed()
    assert lines(home.screen(shell)) == []
    assert wait_for(home.calls) == "-q status\n"
    assert lines(home.screen(shell)) == []
    time.sleep(0.2)
    assert home.calls.read_text() == "-q status\n"
    assert stat.S_IMODE((home.state / "asked").stat().st_mode) & 0o022 == 0


@pytest.mark.parametrize("changed", ["settings", "the site's settings", "rotations"])
def test_what_else_is_looked_at(home: Home, shell: str, changed: str) -> None:
    """Settings and rotations of which the state knows nothing, a day after the last time; a due key is said all the
    same."""
    home.install(shell)
    home.due()
    home.asked(ago=DAY + 10)
    own = home.path / ".config/rotate-my-key/config.ini"
    path = {"settings": own, "the site's settings": home.site, "rotations": home.state.parent / "rotations/x"}[changed]
    time.sleep(0.02)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert lines(home.screen(shell)) == [DUE]
    assert wait_for(home.calls) == "-q status\n"


def test_the_prompt_does_not_wait_for_it(home: Home, shell: str) -> None:
    """The look takes a minute, prints and reads: the shell is there at once, clean, and without a child of its own."""
    home.tool.write_text(f'#!/bin/sh\necho "$@" >>{home.calls}\necho noise; echo noise >&2; cat; exec sleep 15\n')
    home.install(shell)
    home.asked(ago=DAY + 10)
    home.aws_changed()
    began = time.monotonic()
    terminal = home.open(shell)
    terminal.child.expect_exact(PROMPT)
    assert wait_for(home.calls)
    jobs = terminal.run("jobs")
    children = Path(f"/proc/{terminal.child.pid}/task/{terminal.child.pid}/children").read_text().split()
    screen = terminal.seen
    terminal.child.close(force=True)
    assert time.monotonic() - began < 20
    assert "noise" not in screen
    assert "sleep" not in jobs
    assert "status" not in jobs
    if shell != "fish":
        assert children == []


def test_no_zombie_is_left(home: Home, shell: str) -> None:
    """The look has ended while the shell goes on: no dead child stays behind."""
    home.install(shell)
    home.asked(ago=DAY + 10)
    home.aws_changed()
    terminal = home.open(shell)
    terminal.child.expect_exact(PROMPT)
    assert wait_for(home.calls)
    time.sleep(0.3)
    terminal.run("true")
    children = Path(f"/proc/{terminal.child.pid}/task/{terminal.child.pid}/children").read_text().split()
    assert children == []
    terminal.end()


# Other ways


def test_a_bash_without_a_clock(home: Home) -> None:
    """bash 3.2 compares the time of a file that it writes now with that of `due`."""
    home.install("bash")
    script = Path(home.folder.script("bash"))
    old = script.read_text().replace("BASH_VERSINFO[0]", "0").replace("${0}", "3").replace("BASH_VERSINFO[1]", "2")
    assert "${BASH_VERSINFO" not in old
    script.write_text(old)
    assert lines(home.screen("bash")) == []
    assert (home.state / "now").exists()
    home.due()
    assert lines(home.screen("bash")) == [DUE]
    assert lines(home.screen("bash")) == []
    home.state.joinpath("asked").unlink()
    home.aws_changed()
    home.screen("bash")
    assert wait_for(home.calls) == "-q status\n"


def test_a_bash_of_before_2019(home: Home) -> None:
    """bash 4.2 asks printf for the time."""
    home.install("bash")
    script = Path(home.folder.script("bash"))
    script.write_text(script.read_text().replace("${BASH_VERSINFO[0]}", "4").replace("BASH_VERSINFO[0]", "4"))
    assert lines(home.screen("bash")) == []
    home.due()
    assert lines(home.screen("bash")) == [DUE]


def test_a_fish_that_cannot_compare_files(home: Home) -> None:
    """fish 3.5 tells their times, in seconds."""
    home.install("fish")
    script = Path(home.folder.script("fish"))
    script.write_text(script.read_text().replace("'3.5.*' -- $version", "'3.5.*' -- 3.5.1"))
    home.due()
    assert lines(home.screen("fish")) == [DUE]
    home.asked(ago=DAY + 10)
    home.aws_changed()
    home.screen("fish")
    assert wait_for(home.calls) == "-q status\n"


def test_the_system_wide_file(home: Home, shell: str) -> None:
    """It sources nothing, finds the state of whoever logs in, and speaks."""
    text = shells.system_script(shell, home.real_tool(), str(home.site), "linux")
    home.install(shell, text=text)
    Path(home.folder.script(shell)).write_text("touch pwned\n")
    assert lines(home.screen(shell)) == []
    home.due()
    assert lines(home.screen(shell)) == [DUE]
    assert not (home.path / "pwned").exists()
    moved = home.path / "elsewhere/rotate-my-key"
    moved.parent.mkdir()
    home.due()
    (home.state / "said").unlink()
    home.due()
    os.rename(home.state.parent, moved)
    assert lines(home.screen(shell, {"XDG_STATE_HOME": str(moved.parent)})) == [DUE]
    assert str(home.path) not in text.replace(str(home.tool), "").replace(str(home.site), "")


def test_the_system_wide_file_in_other_shells(home: Home) -> None:
    """/etc/profile.d is read by every sh: there it does nothing."""
    file = home.path / "profile.sh"
    file.write_text(shells.system_script("bash", home.real_tool(), str(home.site), "linux"))
    assert plain_run(home, ["dash", "-c", f". {file}; echo fine"]) == ("fine\n", "")


def test_a_restricted_bash(home: Home) -> None:
    """rbash may neither redirect nor run a path: nothing is tried."""
    home.install("bash", text=shells.system_script("bash", home.real_tool(), str(home.site), "linux"))
    home.due()
    assert lines(home.screen("bash")) == [DUE]
    (home.state / "said").unlink()
    home.due()
    assert "restricted" not in Terminal([*home.command("bash"), "-r"], home.environment(), home.path).end()
