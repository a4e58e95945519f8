"""A laptop whose settings have commands to run after a rotation, with AWS's stand-in beside it."""

from pathlib import Path

from tests.laptop import Laptop


def settings(laptop: Laptop, text: str) -> Path:
    """Write config.ini."""
    file = laptop.home / ".config" / "rotate-my-key" / "config.ini"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    file.parent.parent.chmod(0o700)
    file.write_text(text)
    file.chmod(0o600)
    return file


def script(folder: Path, name: str, text: str) -> Path:
    """A program."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text)
    file.chmod(0o700)
    return file
