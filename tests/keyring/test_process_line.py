"""The credential_process line: written so that botocore reads it back, and told apart from other programs' lines."""

from pathlib import Path

import pytest
from botocore.compat import _windows_shell_split, compat_shell_split

from rotate_my_key.core.errors import Problem
from rotate_my_key.profiles.kinds import entry_of, line_for
from rotate_my_key.profiles.move import program_words

PROGRAM = "/home/al/.local/bin/rotate-my-key"


@pytest.mark.parametrize(
    ("program", "entry", "line"),
    [
        pytest.param([PROGRAM], "work", f'"{PROGRAM}" credentials --profile work', id="plain"),
        pytest.param(
            ["/a b/rotate-my-key"], "my own", "\"/a b/rotate-my-key\" credentials --profile 'my own'", id="blanks"
        ),
        pytest.param(["/a$b/rotate-my-key"], "x", "'/a$b/rotate-my-key' credentials --profile x", id="a dollar"),
        pytest.param(["/a'b/rotate-my-key"], "x", "'/a'\"'\"'b/rotate-my-key' credentials --profile x", id="a quote"),
        pytest.param(
            ["/usr/bin/python3", "-m", "rotate_my_key"],
            "x",
            '"/usr/bin/python3" -m rotate_my_key credentials --profile x',
            id="a module",
        ),
    ],
)
def test_posix(program: list[str], entry: str, line: str) -> None:
    """botocore and a shell make the same words of it, and it is known again."""
    assert line_for(program, entry) == line
    assert compat_shell_split(line, platform="linux") == [*program, "credentials", "--profile", entry]
    assert entry_of({"credential_process": line}) == entry


@pytest.mark.parametrize(
    ("program", "entry", "line"),
    [
        pytest.param(
            r"C:\Tools\rotate-my-key.exe",
            "work",
            r'"C:\Tools\rotate-my-key.exe" credentials --profile work',
            id="plain",
        ),
        pytest.param(
            r"C:\Program Files\rotate-my-key.exe",
            "my own",
            r'"C:\Program Files\rotate-my-key.exe" credentials --profile "my own"',
            id="blanks",
        ),
        pytest.param(
            r"C:\rotate-my-key.exe",
            "a\\",
            '"C:\\rotate-my-key.exe" credentials --profile "a\\\\"',
            id="a backslash last",
        ),
    ],
)
def test_windows(program: str, entry: str, line: str) -> None:
    """Double quotes only; botocore's split for Windows gives the words back."""
    assert line_for([program], entry, windows=True) == line
    assert _windows_shell_split(line) == [program, "credentials", "--profile", entry]
    assert entry_of({"credential_process": line}, windows=True) == entry


@pytest.mark.parametrize("name", ["a\nb", "a\x00b", 'a"b', "a%b"])
def test_names_that_cannot_be_written(name: str) -> None:
    """What some SDK would read otherwise is refused."""
    with pytest.raises(Problem):
        line_for([r"C:\rotate-my-key.exe"], name, windows=True)


@pytest.mark.parametrize(
    "line",
    [
        "/opt/other-tool credentials --profile work",
        f"{PROGRAM} status --profile work",
        f"{PROGRAM} credentials",
        f"{PROGRAM} credentials --profile work --more",
        f"sh -c '{PROGRAM} credentials --profile work'",
        f"'{PROGRAM} credentials --profile work",
        "/usr/bin/python3 -m other credentials --profile work",
        "",
    ],
)
def test_lines_of_other_programs(line: str) -> None:
    """They are not ours to change."""
    assert entry_of({"credential_process": line}) is None


def test_the_program_is_named_by_the_path_it_was_called_by(tmp_path: Path) -> None:
    """A link is not followed: what it leads to may move with an upgrade. Called as a module, it stays one."""
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "rotate-my-key").write_text("#!/bin/sh\n")
    (tmp_path / "venv" / "rotate-my-key").chmod(0o755)
    link = tmp_path / "rotate-my-key"
    link.symlink_to("venv/rotate-my-key")
    assert program_words(str(link), "/py", None) == [str(link)]
    assert program_words("rotate-my-key", "/py", str(tmp_path)) == [str(link)]
    for called in ("rotate-my-key", "/x/rotate_my_key/__main__.py", "-c"):
        assert program_words(called, "/py", "/nowhere") == ["/py", "-m", "rotate_my_key"]
