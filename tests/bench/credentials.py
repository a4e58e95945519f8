"""`credentials`, beside a direct look-up in the backend that `keyring` would use, named without a search."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rotate_my_key.keyring.entries import SYSTEM, KeyringEntries, encode, of_profile
from tests.keyring.conftest import Keyring

from .measure import Command, in_turns, table

LIMIT = 1.2


def credentials(tool: str, environment: Mapping[str, str], turns: int) -> None:
    """With gnome-keyring on a session bus of its own."""
    with tempfile.TemporaryDirectory() as folder:
        keyring = Keyring(Path(folder) / "session")
        keyring.start()
        try:
            env = {**environment, **keyring.env, "HOME": folder}
            KeyringEntries(lambda: SYSTEM, env).set(of_profile("work"), encode("AKIAIOSFODNN7EXAMPLE", "s" * 40))
            direct = (
                "from keyring.backends.SecretService import Keyring as K; K().get_password('rotate-my-key', 'work')"
            )
            search = "import keyring; keyring.get_password('rotate-my-key', 'work')"
            ours = "rotate-my-key credentials"
            commands = [
                Command(ours, [tool, "credentials", "--profile", "work"], lambda: env),
                Command("keyring, with its search", [sys.executable, "-c", search], lambda: env),
                Command("keyring, the backend named", [sys.executable, "-c", direct], lambda: env),
            ]
            table("credentials", in_turns(commands, 2 * turns), {ours: LIMIT})
        finally:
            keyring.stop()
