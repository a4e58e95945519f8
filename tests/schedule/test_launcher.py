"""The path that is scheduled stays right when the program is upgraded."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.schedule.job import find_program


def launcher(path: Path, target: Path | None = None) -> Path:
    """An executable file, or a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if target:
        path.symlink_to(target)
    else:
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return path


# The environment, the link to it (if there is one) and PATH, in a home in which another program lies in `other`.
INSTALLED = {
    "the link of install.sh where there is no PATH": (".local/share/rotate-my-key/venv-1.0-7-1", ".local/bin", ""),
    "that link and not the environment behind it": (
        ".local/share/rotate-my-key/venv-1.0-7-1",
        ".local/bin",
        "{0}/.local/share/rotate-my-key/venv-1.0-7-1/bin:{0}/.local/bin",
    ),
    "the link of a prefix for all users": ("usr/local/lib/rotate-my-key/venv-1.0-7-1", "usr/local/bin", "/bin"),
    "what this was typed to, with another installation in front": ("venv", ".local/bin", "{0}/other"),
    "the launcher of an environment that stays, as of pipx and uv": ("venv", "", ".:bin"),
}


@pytest.mark.parametrize(("venv", "link", "path"), INSTALLED.values(), ids=INSTALLED.keys())
def test_what_is_scheduled_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, venv: str, link: str, path: str) -> None:
    """An absolute path that stays."""
    launcher(tmp_path / "other/rotate-my-key")
    own = launcher(tmp_path / venv / "bin/rotate-my-key")
    expected = launcher(tmp_path / link / "rotate-my-key", own) if link else own
    monkeypatch.chdir(tmp_path / venv)
    env = {"PATH": path.format(tmp_path)} if path else {}
    assert find_program(env, str(tmp_path), str(tmp_path / venv)) == str(expected)


def test_a_program_that_was_not_installed_cannot_be_scheduled(tmp_path: Path) -> None:
    """A checkout may be gone tomorrow."""
    with pytest.raises(Problem, match="not installed") as caught:
        find_program({"PATH": "/bin"}, str(tmp_path), str(tmp_path / "venv"))
    assert caught.value.hint == "./install.sh"
