"""A laptop with a real keyring: gnome-keyring on a session bus of its own, AWS's stand-in, the real aws command."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import botocore.session
import pytest
import secretstorage
from jeepney.io.blocking import open_dbus_connection

from rotate_my_key.core.model import Credentials
from rotate_my_key.core.policy import LIVE
from tests.keyring import kept
from tests.laptop import COMMENTED, Finished, Laptop, new_laptop
from tests.standin import StandIn

DAEMON = shutil.which("gnome-keyring-daemon")
BUS = shutil.which("dbus-daemon")
AWS = str(Path(sys.executable).parent / "aws")
NO_KEYRING = "NO GNOME-KEYRING HERE: nothing of the real Secret Service is tested (apt-get install gnome-keyring dbus)"

ROTATE = ("rotate", "-p", "work", "--yes")
CONFIG = """\
# settings; a comment

[default]
region = eu-west-1

[profile work]
region = us-east-1
output=json"""


class Keyring:
    """A session bus with gnome-keyring on it, unlocked or not, which outlives the programs that use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bus: subprocess.Popen[str] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self.address = ""

    @property
    def env(self) -> dict[str, str]:
        """What a program in this session has in its environment."""
        return {"DBUS_SESSION_BUS_ADDRESS": self.address, "XDG_RUNTIME_DIR": str(self.folder)}

    def start(self, *, unlocked: bool = True) -> None:
        """Log in. A keyring is made at the first unlocking."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._bus is None:
            command = [str(BUS), "--session", "--nofork", "--nopidfile", "--print-address"]
            self._bus = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self._own_env()
            )
            assert self._bus.stdout is not None
            self.address = self._bus.stdout.readline().strip()
        command = [str(DAEMON), "--foreground", "--components=secrets", *(["--unlock"] if unlocked else [])]
        self._daemon = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._own_env()
        )
        assert self._daemon.stdin is not None
        self._daemon.stdin.write(b"pw" if unlocked else b"")
        self._daemon.stdin.close()
        self._await()

    def revive(self) -> bool:
        """Start gnome-keyring again if it has ended by itself: on a busy machine it crashes now and then, with a call
        in the middle. Gives whether it had."""
        crashed = self._daemon is not None and self._daemon.poll() is not None
        if crashed:
            self.start()
        return crashed

    def lock(self) -> None:
        """Log out and in again, without typing the password."""
        self._end_daemon()
        self.start(unlocked=False)

    def unlock(self) -> None:
        """Log out and in again, with the password."""
        self._end_daemon()
        self.start()

    def forget(self) -> None:
        """Let go of every entry."""
        with closing(open_dbus_connection(self.address)) as bus:
            for item in secretstorage.Collection(bus).get_all_items():
                item.delete()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The keyring gives no answer meanwhile, like one that waits for a click."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._daemon.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """The end of the session."""
        self._end_daemon()
        if self._bus:
            self._bus.kill()
            self._bus.wait()
            assert self._bus.stdout is not None
            self._bus.stdout.close()
            self._bus = None

    def _end_daemon(self) -> None:
        if self._daemon:
            self._daemon.send_signal(signal.SIGTERM)
            self._daemon.wait()
            self._daemon = None

    def _await(self) -> None:
        asked = ["--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.GetNameOwner"]
        for _ in range(200):
            done = subprocess.run(
                ["dbus-send", "--session", *asked, "string:org.freedesktop.secrets"],
                env={**os.environ, **self.env},
                capture_output=True,
            )
            if done.returncode == 0:
                return
            time.sleep(0.02)
        raise AssertionError("gnome-keyring does not start")

    def _own_env(self) -> dict[str, str]:
        base = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(self.folder)}
        return {**base, **({"DBUS_SESSION_BUS_ADDRESS": self.address} if self.address else {})}


class KeyringLaptop(Laptop):
    """A laptop in a desktop session. `keyring` is its keyring; `config` the bytes of the config file at first."""

    keyring: Keyring
    config: bytes

    def run(self, *args: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()) -> Finished:
        """As ever; once more if gnome-keyring has crashed meanwhile, for which the program says to try again."""
        done = super().run(*args, env=env, before=before)
        return super().run(*args, env=env, before=before) if done.code == 75 and self.keyring.revive() else done

    @property
    def config_file(self) -> Path:
        """The config file."""
        return self.home / ".aws" / "config"

    @property
    def index(self) -> Path:
        """The list of profiles with an entry."""
        return self.state / "keyring.json"

    def leftovers(self) -> list[str]:
        """Files that a finished run must not leave; here the config file is one of the profile files."""
        return [name for name in super().leftovers() if name != ".aws/config"]

    def aws_cli(self, *args: str) -> Finished:
        """The real aws command, in this session."""
        done = subprocess.run([AWS, *args], env=self.environment(), capture_output=True, text=True, timeout=60)
        return Finished(done.returncode, done.stdout, done.stderr)

    def signs_in(self, profile: str = "work") -> None:
        """The profile works, in `aws sts get-caller-identity`."""
        done = self.aws_cli("sts", "get-caller-identity", "--profile", profile, "--output", "json")
        assert done.code == 0, done.text
        assert json.loads(done.out)["Arn"].endswith(":user/alice")

    def sdk_pair(self, profile: str = "work") -> Credentials:
        """The pair that botocore gets for a profile in this session; it is Active at AWS, with its very secret."""
        with self.session():
            found = botocore.session.Session(profile=profile).get_credentials()
            assert found, f"{profile} has no key"
            pair = Credentials(*found.get_frozen_credentials()[:2])
        status = {key.key_id: key.status for key in self.aws.keys("alice")}
        assert status.get(pair.key_id) == "Active", f"{profile} uses {pair.key_id}, AWS has {status}"
        assert self.aws.pair(pair.key_id) == pair
        return pair

    @contextmanager
    def session(self) -> Iterator[None]:
        """What is looked up by a library in this process is looked up in this laptop's session."""
        before, mine = dict(os.environ), self.environment()
        os.environ.clear()
        os.environ.update(mine)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def entries(self) -> dict[str, str]:
        """Every entry of ours in the keyring, by the attributes that `secret-tool` finds it by, and its text."""
        with self.session(), closing(secretstorage.dbus_init()) as bus:
            items = secretstorage.Collection(bus).get_all_items()
            found = [(item.get_attributes(), item.get_secret().decode()) for item in items]
        assert all(each["application"] == "rotate-my-key" for each, _ in found)
        named = {f"{each['service']}: {each['username']}": text for each, text in found}
        assert len(named) == len(found)
        return named

    def rotated(self) -> Finished:
        """`rotate`, and once more when every program has asked for its key again; gives both."""
        first = self.run(*ROTATE)
        self.time_passes(LIVE)
        second = self.run(*ROTATE)
        return Finished(max(first.code, second.code), first.out + second.out, first.err + second.err)

    def time_passes(self, span: timedelta) -> None:
        """What was to be done later has come closer: each note is that much older, and 2 s: AWS has no fractions."""
        span += timedelta(seconds=2)
        for path in self.rotations.glob("*.note"):
            note = json.loads(path.read_text())
            for name in ("began", "switch_off_at", "delete_at"):
                note[name] = (datetime.fromisoformat(note[name]) - span).isoformat()
            path.write_text(json.dumps(note))

    def no_secret_on_disk(self) -> None:
        """No secret of alice's is in any file."""
        for name, data in self.files().items():
            found = [secret for secret in self.secrets() if secret.encode() in data]
            assert not found, f"a secret rests in {name}"

    def unchanged_but_for_the_pair_of(self, profile: str) -> None:
        """A byte diff of the files shows the two values and nothing else."""
        pair = self.pair(profile)
        back = self.file.read_bytes().replace(pair.key_id.encode(), self.old.key_id.encode())
        assert back.replace(pair.secret.encode(), self.old.secret.encode()) == self.original
        assert self.config_file.read_bytes() == self.config

    def as_it_was(self) -> None:
        """Both files are as they were at first, and nothing is left behind."""
        assert self.file.read_bytes() == self.original
        assert self.config_file.read_bytes() == self.config
        assert not self.index.exists()
        assert self.entries() == {}


class Server(KeyringLaptop):
    """A machine without a desktop and without a session bus; its settings name a keyring in a sealed file, `kept`."""

    @property
    def kept(self) -> Path:
        """The keyring."""
        return self.home / "kept"

    def entries(self) -> dict[str, str]:
        """As the file has them."""
        with self.session():
            return {name.replace("\n", ": "): text for name, text in kept.Sealed().load().items()}


def new_server(folder: Path, aws: StandIn, *, text: str, config: str = CONFIG) -> Server:
    """Such a machine, whose key is due."""
    made = new_keyring_laptop(folder, aws, Keyring(folder / "nothing"), text=text, config=config)
    server = Server(made.home, made.aws, made.old, made.original)
    server.config, server.keyring = made.config, made.keyring
    nowhere = {"DBUS_SESSION_BUS_ADDRESS": "(unset)", "XDG_RUNTIME_DIR": "/nonexistent"}
    server.env = {**nowhere, "KEPT_IN": str(server.kept), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = server.run("config", "set", "keyring_backend", "tests.keyring.kept.Sealed")
    assert done.code == 0, done.text
    return server


def new_keyring_laptop(
    folder: Path, aws: StandIn, keyring: Keyring, *, crlf: bool = False, text: str = COMMENTED, config: str = CONFIG
) -> KeyringLaptop:
    """A laptop whose key is due, in two profiles of the credentials file, and a keyring without entries."""
    plain = new_laptop(folder / "home", aws, crlf=crlf, text=text)
    laptop = KeyringLaptop(plain.home, plain.aws, plain.old, plain.original)
    laptop.keyring = keyring
    filled = config.replace("{id}", plain.old.key_id).replace("{secret}", plain.old.secret)
    laptop.config = (filled.replace("\n", "\r\n") if crlf else filled).encode()
    laptop.config_file.write_bytes(laptop.config)
    laptop.env = keyring.env
    return laptop


@contextmanager
def session(folder: Path) -> Iterator[Keyring]:
    """A session with an unlocked keyring."""
    if not DAEMON or not BUS:
        if os.environ.get("ROTATE_MY_KEY_NO_SKIP"):
            pytest.fail(NO_KEYRING)
        pytest.skip(NO_KEYRING)
    made = Keyring(folder)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def keyring(tmp_path: Path) -> Iterator[Keyring]:
    """A session with an unlocked keyring."""
    with session(tmp_path / "session") as made:
        yield made


# One profile for each kind of comment is enough here: the key is in one place, so that all of it can move.
ALONE = COMMENTED.replace(
    "[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n", "[default]\n; no key of its own\n"
)


@pytest.fixture
def laptop(tmp_path: Path, running: StandIn, keyring: Keyring) -> Iterator[KeyringLaptop]:
    """A laptop whose key is due and in one profile, `work`, of the credentials file."""
    made = new_keyring_laptop(tmp_path, running, keyring, text=ALONE)
    yield made
    running.all_well()
    if made.process is not None and made.process.poll() is None:
        os.killpg(made.process.pid, signal.SIGKILL)
        made.process.wait()
