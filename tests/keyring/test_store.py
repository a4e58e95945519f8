"""Pairs in a keyring that replaces an entry by removing it first: killed at any instant, the profile keeps a pair."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rotate_my_key.errors import Problem, TryLater
from rotate_my_key.model import Credentials, Place, PlaceKind
from rotate_my_key.stores import entries
from rotate_my_key.stores.backends import system_entries
from rotate_my_key.stores.credential_locker import CredentialLocker
from rotate_my_key.stores.entries import Entries, Name
from rotate_my_key.stores.keychain import Keychain
from rotate_my_key.stores.keyring_index import Entry, Index, Move
from rotate_my_key.stores.keyring_store import KeyringStaging, KeyringStore
from rotate_my_key.stores.places import AllStaging
from rotate_my_key.stores.relocate import Gap, Line, Lines, Process
from rotate_my_key.stores.secret_service import SecretService
from rotate_my_key.stores.staging import FileStaging
from tests.keyring.conftest import Keyring

OLD, NEW = Credentials("AKIAOLD", "old secret"), Credentials("AKIANEW", "new secret")
NAME = "AKIAOLD00000"


class Killed(BaseException):
    """`kill -9`."""


class FakeEntries:
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
        """See the port."""
        self._step()
        return self.texts.get(name)

    def set(self, name: Name, text: str) -> None:
        """See the port."""
        self._step()
        self.texts.pop(name, None)
        self._step()
        self.texts[name] = text

    def delete(self, name: Name) -> None:
        """See the port."""
        self._step()
        self.texts.pop(name, None)


@pytest.fixture
def fake() -> FakeEntries:
    """A keyring."""
    return FakeEntries()


@pytest.fixture
def store(fake: FakeEntries, tmp_path: Path) -> KeyringStore:
    """The store over it."""
    return KeyringStore(fake, Index(str(tmp_path / "state" / "keyring.json")))


def test_killed_at_every_instant_of_a_replacement(tmp_path: Path) -> None:
    """`credentials` finds the old pair or the new one; the next run leaves one entry."""
    for step in range(100):
        fake = FakeEntries()
        store = KeyringStore(fake, Index(str(tmp_path / str(step) / "keyring.json")))
        store.put("work", "/c", OLD)
        fake.kill_at = fake.steps + step
        try:
            store.put("work", "/c", NEW)
        except Killed:
            fake.kill_at = -1
            again = KeyringStore(fake, Index(str(tmp_path / str(step) / "keyring.json")))
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
    for attempt in (lambda: store.pair("work"), lambda: store.put("work", "/c", NEW), lambda: store.rehearse("work")):
        with pytest.raises(TryLater):
            attempt()
    fake.locked = False
    assert store.pair("work") == OLD
    known = store.index.get("work")
    assert known is not None
    assert OLD.key_id in known.ids


def test_a_rehearsal_leaves_nothing(store: KeyringStore, fake: FakeEntries) -> None:
    """The keyring takes an entry without a secret, and lets go of it."""
    store.rehearse("work")
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
    entry = Entry("/f", ("A", "B"), True, Move.STORE, "line", lines, Process(Gap("\n", "[profile x]\n", "l\n"), True))
    index.put("x", entry)
    index.change("y", "/f", ids=("C",))
    assert Index(index.path).load() == {"x": entry, "y": Entry("/f", ("C",))}
    index.remove("x")
    index.remove("y")
    assert not (tmp_path / "keyring.json").exists()
    (tmp_path / "keyring.json").write_text('{"version": 2, "profiles": {}}')
    with pytest.raises(Problem, match="newer"):
        index.load()


# Staging


def test_staging_of_a_keyring_profile_stays_off_the_disk(fake: FakeEntries, tmp_path: Path) -> None:
    """Where the pairs of a rotation rest is settled by its places, and stays so; the note alone is in a file."""
    staging = AllStaging(FileStaging(str(tmp_path)), KeyringStaging(str(tmp_path), fake))
    staging.reserve(NAME, [Place("/c", "a"), Place("/f", "b", PlaceKind.KEYRING)])
    assert staging.get(NAME) == {}
    assert staging.get_record(NAME) is None
    staging.put(NAME, "kept", OLD, b"the note")
    staging.put(NAME, "staged", NEW, b"a later note")
    assert staging.get(NAME) == {"kept": OLD, "staged": NEW}
    assert staging.get_record(NAME) == b"the note"
    assert staging.names() == (NAME,)
    assert all(OLD.secret.encode() not in path.read_bytes() for path in tmp_path.iterdir())
    staging.drop(NAME)
    assert (fake.texts, list(tmp_path.iterdir()), staging.names()) == ({}, [], ())


def test_staging_of_a_file_profile_needs_no_keyring(fake: FakeEntries, tmp_path: Path) -> None:
    """A locked keyring is no matter of theirs."""
    fake.locked = True
    staging = AllStaging(FileStaging(str(tmp_path)), KeyringStaging(str(tmp_path), fake))
    staging.reserve(NAME, [Place("/c", "a")])
    staging.put(NAME, "staged", NEW, b"note")
    assert staging.get(NAME) == {"staged": NEW}
    staging.drop(NAME)
    assert staging.names() == ()


# The same cases against every keyring: the fake, the real Secret Service, and the others over what `keyring` offers.


class Locker:
    """Windows' credentials by their target, as `keyring`'s backend reads and writes one."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[str, str]] = {}

    def _read_credential(self, target: str) -> object:
        found = self.held.get(target)
        return type("Credential", (dict,), {"value": found[1]})({"UserName": found[0]}) if found else None

    def _set_password(self, target: str, user: str, text: str) -> None:
        self.held[target] = (user, text)

    def _delete_password(self, target: str) -> None:
        del self.held[target]


class Chain:
    """macOS's keychain, as `keyring`'s backend has it."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, user: str) -> str | None:
        """None if there is none."""
        return self.held.get((service, user))

    def set_password(self, service: str, user: str, text: str) -> None:
        """Replace."""
        self.held[service, user] = text

    def delete_password(self, service: str, user: str) -> None:
        """Raises for one that is not there."""
        from keyring.errors import PasswordDeleteError

        if self.held.pop((service, user), None) is None:
            raise PasswordDeleteError


@pytest.fixture(params=["fake", "Secret Service", "Credential Locker", "keychain"])
def keyring_entries(request: pytest.FixtureRequest) -> Entries:
    """Each of them."""
    makers: dict[str, Callable[[], Entries]] = {
        "fake": FakeEntries,
        "Secret Service": lambda: SecretService(request.getfixturevalue("keyring").env),
        "Credential Locker": lambda: CredentialLocker(Locker()),
        "keychain": lambda: Keychain(Chain()),
    }
    return makers[request.param]()


def test_contract(keyring_entries: Entries) -> None:
    """What is stored is read back, replaced, kept apart from what has one of its names, and removed for good."""
    first, second, third = Name("a", "b"), Name("a", "ü c"), Name("d", "b")
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


def test_a_locked_service(keyring: Keyring) -> None:
    """Every verb says that it is locked, at once."""
    made = SecretService(keyring.env)
    made.set(Name("a", "b"), "x")
    keyring.lock()
    for attempt in (lambda: made.get(Name("a", "b")), lambda: made.set(Name("a", "c"), "x")):
        with pytest.raises(TryLater, match="locked"):
            attempt()


@pytest.mark.parametrize(
    ("platform", "kind"), [("linux", SecretService), ("darwin", Keychain), ("win32", CredentialLocker)]
)
def test_the_platform_decides(platform: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """No search, and no word of the environment's or of keyringrc.cfg's."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    assert type(system_entries({"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}, platform)) is kind
