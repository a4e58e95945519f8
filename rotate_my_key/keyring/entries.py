"""Entries of the keyring: text under a name, by one backend of the `keyring` package, named, never searched for.

`system` is this system's own: the Secret Service on Linux (GNOME's keyring, KeePassXC, KDE's wallet), the login
keychain of macOS, the Credential Manager of Windows. Any other is named by its class, as in keyring's own settings.
Only `environment` leaves the choice to keyring: PYTHON_KEYRING_BACKEND, keyringrc.cfg, its search.

Nothing here waits without an end: each call runs in a daemon thread and is given up when its time is over. What a
backend says is never passed on: it may quote what it was given. Light: `credentials` runs at every start of an SDK. An
entry holds a pair as JSON, with a version; on Windows it has room for 1280 characters (CRED_MAX_CREDENTIAL_BLOB_SIZE:
2560 bytes of UTF-16), of which a pair takes 100."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.errors import Problem, TryLater
from ..core.hints import Hint
from ..core.parallel import Running
from ..state.records import Form

if TYPE_CHECKING:
    from jeepney.io.blocking import DBusConnection
    from secretstorage import Collection

SYSTEM = "system"  # the backend of this system's own keyring
LONGEST = 1280  # characters

SERVICE = "rotate-my-key"
_SPARE = "rotate-my-key (being replaced)"
_ROTATION = "rotate-my-key (rotation)"
REHEARSAL = "(rehearsal)"  # the profile whose entries hold no secret: they show that the keyring keeps its promises
ENVIRONMENT = "environment"

_UNATTENDED = 30.0  # seconds; the bus may have to start the keyring first
_WINDOW = 50.0  # where a person may see the keyring's window; some SDKs give a credential_process a minute in all
_TOLD = 120.0  # where a person was told to look for it
_QUIET = 3.0  # seconds after which they are told
_COPIES = 8  # entries of one name that a keyring may hold
_DISPLAYS = ("WAYLAND_DISPLAY", "DISPLAY")
_UNLOCK = {
    "darwin": "security unlock-keychain, then try again (over SSH it must be unlocked first)",
    "win32": "log in at the desktop, then try again",
}
_USE_ANOTHER = Hint("config", "set", "keyring_backend", "system")


class Name(NamedTuple):
    """How an entry is found: two texts, as every keyring has them."""

    service: str
    user: str

    @property
    def label(self) -> str:
        """What a person reads in the keyring's own program."""
        return f"{self.service}: {self.user}"


def of_profile(profile: str) -> Name:
    """The entry of a profile's pair."""
    return Name(SERVICE, profile)


def spare_of(profile: str) -> Name:
    """Where the pair of a profile stands as well while its entry is replaced."""
    return Name(_SPARE, profile)


def of_rotation(name: str, role: str) -> Name:
    """The entry of a staged or kept pair."""
    return Name(_ROTATION, f"{name} {role}")


def noted_backend(path: str) -> str | None:
    """The backend that holds the entries, by `keyring.json`; None if there is no such file that makes sense."""
    try:
        with open(path, encoding="utf-8") as file:
            return str(json.load(file).get("backend", SYSTEM))
    except (OSError, ValueError, AttributeError):
        return None


class _Pair(NamedTuple):
    key_id: str
    secret: str


_PAIR = Form(
    _Pair,
    newer=("this keyring entry was written by a newer rotate-my-key", "use that version"),
    wrong=("the keyring entry cannot be read: another program wrote it", Hint("keyring", "restore")),
)


def encode(key_id: str, secret: str) -> str:
    """A pair as an entry's text. Raises Problem for one that has no room on every system."""
    text = _PAIR.encode(_Pair(key_id, secret)).decode()
    if len(text) > LONGEST:
        raise Problem("this key is too long for a keyring entry", Hint("status"))
    return text


def decode(text: str) -> tuple[str, str]:
    """The pair's id and secret. Raises Problem for text that is not ours, or a newer version's."""
    return _PAIR.decode(text)


class KeyringEntries:
    """The keyring. `backend` names the backend, and is asked when it is first needed. Every verb may raise TryLater: it
    is locked, or there is none (at the moment). `env` tells the session bus and whether there is a display; `tell`
    reaches a person at a terminal, if there is one; `around` each call keeps backends from asking on it."""

    def __init__(
        self,
        backend: Callable[[], str],
        env: Mapping[str, str],
        tell: Callable[[str], None] | None = None,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
        limit: float = 0,
        platform: str = sys.platform,
    ) -> None:
        seen = platform in _UNLOCK or any(env.get(display) for display in _DISPLAYS)
        self._limit = limit or (_TOLD if tell and seen else _WINDOW if seen else _UNATTENDED)
        self._seen = seen
        self._name = backend
        self._env, self._tell, self._around, self._platform = env, tell, around, platform
        self._made: Any = None
        self._turn = Lock()
        self._silent: TryLater | None = None

    def get(self, name: Name) -> str | None:
        """The text; None if there is no such entry."""
        text: str | None = self._call("get_password", name)
        return text

    def set(self, name: Name, text: str) -> None:
        """Store the text durably, over what was there. Not every keyring does that at once: some remove it first."""
        self._call("set_password", name, text)

    def delete(self, name: Name) -> None:
        """Remove the entry; one that is not there is removed already."""
        for _ in range(_COPIES):
            self._call("delete_password", name)
            if self.get(name) is None:
                return
        raise TryLater("the keyring did not remove an entry", Hint("status"))

    def check(self) -> None:
        """Raises Problem for what is no safe place for a secret by its kind."""
        found = self._bounded(self._backend)
        for kind in type(found).__mro__:
            what = f"{kind.__module__}.{kind.__name__}"
            if kind.__module__ in ("keyring.backends.null", "keyring.backends.fail"):
                raise Problem(f"{self._name()}: {what} is not a keyring: it stores nothing", _USE_ANOTHER)
            if kind.__module__ == "keyring.backends.chainer":
                raise Problem(f"{self._name()}: {what} may look for an entry where it was not stored", _USE_ANOTHER)
            if "plaintext" in kind.__name__.lower():
                raise Problem(f"{self._name()}: {what} stores secrets in plain text", _USE_ANOTHER)

    def _call(self, verb: str, name: Name, *text: str) -> Any:
        from keyring.errors import PasswordDeleteError

        def call() -> Any:
            try:
                return getattr(self._backend(), verb)(name.service, name.user, *text)
            except PasswordDeleteError:  # of an entry that is not there, and of one that stays: the next look tells
                return None

        return self._bounded(call)

    def _bounded(self, call: Callable[[], Any]) -> Any:
        """Make the call, one at a time; a keyring that gave no answer once is not waited for again in this run."""
        with self._turn, self._around():
            if self._silent:
                raise self._silent
            began = time.monotonic()
            try:
                running = Running(call)
                if not self._wait(running):
                    raise TryLater(f"the keyring did not answer within {self._limit:.0f} seconds", Hint("status"))
                return running.result()
            except TryLater as problem:
                if time.monotonic() - began > self._limit / 2:
                    self._silent = problem
                raise
            except Problem:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a backend of others raises
                raise self._problem(error) from None

    def _wait(self, running: Running[Any]) -> bool:
        left = self._limit
        if self._tell and left > _QUIET:
            if running.wait(_QUIET):
                return True
            self._tell("waiting for the keyring: look for a window that asks you something")
            left -= _QUIET
        return running.wait(left)

    def _backend(self) -> Any:
        if self._made is None:
            name = self._name()
            if make := named(name):
                self._made = make()
            elif self._platform == "darwin":
                self._made = _keychain()
            elif self._platform == "win32":
                self._made = _credential_manager()
            else:
                # The person's time is over before the call's, so that a keyring that stays locked is called locked.
                self._made = _secret_service(self._env, self._limit * 0.96 if self._seen else 0)
        return self._made

    def _problem(self, error: Exception) -> Problem:
        kind = type(error).__name__
        if kind in ("KeyringLocked", "LockedException", "PromptDismissedException"):
            unlock = "unlock it (log in at the desktop, or open its program), then try again"
            return TryLater("the keyring is locked", _UNLOCK.get(self._platform, unlock))
        if kind == "NoKeyringError":
            return Problem("no keyring was found on this computer", _USE_ANOTHER)
        if kind in ("ConnectionResetError", "BrokenPipeError", "EOFError") and self._name() == SYSTEM:
            return _absent("the session bus went away")
        if number := getattr(error, "winerror", 0):
            # 1312, ERROR_NO_SUCH_LOGON_SESSION: network logons (SSH with a key, WinRM) have no Credential Manager
            return TryLater(f"the Credential Manager refused (Windows error {number})", _UNLOCK["win32"])
        if kind == "DBusErrorResponse":  # what the keyring's own program says
            said = [getattr(error, "name", "").rsplit(".", 1)[-1], *(str(word) for word in getattr(error, "data", ()))]
            return TryLater(f"the keyring refused: {' '.join(': '.join(said).split())}", Hint("status"))
        return TryLater(f"the keyring refused ({kind})", _UNLOCK.get(self._platform, Hint("status")))


def pair_in(entries: KeyringEntries, profile: str) -> tuple[str, str] | None:
    """The pair of a profile, as `credentials` gives it: a second look only where an entry is just being replaced."""
    text = entries.get(of_profile(profile)) or entries.get(spare_of(profile))
    return decode(text) if text is not None else None


# The system's own, each as keyring has it, but that the environment sets nothing of it (KEYRING_PROPERTY_* can send a
# secret into a collection that is gone after logout).


def _without_environment(backend: object) -> None:
    """In the stead of keyring's `set_properties_from_env`."""


def _secret_service(env: Mapping[str, str], person: float) -> Any:
    """The default collection of the Secret Service. keyring's own way to it makes one where there is none, and asks a
    person to unlock it without an end, seen or not: hence the look into the library beneath."""
    import secretstorage
    from keyring.backends.SecretService import Keyring
    from secretstorage.util import add_match_rules

    class SecretService(Keyring):
        appid = "rotate-my-key"  # one of an entry's attributes: with another, replacing makes a second entry
        set_properties_from_env = _without_environment

        def get_preferred_collection(self) -> Collection:
            bus = _session_bus(env)
            try:
                add_match_rules(bus)
                collection = secretstorage.Collection(bus, "/org/freedesktop/secrets/aliases/default")
                if collection.is_locked():
                    _unlock(collection, person)
                return collection
            except BaseException as error:
                bus.close()
                if isinstance(error, secretstorage.ItemNotFoundException):
                    raise _absent("it has no default collection") from None
                if isinstance(error, secretstorage.SecretServiceNotAvailableException):
                    raise _absent("nothing on the session bus offers one") from None
                raise

    return SecretService()  # type: ignore[no-untyped-call]


def _unlock(collection: Collection, person: float) -> None:
    """Ask a person, where there may be one; a keyring that only they can open is a locked one."""
    from keyring.errors import KeyringLocked

    try:
        if person:
            collection.unlock(person)
    except TimeoutError:
        raise KeyringLocked from None
    if collection.is_locked():
        raise KeyringLocked


def _session_bus(env: Mapping[str, str]) -> DBusConnection:
    """Found as libdbus does: cron and `ssh` do not name it, systemd has it in a fixed place."""
    from jeepney.io.blocking import open_dbus_connection

    address = env.get("DBUS_SESSION_BUS_ADDRESS", "")
    if not address or address == "autolaunch:":
        path = os.path.join(env.get("XDG_RUNTIME_DIR") or _runtime_dir(), "bus")
        if not os.path.exists(path):
            raise _absent("there is no session bus, as in cron, over SSH or on a server")
        address = f"unix:path={path}"
    try:
        return open_dbus_connection(address)
    except Exception:  # noqa: BLE001 - an address may be wrong in many ways
        raise _absent("the session bus cannot be reached") from None


def _runtime_dir() -> str:
    from ..files.platform import my_uid  # seldom needed, and `credentials` has to be fast

    return f"/run/user/{my_uid()}"


def _keychain() -> Any:
    from keyring.backends.macOS import Keyring

    class Keychain(Keyring):
        keychain = None  # KEYCHAIN_PATH, which keyring warns that it ignores
        set_properties_from_env = _without_environment

    return Keychain()  # type: ignore[no-untyped-call]


def _credential_manager() -> Any:
    """A credential a name, which the target alone tells apart. Replacing one, keyring moves what was there aside, to
    `user@target`: no old secret is to stay in that. Entries do not roam with a domain profile."""
    from keyring.backends.Windows import WinVaultKeyring
    from keyring.errors import PasswordDeleteError

    class Local(WinVaultKeyring):
        set_properties_from_env = _without_environment

    backend: Any = Local()  # type: ignore[no-untyped-call]
    backend.persist = "local machine"

    class CredentialManager:
        def get_password(self, service: str, username: str) -> Any:
            return backend.get_password(Name(service, username).label, username)

        def set_password(self, service: str, username: str, password: str) -> None:
            target = Name(service, username).label
            backend.set_password(target, username, password)
            with suppress(PasswordDeleteError):
                backend.delete_password(f"{username}@{target}", username)

        def delete_password(self, service: str, username: str) -> None:
            backend.delete_password(Name(service, username).label, username)

    return CredentialManager()


# Others


def named(name: str) -> Callable[[], Any] | None:
    """What makes the backend of that class, without what the environment would set; None for the system's own. Raises
    Problem if it is not installed."""
    if name in (SYSTEM, ENVIRONMENT):
        return None if name == SYSTEM else _chosen_by_keyring
    from importlib import import_module

    from keyring.backend import KeyringBackend

    module, _, kind = name.rpartition(".")
    try:
        found: Any = getattr(import_module(module), kind)
        if issubclass(found, KeyringBackend):
            return type(kind, (found,), {"set_properties_from_env": _without_environment, "__module__": module})
    except Exception:  # noqa: BLE001, S110 - a module of others: whatever it raises, it is no backend here
        pass
    allowed = f"{SYSTEM}, {ENVIRONMENT} or a backend that is installed: {', '.join(installed())}"
    raise Problem(f"there is no keyring backend {name} here; write {allowed}", _USE_ANOTHER)


def installed(platform: str = sys.platform) -> list[str]:
    """The backends that are installed beside the program, as keyring finds them, for a person to choose from."""
    from importlib.metadata import entry_points

    from keyring.backend import KeyringBackend

    others = {"SecretService": "linux", "libsecret": "linux", "KWallet": "linux", "macOS": "darwin", "Windows": "win32"}
    names: set[str] = set()
    for point in entry_points(group="keyring.backends"):
        if others.get(point.name, platform) != platform or point.name == "chainer":
            continue
        try:
            kinds = vars(point.load()).values()
        except Exception:  # noqa: BLE001, S112 - a backend that cannot be loaded is none
            continue
        names |= {
            f"{kind.__module__}.{kind.__name__}"
            for kind in kinds
            if isinstance(kind, type) and issubclass(kind, KeyringBackend) and kind.__module__ == point.value
            if not getattr(kind, "__abstractmethods__", None) and "plaintext" not in kind.__name__.lower()
        }
    return sorted(names)


def _chosen_by_keyring() -> Any:
    from keyring import get_keyring

    try:
        return get_keyring()
    except Exception as error:  # noqa: BLE001 - of PYTHON_KEYRING_BACKEND, keyringrc.cfg, or a backend
        kind = type(error).__name__
        raise Problem(
            f"the backend that PYTHON_KEYRING_BACKEND or keyringrc.cfg names cannot be used ({kind})", _USE_ANOTHER
        ) from None


def _absent(why: str) -> TryLater:
    return TryLater(f"there is no keyring here: {why}", "run it in a desktop session, where the keyring is unlocked")
