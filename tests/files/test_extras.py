"""With which command a library comes along that is not there."""

import sys

import pytest

from rotate_my_key.files.paths import how_to_get


@pytest.mark.parametrize(
    ("library", "prefix", "command"),
    [
        ("pyrage", "/home/a/.local/pipx/venvs/rotate-my-key", "pipx inject rotate-my-key pyrage"),
        ("apprise", "/home/a/.local/share/uv/tools/rotate-my-key", "uv tool install --with apprise rotate-my-key"),
        ("pyrage", "/home/a/.local/share/rotate-my-key/venv-0.1.0-7-1", "./install.sh"),
        ("apprise", "/usr/local/lib/rotate-my-key/venv-0.1.0-7-1", "./install.sh --with fleet"),
        ("jinja2", "/home/a/.local/share/rotate-my-key/venv-0.1.0-7-1", "./install.sh --with fleet"),
        ("apprise", "/opt/homebrew/Cellar/rotate-my-key/0.1.0/libexec", "./install.sh --with fleet"),
        ("apprise", "/opt/rotate-my-key/_internal", "./install.sh --with fleet"),
        ("apprise", "/srv/venv", f"{sys.executable} -m pip install apprise"),
    ],
)
def test_the_command_fits_the_way_this_program_was_installed(library: str, prefix: str, command: str) -> None:
    """In install.sh's environment there is no pip; pipx and uv have their own way to add a library."""
    assert how_to_get(library, prefix) == command
