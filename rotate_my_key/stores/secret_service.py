"""The keyring of Linux desktops: the Secret Service on the session bus, as GNOME's keyring, KeePassXC and KDE's wallet
(kwalletd of KDE Frameworks 5.97 and later) offer it.

By `secretstorage`, the library beneath `keyring`'s own backend, since that one waits for ever where nobody can answer a
prompt, makes a keyring where there is none, obeys KEYRING_PROPERTY_* and takes twice the time to load. Entries are
laid down as it lays them down, so `keyring get` and `secret-tool lookup` find them.

Nothing here waits without a limit: for an answer some seconds, for a person only where there is a display.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import TryLater
from .entries import Name

if TYPE_CHECKING:
    from jeepney.io.blocking import DBusConnection
    from secretstorage import Collection, Item

_ANSWER = 15.0  # seconds; the bus may have to start the keyring first
_PERSON = 50.0  # seconds for somebody to type the keyring's password; some SDKs give a process a minute in all
_DISPLAYS = ("WAYLAND_DISPLAY", "DISPLAY")
_COLLECTION = "/org/freedesktop/secrets/aliases/default"


class SecretService:
    """The `Entries` port over the default collection. `env` tells the bus and whether there is a display."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._person = _PERSON if any(env.get(display) for display in _DISPLAYS) else 0.0

    def get(self, name: Name) -> str | None:
        """See the port."""
        with self._collection() as collection:
            for item in collection.search_items(_attributes(name)):
                self._unlock(item)
                secret: bytes = item.get_secret()
                return secret.decode()
        return None

    def set(self, name: Name, text: str) -> None:
        """See the port."""
        with self._collection() as collection:
            collection.create_item(
                name.label, {**_attributes(name), "application": "rotate-my-key"}, text.encode(), True
            )

    def delete(self, name: Name) -> None:
        """See the port."""
        with self._collection() as collection:
            for item in collection.search_items(_attributes(name)):
                self._unlock(item)
                item.delete()

    @contextmanager
    def _collection(self) -> Iterator[Collection]:
        try:
            from jeepney import DBusErrorResponse
            from secretstorage import exceptions
            from secretstorage.collection import Collection
        except ImportError:  # neither Linux, macOS nor Windows
            raise _absent("its library is not installed on this system") from None
        try:
            with closing(self._connect()) as connection:
                collection = Collection(connection, _COLLECTION)
                self._unlock(collection)
                yield collection
        except (exceptions.LockedException, exceptions.PromptDismissedException):
            raise _locked() from None
        except exceptions.ItemNotFoundException:
            raise _absent("it has no default collection") from None
        except exceptions.SecretServiceNotAvailableException:
            raise _absent("nothing on the session bus offers one") from None
        except TimeoutError:
            raise TryLater(f"the keyring gave no answer within {_ANSWER:.0f} seconds", "rotate-my-key status") from None
        except (OSError, EOFError):
            raise _absent("the session bus went away") from None
        except DBusErrorResponse as error:
            raise TryLater(f"the keyring refuses: {_plain(error.name)}", "rotate-my-key status") from None

    def _connect(self) -> DBusConnection:
        from functools import partial

        from jeepney.auth import AuthenticationError
        from jeepney.io.blocking import open_dbus_connection
        from secretstorage.util import add_match_rules

        address = self._bus()
        try:
            connection = open_dbus_connection(address)
        except (OSError, ValueError, KeyError, RuntimeError, StopIteration, AuthenticationError):
            raise _absent("the session bus cannot be reached") from None
        bounded: Any = partial(connection.send_and_get_reply, timeout=_ANSWER)
        connection.send_and_get_reply = bounded
        add_match_rules(connection)
        return connection

    def _bus(self) -> str:
        """The session bus, as libdbus finds it: cron and `ssh` do not name it, systemd has it in a fixed place."""
        address = self._env.get("DBUS_SESSION_BUS_ADDRESS", "")
        if address and address != "autolaunch:":
            return address
        path = os.path.join(self._env.get("XDG_RUNTIME_DIR") or _runtime_dir(), "bus")
        if not os.path.exists(path):
            raise _absent("there is no session bus, as in cron, over SSH or on a server")
        return f"unix:path={path}"

    def _unlock(self, thing: Collection | Item) -> None:
        """Ask a person, where there may be one; a keyring that only they can open is a locked one."""
        if not thing.is_locked():
            return
        if not self._person:
            raise _locked()
        try:
            thing.unlock(self._person)
        except TimeoutError:
            raise _locked() from None
        if thing.is_locked():
            raise _locked()


def _attributes(name: Name) -> dict[str, str]:
    return {"service": name.service, "username": name.user}


def _locked() -> TryLater:
    return TryLater("the keyring is locked", "unlock it (log in at the desktop, or open its program), then try again")


def _absent(why: str) -> TryLater:
    return TryLater(f"there is no keyring here: {why}", "run it in a desktop session, where the keyring is unlocked")


def _plain(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _runtime_dir() -> str:
    from ..files.platform import my_uid  # seldom needed, and `credentials` has to be fast

    return f"/run/user/{my_uid()}"
