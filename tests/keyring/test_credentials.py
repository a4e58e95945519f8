"""`credentials`, which SDKs run: its protocol, its refusals, and that it stays light."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rotate_my_key.core.policy import LIVE, LIVE_SOON
from tests.keyring.conftest import ALONE, KeyringLaptop, new_keyring_laptop, session
from tests.keyring.test_real_keyring import STORE
from tests.standin import StandIn

CREDENTIALS = ("credentials", "--profile", "work")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, running: StandIn) -> Iterator[KeyringLaptop]:
    """A laptop whose pair is in the keyring: one for all, as nothing here changes it."""
    folder = tmp_path_factory.mktemp("stored")
    with session(folder / "session") as keyring:
        laptop = new_keyring_laptop(folder, running, keyring, text=ALONE)
        assert laptop.run(*STORE).code == 0
        yield laptop


@pytest.mark.parametrize("args", [CREDENTIALS, ("-q", *CREDENTIALS), ("credentials", "--profile=work")])
def test_the_protocol(stored: KeyringLaptop, args: tuple[str, ...]) -> None:
    """One JSON object as ProcessProvider wants it, and not a word more. It expires within `LIVE`."""
    done = stored.run(*args)
    answer = json.loads(done.out)
    expires = datetime.fromisoformat(answer.pop("Expiration"))
    expected = {"Version": 1, "AccessKeyId": stored.old.key_id, "SecretAccessKey": stored.old.secret}
    assert (done.code, answer, done.err) == (0, expected, "")
    assert LIVE_SOON < expires - datetime.now(UTC) < LIVE


def test_never_on_a_terminal(stored: KeyringLaptop) -> None:
    """A secret is not shown."""
    leader, follower = pty.openpty()
    done = subprocess.run(
        stored.command(CREDENTIALS), env=stored.environment(), stdout=follower, stderr=subprocess.PIPE, text=True
    )
    os.close(follower)
    os.set_blocking(leader, False)
    with pytest.raises(OSError):
        assert not os.read(leader, 1000)
    os.close(leader)
    assert (done.returncode, "terminal" in done.stderr) == (4, True)


@pytest.mark.parametrize("args", [("credentials",), ("credentials", "--profile"), (*CREDENTIALS, "more")])
def test_usage(stored: KeyringLaptop, args: tuple[str, ...]) -> None:
    """Anything but a profile's name is a mistake, told in one line."""
    done = stored.run(*args)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


def test_no_such_entry(stored: KeyringLaptop) -> None:
    """A profile that has none: exit 1."""
    done = stored.run("credentials", "--profile", "nobody")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({"DBUS_SESSION_BUS_ADDRESS": "(unset)", "XDG_RUNTIME_DIR": "/nonexistent"}, id="cron"),
        pytest.param({"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent"}, id="a bus that is gone"),
        pytest.param({"DBUS_SESSION_BUS_ADDRESS": "nonsense"}, id="an address that is none"),
        pytest.param({"DBUS_SESSION_BUS_ADDRESS": "disabled:"}, id="disabled"),
    ],
)
def test_no_keyring_here(stored: KeyringLaptop, env: dict[str, str]) -> None:
    """Exit 75 and one clear line."""
    done = stored.run(*CREDENTIALS, env=env)
    assert (done.code, done.out, done.err.count("\n")) == (75, "", 1), done.err
    assert "keyring" in done.err


def test_a_bus_that_nobody_names(stored: KeyringLaptop) -> None:
    """Cron and ssh while one is logged in: the bus is where systemd puts it."""
    address = re.search(r"path=([^,]+)", stored.keyring.address)
    assert address is not None
    (stored.keyring.folder / "bus").symlink_to(address[1])
    assert stored.run(*CREDENTIALS, env={"DBUS_SESSION_BUS_ADDRESS": "(unset)"}).code == 0


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"},
        {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"},
        {"KEYRING_PROPERTY_PREFERRED_COLLECTION": "/org/freedesktop/secrets/collection/session"},
        {"KEYRING_PROPERTY_SCHEME": "KeePassXC"},
    ],
    ids=lambda env: "=".join(*env.items()),
)
def test_the_environment_chooses_no_keyring(stored: KeyringLaptop, env: dict[str, str]) -> None:
    """Nor does keyringrc.cfg: no plaintext file, no memory that is gone after logout."""
    folder = stored.home / ".config" / "python_keyring"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "keyringrc.cfg").write_text("[backend]\ndefault-keyring=keyring.backends.null.Keyring\n")
    assert stored.run(*CREDENTIALS, env=env).code == 0


def test_a_prompt_that_nobody_can_answer(stored: KeyringLaptop) -> None:
    """A display that is not there and a locked keyring: it ends, in less time than SDKs wait."""
    stored.keyring.lock()
    began = time.monotonic()
    done = stored.run(*CREDENTIALS, env={"DISPLAY": ":9999"})
    took = time.monotonic() - began
    stored.keyring.unlock()
    assert (done.code, "locked" in done.err, done.err.count("\n")) == (75, True, 1), done.err
    assert took < 55


def test_it_stays_light(stored: KeyringLaptop) -> None:
    """No click, boto3, model.py, settings or profile files: of ours what it takes to read an entry, of `keyring` the
    one backend that is named."""
    code = (
        "import sys; sys.argv = ['rotate-my-key', *sys.argv[1:]]\n"
        "from rotate_my_key.cli.main import run; import os\n"
        "assert run(sys.argv[1:], os.environ) == 0\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *CREDENTIALS]
    done = subprocess.run(command, env=stored.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.split())
    assert not loaded & {"click", "botocore", "boto3", "rotate_my_key.core.model", "rich"}
    assert {name for name in loaded if name.startswith("keyring.backends.")} == {
        f"keyring.backends.{name}" for name in ("SecretService", "fail")
    }
    ours = "cli cli.main cli.table cli.credentials core core.errors core.hints core.parallel core.policy"
    ours += " files files.paths keyring keyring.entries state state.records"
    assert {name for name in loaded if name.startswith("rotate_my_key.")} <= {
        f"rotate_my_key.{name}" for name in ours.split()
    }


@pytest.mark.skipif(not shutil.which("strace"), reason="NO STRACE HERE: that it starts no program is NOT tested")
def test_it_starts_no_program(stored: KeyringLaptop, tmp_path: Path) -> None:
    """One exec, no fork but a thread: the search for a keyring would start gcc and ld."""
    log = tmp_path / "log"
    before = ["strace", "-f", "-qq", "-e", "trace=execve,fork,vfork,clone,clone3", "-o", str(log)]
    assert stored.run(*CREDENTIALS, before=before).code == 0
    lines = log.read_text().splitlines()
    calls = [line for line in lines if "(" in line and "ENOENT" not in line and "CLONE_THREAD" not in line]
    assert len(calls) == 1, calls
