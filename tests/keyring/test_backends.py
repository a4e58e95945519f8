"""Which keyring is used, and that it keeps its promises: any backend of `keyring`, named by the setting."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rotate_my_key.cli.credentials import unasked
from rotate_my_key.core.errors import Problem, TryLater
from rotate_my_key.core.model import Credentials
from rotate_my_key.core.policy import LIVE, LIVE_SOON
from rotate_my_key.keyring.entries import SERVICE, SYSTEM, KeyringEntries, Name, decode, installed, pair_in
from rotate_my_key.keyring.store import Index, KeyringStore
from tests.keyring import kept
from tests.keyring.conftest import ROTATE, Keyring, KeyringLaptop, new_server
from tests.keyring.test_real_keyring import PLAIN, RESTORE, STORE
from tests.standin import StandIn

CREDENTIALS = ("credentials", "--profile", "work")
WORK = Name(SERVICE, "work")


def ours(kind: str) -> str:
    """One of the tests' backends, as the setting names it."""
    return f"tests.keyring.kept.{kind}"


@pytest.fixture
def server(tmp_path: Path, running: StandIn, monkeypatch: pytest.MonkeyPatch) -> KeyringLaptop:
    """A machine without a desktop, whose settings name a keyring in a sealed file."""
    made = new_server(tmp_path, running, text=PLAIN)
    monkeypatch.setenv("KEPT_IN", str(made.kept))
    return made


def choose(laptop: KeyringLaptop, backend: str) -> None:
    """Set `keyring_backend` in the user's own file."""
    done = laptop.run("config", "set", "keyring_backend", backend)
    assert done.code == 0, done.text


def stored(kind: str, *names: Name) -> dict[Name, str | None]:
    """What a backend of the tests keeps under these names."""
    entries = KeyringEntries(lambda: ours(kind), {})
    return {name: entries.get(name) for name in names}


def test_a_keyring_without_a_desktop(server: KeyringLaptop) -> None:
    """Store, use, rotate, restore: the whole way, with a backend that the setting names and no session bus."""
    assert server.run(*STORE).code == 0
    assert server.sdk_pair() == server.old
    server.no_secret_on_disk()
    done = server.rotated()
    assert done.code == 0, done.text
    assert server.sdk_pair() != server.old
    server.no_secret_on_disk()
    assert list(kept.Sealed().load()) == [f"{SERVICE}\nwork"]
    assert server.run(*RESTORE).code == 0
    server.unchanged_but_for_the_pair_of("work")
    assert kept.Sealed().load() == {}
    assert not server.index.exists()


@pytest.mark.slow
def test_changing_the_setting_loses_no_key(server: KeyringLaptop) -> None:
    """The keyring that holds a key is the one that is asked for it, whatever the settings and the environment say."""
    assert server.run(*STORE).code == 0
    choose(server, SYSTEM)
    assert server.sdk_pair() == server.old
    done = server.run(*ROTATE, env={"ROTATE_MY_KEY_KEYRING_BACKEND": ours("Silent")})
    assert done.code == 0, done.text
    assert server.sdk_pair() != server.old
    assert server.run(*RESTORE).code == 0
    server.time_passes(LIVE)  # programs have asked again
    assert server.run("rotate", "-p", "work", "--yes").code == 0
    assert kept.Sealed().load() == {}


@pytest.mark.slow
def test_all_keys_are_in_one_keyring(tmp_path: Path, server: KeyringLaptop) -> None:
    """A second profile is not stored in another one; the hint's command ends that."""
    with server.file.open("a") as file:
        file.write(f"[more]\naws_access_key_id = {server.old.key_id}\naws_secret_access_key = {server.old.secret}\n")
    assert server.run(*STORE).code == 0
    choose(server, ours("Encoded"))
    done = server.run("keyring", "store", "-p", "more", "-y")
    assert (done.code, "keyring restore -p work" in done.err) == (1, True), done.text
    assert f"keyring {ours('Sealed')}" in done.err


@pytest.mark.slow
def test_a_kept_pair_is_found_after_the_setting_changed(server: KeyringLaptop) -> None:
    """Also where the profile itself is in its file again: `undo` takes the old key from the keyring it was left in."""
    assert server.run(*STORE).code == 0
    assert server.run(*ROTATE, "--keep-old", "10m").code == 0
    assert server.run(*RESTORE).code == 0
    choose(server, SYSTEM)
    done = server.run("undo", "--yes")
    assert done.code == 0, done.text
    assert server.works("work") == server.old
    server.time_passes(LIVE_SOON)
    server.run("rotate", "-p", "work")
    assert kept.Sealed().load() == {}
    server.run("rotate", "--yes", "-p", "work")
    assert not server.index.exists()


BROKEN = [
    pytest.param("Bare", "encryption", id="plain text"),
    pytest.param("Encoded", "encryption", id="base64"),
    pytest.param("OneForAll", "give back what was stored, each entry", id="one entry a service"),
    pytest.param("Shortens", "byte for byte", id="not all of it"),
    pytest.param("Keeps", "remove an entry", id="no deleting"),
    pytest.param("Memory", "another program", id="memory"),
    pytest.param("Asks", "asks for a password on a terminal", id="asks"),
    pytest.param("Talks", "refused (OSError)", id="fails"),
]


@pytest.mark.parametrize(("kind", "sentence"), BROKEN)
def test_a_promise_that_is_not_kept(server: KeyringLaptop, tmp_path: Path, kind: str, sentence: str) -> None:
    """It is refused, and the promise is named; a keyring that keeps all of them is not."""
    assert decode(promised(tmp_path, "Sealed"))[0] == "REHEARSAL"
    with pytest.raises(Problem) as caught:
        promised(tmp_path, kind)
    assert sentence in caught.value.message
    assert "REHEARSAL" not in caught.value.message + caught.value.hint


def promised(tmp_path: Path, kind: str) -> str:
    """Try the promises of a backend; gives the text that another program got. Raises Problem."""
    texts: list[str] = []
    Path(os.environ["KEPT_IN"]).unlink(missing_ok=True)

    def elsewhere(profile: str) -> tuple[str, str]:
        name = "Sealed" if kind == "Memory" else kind
        text = stored(name, Name(SERVICE, profile))[Name(SERVICE, profile)]
        if text is None:
            return "", ""
        texts.append(text)
        return decode(text)

    KeyringStore(
        lambda: KeyringEntries(lambda: ours(kind), {}, around=unasked), Index(str(tmp_path / "keyring.json"))
    ).promises(elsewhere)
    return texts[0]


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        pytest.param("keyring.backends.null.Keyring", "it stores nothing", id="null"),
        pytest.param("keyring.backends.fail.Keyring", "it stores nothing", id="fail"),
        pytest.param("keyring.backends.chainer.ChainerBackend", "where it was not stored", id="chainer"),
        pytest.param("tests.keyring.kept.NoBackend", "there is no keyring backend", id="no backend"),
        pytest.param("nowhere.Keyring", "there is no keyring backend nowhere.Keyring here", id="not installed"),
        pytest.param("environment", "it stores nothing", id="the environment's choice"),
    ],
)
def test_no_keyring_at_all(monkeypatch: pytest.MonkeyPatch, backend: str, why: str) -> None:
    """Refused by name, and those that would do are named."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setattr("keyring.core._keyring_backend", None)
    with pytest.raises(Problem, match=why) as caught:
        KeyringEntries(lambda: backend, {}).check()
    assert caught.value.hint == "rotate-my-key config set keyring_backend system"
    if "no keyring backend" in why:
        assert "keyring.backends.SecretService.Keyring" in caught.value.message


def test_what_the_keyring_says_itself() -> None:
    """Its sentence is passed on, for it alone knows what it lacks."""
    with pytest.raises(TryLater, match="refused: InvalidArgs: createDLGroup failed: maybe libqca"):
        stored("Refuses", WORK)


def test_what_is_installed() -> None:
    """Those that would be refused are not offered, nor those of other systems."""
    found = installed()
    assert "keyring.backends.SecretService.Keyring" in found
    assert not [name for name in found if any(word in name for word in ("chainer", "macOS", "Windows", "null", "fail"))]


def test_a_refused_keyring_changes_nothing(server: KeyringLaptop) -> None:
    """`keyring store` says why in two lines, and both files are as before."""
    for backend, why in ((ours("Bare"), "nothing was changed"), ("nowhere.Keyring", "no keyring backend nowhere.")):
        done = server.run(*STORE, env={"ROTATE_MY_KEY_KEYRING_BACKEND": backend})
        assert (done.code, why in done.err) == (1, True), done.text
        assert done.err.splitlines()[-1].startswith("hint: ")
        assert (server.file.read_bytes(), server.config_file.read_bytes()) == (server.original, server.config)
        assert not server.index.exists()


@pytest.mark.parametrize("backend", ["kwallet", "a b.C", ".x", "x."])
def test_a_name_that_is_none(server: KeyringLaptop, backend: str) -> None:
    """It is told what is allowed, when it is set and wherever else it is written."""
    for args, env in ((("config", "set", "keyring_backend", backend), {}), (STORE, {"KEYRING_BACKEND": backend})):
        done = server.run(*args, env={f"ROTATE_MY_KEY_{name}": value for name, value in env.items()})
        assert (done.code, "write system, environment, or a backend" in done.err) == (2, True), done.text


@pytest.mark.parametrize("kind", ["Asks", "Reads"])
def test_a_password_that_nobody_types(server: KeyringLaptop, kind: str) -> None:
    """One clear line, at once, with a terminal at hand or without."""
    server.index.parent.mkdir(parents=True, exist_ok=True)
    server.index.write_text(f'{{"version": 2, "backend": "{ours(kind)}", "profiles": {{}}}}')
    leader, follower = pty.openpty()
    for stdin in (subprocess.PIPE, follower):
        done = subprocess.Popen(
            server.command(CREDENTIALS),
            env=server.environment(),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert done.wait(20) in (1, 75)
        assert done.stdout is not None
        assert done.stderr is not None
        assert (done.stdout.read(), done.stderr.read().count("\n")) == ("", 1)
        for stream in (done.stdin, done.stdout, done.stderr):
            if stream:
                stream.close()
    os.close(leader)
    os.close(follower)


@pytest.mark.slow
def test_the_program_ends_where_a_keyring_does_not(server: KeyringLaptop) -> None:
    """`credentials` and a rotation give up after half a minute, in one clear line, and the process is gone."""
    assert server.run(*STORE).code == 0
    server.index.write_text(server.index.read_text().replace("Sealed", "Silent"))
    for args in (CREDENTIALS, ROTATE):
        began = time.monotonic()
        done = server.run(*args)
        assert (done.code, "did not answer within 30 seconds" in done.err) == (75, True), done.text
        assert time.monotonic() - began < 60


def test_a_keyring_that_gives_no_answer(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up, and not waited for again; a person at a terminal is told what to look for."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", keyring.address)
    told: list[str] = []
    entries = KeyringEntries(lambda: SYSTEM, keyring.env, told.append, limit=4)
    entries.set(WORK, "text")
    assert told == []
    with keyring.frozen():
        with pytest.raises(TryLater, match="did not answer within 4 seconds"):
            entries.get(WORK)
        began = time.monotonic()
        for attempt in (lambda: entries.get(WORK), lambda: entries.delete(WORK)):
            with pytest.raises(TryLater, match="did not answer"):
                attempt()
        assert time.monotonic() - began < 3
    assert len(told) == 1
    assert KeyringEntries(lambda: SYSTEM, keyring.env).get(WORK) == "text"


def test_entries_of_the_first_versions(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was laid down by secretstorage alone is found, replaced in its place, and removed."""
    import secretstorage

    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", keyring.address)
    bus = secretstorage.dbus_init()
    collection = secretstorage.get_default_collection(bus)
    attributes = {"service": "rotate-my-key", "username": "work", "application": "rotate-my-key"}
    text = '{"version":1,"key_id":"AKIAOLD","secret":"old secret"}'
    collection.create_item("rotate-my-key: work", attributes, text.encode(), True)
    entries = KeyringEntries(lambda: SYSTEM, keyring.env)
    assert pair_in(entries, "work") == ("AKIAOLD", "old secret")
    KeyringStore(lambda: entries, Index(str(keyring.folder / "keyring.json"))).put(
        "work", "/c", Credentials("A", "new")
    )
    assert pair_in(entries, "work") == ("A", "new")
    assert [item.get_attributes()["username"] for item in collection.get_all_items()] == ["work"]
    entries.delete(WORK)
    assert list(collection.get_all_items()) == []
    bus.close()


def test_it_makes_no_keyring(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no default collection it says so; keyring's own way would ask somebody to make one."""
    import secretstorage

    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", keyring.address)
    bus = secretstorage.dbus_init()
    secretstorage.get_default_collection(bus).delete()
    with pytest.raises(TryLater, match="no default collection"):
        KeyringEntries(lambda: SYSTEM, keyring.env).get(WORK)
    bus.close()


def test_without_profiles_in_it_no_keyring_is_loaded(server: KeyringLaptop) -> None:
    """A plain rotation does not import keyring."""
    code = (
        "import os, sys\n"
        "from rotate_my_key.cli.main import run\n"
        "assert run(sys.argv[1:], os.environ) == 0\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *ROTATE]
    done = subprocess.run(command, env=server.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "rotate_my_key.keyring.store" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {"keyring", "secretstorage", "jeepney"}
