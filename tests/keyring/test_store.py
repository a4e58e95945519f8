"""Pairs in a keyring that replaces an entry by removing it first: killed at any instant, the profile keeps a pair."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rotate_my_key.core.errors import Problem, TryLater
from rotate_my_key.core.model import Credentials, Place, PlaceKind
from rotate_my_key.keyring import entries
from rotate_my_key.keyring.entries import SYSTEM, KeyringEntries, Name
from rotate_my_key.keyring.store import Entry, Index, KeyringStore, Line, Lines, LocalStaging, Move, Process
from tests.keyring.conftest import Keyring

OLD, NEW = Credentials("AKIAOLD", "old secret"), Credentials("AKIANEW", "new secret")
NAME = "AKIAOLD00000"


class Killed(BaseException):
    """`kill -9`."""


class FakeEntries(KeyringEntries):
    """A keyring in memory that removes an entry before it stores another, as macOS's does."""

    def __init__(self) -> None:
        self.texts: dict[Name, str] = {}
        self.steps = 0
        self.kill_at = -1
        self.locked = False

    def _step(self) -> None:
        if self.locked:
            raise TryLater("the keyring is locked", "")
        if self.steps == self.kill_at:
            raise Killed
        self.steps += 1

    def get(self, name: Name) -> str | None:
        """See KeyringEntries."""
        self._step()
        return self.texts.get(name)

    def set(self, name: Name, text: str) -> None:
        """See KeyringEntries."""
        self._step()
        self.texts.pop(name, None)
        self._step()
        self.texts[name] = text

    def delete(self, name: Name) -> None:
        """See KeyringEntries."""
        self._step()
        self.texts.pop(name, None)

    def check(self) -> None:
        """See KeyringEntries."""


@pytest.fixture
def fake() -> FakeEntries:
    """A keyring."""
    return FakeEntries()


def store_over(entries: FakeEntries, folder: Path) -> KeyringStore:
    """The store over these entries."""
    return KeyringStore(lambda: entries, Index(str(folder / "keyring.json")))


@pytest.fixture
def store(fake: FakeEntries, tmp_path: Path) -> KeyringStore:
    """The store over it."""
    return store_over(fake, tmp_path / "state")


def test_killed_at_every_instant_of_a_replacement(tmp_path: Path) -> None:
    """`credentials` finds the old pair or the new one; the next run leaves one entry."""
    for step in range(100):
        fake = FakeEntries()
        store = store_over(fake, tmp_path / str(step))
        store.put("work", "/c", OLD)
        fake.kill_at = fake.steps + step
        try:
            store.put("work", "/c", NEW)
        except Killed:
            fake.kill_at = -1
            again = store_over(fake, tmp_path / str(step))
            assert again.pair("work") in (OLD, NEW), step
            again.mend()
            assert again.pair("work") in (OLD, NEW), step
            assert list(fake.texts) == [entries.of_profile("work")], step
        else:
            fake.kill_at = -1
            assert step > 5
            assert (store.pair("work"), list(fake.texts)) == (NEW, [entries.of_profile("work")])
            return
    raise AssertionError("it never ended")


def test_a_locked_keyring_changes_nothing(store: KeyringStore, fake: FakeEntries) -> None:
    """The pair stays; what may be there is known all the same."""
    store.put("work", "/c", OLD)
    fake.locked = True
    for attempt in (lambda: store.pair("work"), lambda: store.put("work", "/c", NEW), store.rehearse):
        with pytest.raises(TryLater):
            attempt()
    fake.locked = False
    assert store.pair("work") == OLD
    known = store.index.get("work")
    assert known is not None
    assert OLD.key_id in known.ids


def test_a_rehearsal_leaves_nothing(store: KeyringStore, fake: FakeEntries) -> None:
    """The keyring takes an entry without a secret, and lets go of it."""
    store.rehearse()
    assert fake.texts == {}


@pytest.mark.parametrize("text", ["", "x", "{}", "[]", '{"version":1,"key_id":1,"secret":2}', '{"version":99}', "null"])
def test_an_entry_that_makes_no_sense(fake: FakeEntries, text: str) -> None:
    """It is a problem, and its text is in no message."""
    fake.texts[entries.of_profile("work")] = text or " "
    with pytest.raises(Problem) as caught:
        entries.pair_in(fake, "work")
    assert "99" not in caught.value.message


def test_a_pair_has_room_on_windows() -> None:
    """An entry of the longest id and a secret of AWS's length fits; what does not is refused."""
    assert len(entries.encode("A" * 128, "s" * 40)) <= 1280
    with pytest.raises(Problem):
        entries.encode("A" * 20, "s" * 1300)


def test_the_index_is_read_back(tmp_path: Path) -> None:
    """All that is noted, to the last field; the file goes with the last profile, and a newer one is left alone."""
    index = Index(str(tmp_path / "keyring.json"))
    lines = Lines("/c", "credentials", (Line(1, "aws_access_key_id", "aws_access_key_id = ", "\r\n"),))
    entry = Entry("/f", ("A", "B"), True, Move.STORE, "line", lines, Process("\n", "[profile x]\n", "l\n", True))
    index.put("x", entry)
    index.change("y", "/f", ids=("C",))
    assert Index(index.path).load() == {"x": entry, "y": Entry("/f", ("C",))}
    index.remove("x")
    index.remove("y")
    assert not (tmp_path / "keyring.json").exists()
    (tmp_path / "keyring.json").write_text('{"version": 3, "profiles": {}}')
    with pytest.raises(Problem, match="newer"):
        index.load()


# Staging


def test_staging_of_a_keyring_profile_stays_off_the_disk(
    store: KeyringStore, fake: FakeEntries, tmp_path: Path
) -> None:
    """Where the pairs of a rotation rest is settled by its places, and stays so; the note alone is in a file."""
    staging = LocalStaging(str(tmp_path), store)
    staging.reserve(NAME, [Place("/c", "a"), Place("/f", "b", PlaceKind.KEYRING)])
    assert staging.get(NAME) == {}
    assert staging.get_record(NAME) is None
    staging.put(NAME, "kept", OLD, b"the note")
    staging.put(NAME, "staged", NEW, b"a later note")
    assert staging.get(NAME) == {"kept": OLD, "staged": NEW}
    assert staging.get_record(NAME) == b"a later note"
    assert staging.names() == (NAME,)
    assert all(OLD.secret.encode() not in path.read_bytes() for path in tmp_path.iterdir())
    staging.drop(NAME)
    assert (fake.texts, list(tmp_path.iterdir()), staging.names()) == ({}, [], ())


@pytest.mark.skipif(not find_spec("resource"), reason="no limits there")
def test_a_new_secret_goes_into_the_keyring_though_the_disk_is_full(
    store: KeyringStore, fake: FakeEntries, tmp_path: Path
) -> None:
    """With the earlier note, which is on the disk already; without any it is refused."""
    import resource

    staging = LocalStaging(str(tmp_path), store)
    staging.reserve(NAME, [Place("/f", "b", PlaceKind.KEYRING)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(Problem):
            staging.put(NAME, "kept", OLD, b"the note")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    staging.put(NAME, "kept", OLD, b"the note")
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        staging.put(NAME, "staged", NEW, b"a later note")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert staging.get(NAME) == {"kept": OLD, "staged": NEW}
    assert staging.get_record(NAME) == b"the note"


def test_staging_of_a_file_profile_needs_no_keyring(store: KeyringStore, fake: FakeEntries, tmp_path: Path) -> None:
    """A locked keyring is no matter of theirs."""
    fake.locked = True
    staging = LocalStaging(str(tmp_path), store)
    staging.reserve(NAME, [Place("/c", "a")])
    staging.put(NAME, "staged", NEW, b"note")
    assert staging.get(NAME) == {"staged": NEW}
    staging.drop(NAME)
    assert staging.names() == ()


# The same cases against every keyring: the fake, the real Secret Service, and keyring's backends for macOS and Windows
# over stand-ins of the systems' own functions beneath them.


class Windows:
    """Windows' credentials by their target, as the library beneath keyring's backend gives them."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}

    def modules(self) -> dict[str, ModuleType]:
        """What is imported there."""

        class Error(Exception):
            winerror, funcname = 1168, ""

        def missing(funcname: str) -> Error:
            error = Error()
            error.funcname = funcname
            return error

        def read(Type: int, TargetName: str) -> dict[str, Any]:  # noqa: N803
            if TargetName not in self.held:
                raise missing("CredRead")
            return dict(self.held[TargetName])

        def write(credential: dict[str, Any], flags: int) -> None:
            blob = credential["CredentialBlob"].encode("utf-16-le")
            self.held[credential["TargetName"]] = credential | {"CredentialBlob": blob}

        def delete(Type: int, TargetName: str) -> None:  # noqa: N803
            if self.held.pop(TargetName, None) is None:
                raise missing("CredDelete")

        constants = {"CRED_TYPE_GENERIC": 1, "CRED_PERSIST_LOCAL_MACHINE": 2, "CRED_PERSIST_ENTERPRISE": 3}
        functions = {"CredRead": read, "CredWrite": write, "CredDelete": delete}
        beneath = {
            "win32ctypes": {},
            "win32ctypes.pywin32": {},
            "win32ctypes.pywin32.pywintypes": {"error": Error},
            "win32ctypes.pywin32.win32cred": constants | functions,
        }
        return {name: module(name, **what) for name, what in beneath.items()}


class Mac:
    """Generic passwords of the login keychain, as the module beneath keyring's backend gives them."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}

    def modules(self) -> dict[str, ModuleType]:
        """What is imported there."""

        class Error(Exception):
            pass

        class NotFound(Error):
            pass

        class KeychainDenied(Error):
            pass

        def find(chain: None, service: str, user: str) -> str:
            if (service, user) not in self.held:
                raise NotFound
            return self.held[service, user]

        def store(chain: None, service: str, user: str, text: str) -> None:
            self.held[service, user] = text

        def delete(chain: None, service: str, user: str) -> None:
            find(chain, service, user)
            del self.held[service, user]

        api = {"Error": Error, "NotFound": NotFound, "KeychainDenied": KeychainDenied, "find_generic_password": find}
        name = "keyring.backends.macOS.api"
        return {name: module(name, **api, set_generic_password=store, delete_generic_password=delete)}


def module(name: str, **what: object) -> ModuleType:
    """A module of that name."""
    made = ModuleType(name)
    vars(made).update(what)
    return made


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Windows:
    """Windows' credentials beneath keyring's backend."""
    monkeypatch.delitem(sys.modules, "keyring.backends.Windows", raising=False)
    made = Windows()
    for name, beneath in made.modules().items():
        monkeypatch.setitem(sys.modules, name, beneath)
    return made


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> Mac:
    """The keychain beneath keyring's backend."""
    monkeypatch.delitem(sys.modules, "keyring.backends.macOS", raising=False)
    made = Mac()
    for name, beneath in made.modules().items():
        monkeypatch.setitem(sys.modules, name, beneath)
    return made


@pytest.fixture(params=["fake", "linux", "win32", "darwin"])
def keyring_entries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> KeyringEntries:
    """Each of them."""
    if request.param == "fake":
        return FakeEntries()
    used = request.getfixturevalue({"linux": "keyring", "win32": "windows", "darwin": "mac"}[request.param])
    env: dict[str, str] = getattr(used, "env", {})
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return KeyringEntries(lambda: SYSTEM, env, platform=request.param)


def test_contract(keyring_entries: KeyringEntries) -> None:
    """What is stored is read back, replaced, kept apart from what has one of its names, and removed for good."""
    first, second, third = Name("a", "b"), Name("a", "ü c"), Name("d", "b")
    keyring_entries.check()
    assert keyring_entries.get(first) is None
    for name in (first, second, third):
        keyring_entries.set(name, f"text of {name}")
    keyring_entries.set(first, "another")
    assert keyring_entries.get(first) == "another"
    assert keyring_entries.get(second) == f"text of {second}"
    keyring_entries.delete(first)
    keyring_entries.delete(first)
    assert keyring_entries.get(first) is None
    assert keyring_entries.get(third) == f"text of {third}"


TEXT = '{"version":1,"key_id":"AKIAOLD","secret":"old secret"}'


def test_credentials_of_the_first_versions_on_windows(windows: Windows) -> None:
    """They are found by their target; replacing one leaves no second one with the old secret, nor does removing."""
    target, blob = "rotate-my-key: work", TEXT.encode("utf-16-le")
    windows.held[target] = {"TargetName": target, "UserName": "work", "CredentialBlob": blob}
    made = KeyringEntries(lambda: SYSTEM, {}, platform="win32")
    assert entries.pair_in(made, "work") == ("AKIAOLD", "old secret")
    made.set(entries.of_profile("work"), "new")
    assert [(name, each["Persist"]) for name, each in windows.held.items()] == [(target, 2)]
    assert made.get(entries.of_profile("work")) == "new"
    made.delete(entries.of_profile("work"))
    assert windows.held == {}


def test_passwords_of_the_first_versions_on_macos(mac: Mac) -> None:
    """They are found, replaced and removed under the same two names."""
    mac.held["rotate-my-key", "work"] = TEXT
    made = KeyringEntries(lambda: SYSTEM, {"KEYCHAIN_PATH": "/elsewhere"}, platform="darwin")
    assert entries.pair_in(made, "work") == ("AKIAOLD", "old secret")
    made.set(entries.of_profile("work"), "new")
    assert mac.held == {("rotate-my-key", "work"): "new"}
    made.delete(entries.of_profile("work"))
    assert mac.held == {}


def test_a_locked_service(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every verb says that it is locked, at once."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", keyring.address)
    made = KeyringEntries(lambda: SYSTEM, keyring.env)
    made.set(Name("a", "b"), "x")
    keyring.lock()
    name = Name("a", "b")
    for attempt in (lambda: made.get(name), lambda: made.set(Name("a", "c"), "x"), lambda: made.delete(name)):
        with pytest.raises(TryLater, match="locked"):
            attempt()
