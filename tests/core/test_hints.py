"""A hint is a command that works: about the profile, with the files and as the signer of the call that it follows."""

from __future__ import annotations

import pytest

from rotate_my_key.core.hints import Again, Call, Hint, on

WORK = Call(("undo", "-p", "work"), "work")
ADMIN = Call(("rotate", "x y", "--mfa-code", "123456"), "", (("--auth-profile", "admin"), ("--mfa-code", "CODE")))
FILES = Call(("status",), files=(("AWS_CONFIG_FILE", "/home/a b/config"),))


@pytest.mark.parametrize(
    ("hint", "call", "typed"),
    [
        (Hint(), Call(), "rotate-my-key"),
        (Hint(), WORK, "rotate-my-key -p work"),
        (Hint("rotate", "--force"), WORK, "rotate-my-key rotate -p work --force"),
        (Hint("rotate", "--all"), WORK, "rotate-my-key rotate --all"),
        (Hint("keyring", "store"), WORK, "rotate-my-key keyring store -p work"),
        (Hint("delete-key", "AKIA", profile="other"), WORK, "rotate-my-key delete-key AKIA -p other"),
        (Hint("undo", profile="default"), Call(), "rotate-my-key undo"),
        (Hint("undo", profile="default"), WORK, "rotate-my-key undo -p default"),
        (Hint("adopt", profile="two words"), Call(), "rotate-my-key adopt -p 'two words'"),
        (Hint("status"), WORK, "rotate-my-key status"),
        (Hint("policy", "self", lead="ask IT for this", rest="; then go on"), ADMIN,
         "ask IT for this: rotate-my-key policy self; then go on"),
        (Hint("undo"), ADMIN, "rotate-my-key undo --auth-profile admin --mfa-code CODE"),
        (Hint("doctor", "--help"), ADMIN, "rotate-my-key doctor --help"),
        (Hint("doctor", "--mfa-code", "CODE"), ADMIN, "rotate-my-key doctor --auth-profile admin --mfa-code CODE"),
        (Hint("export", "-o", "FILE"), ADMIN, "rotate-my-key export -o FILE"),
        (Hint("undo"), FILES, "AWS_CONFIG_FILE='/home/a b/config' rotate-my-key undo"),
        (Hint("config", "show"), FILES, "rotate-my-key config show"),
        (Again("--yes"), WORK, "rotate-my-key undo -p work --yes"),
        (Again("-p", "NAME", lead="for another"), WORK, "for another: rotate-my-key undo -p NAME"),
        (Again("--mfa-code", "CODE", rest=" once more"), ADMIN,
         "rotate-my-key rotate 'x y' --auth-profile admin --mfa-code CODE once more"),
        (Again("-p", "NAME"), Call(("adopt", "--yes", "--", "-k.csv")), "rotate-my-key adopt --yes -p NAME -- -k.csv"),
    ],
)  # fmt: skip
def test_a_hint_follows_a_call(hint: Hint, call: Call, typed: str) -> None:
    """What is missing of the profile, the files and who signs is the call's; nothing that is named is said twice."""
    assert hint.within(call) == typed


def test_a_hint_without_its_words() -> None:
    """`doctor` shows the command alone, in its own place."""
    hint = Again("--mfa-code", "CODE", lead="wait, then").bare
    assert (hint, hint.within(WORK)) == ("rotate-my-key --mfa-code CODE", "rotate-my-key undo -p work --mfa-code CODE")


@pytest.mark.parametrize(
    ("hint", "macos", "windows"),
    [
        ("ls -ld /a /a/b", "", 'icacls /a/b'),
        (r"ls -la 'C:\Jörg M\.aws'; a file with one name", "", r'icacls "C:\Jörg M\.aws"; a file with one name'),
        ("ls -l /a", "", "icacls /a"),
        ("lsattr '/a b'", "ls -ldO '/a b'", 'attrib "/a b"'),
        ("make it writable (findmnt -T /a), then run rotate-my-key again",
         "make it writable (df /a), then run rotate-my-key again",
         "make it writable (dir /a), then run rotate-my-key again"),
        ("make room (df -h /a; df -i /a), then go on", "", "make room (dir /a), then go on"),
        ("make room (quota -s), then go on", "make room (quota), then go on", ""),
        ("move it away: mv 'C:\\a b' 'C:\\a b.old'", "", 'move it away: move "C:\\a b" "C:\\a b.old"'),
        ("command -v gh", "", "where.exe gh"),
        ("unset AWS_PROFILE, or name the profile", "", "Remove-Item Env:AWS_PROFILE, or name the profile"),
        ("cat /proc/sys/fs/file-nr", "sysctl kern.num_files kern.maxfiles", ""),
        ("ulimit -n", "", "taskmgr"),
        ("report it, with -vv", "", ""),
    ],
)  # fmt: skip
def test_what_the_system_shows_is_looked_at_with_its_own_commands(hint: str, macos: str, windows: str) -> None:
    """A hint of Linux becomes that system's, with paths quoted as it takes them; "" where it is the same."""
    assert (on("linux", hint), on("darwin", hint), on("win32", hint)) == (hint, macos or hint, windows or hint)


def test_what_lacks_its_words_is_left_as_it_is() -> None:
    """A command of two words that has one here is no such command."""
    assert on("win32", "mv one") == "mv one"
