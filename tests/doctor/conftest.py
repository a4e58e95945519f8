"""A laptop with one healthy key, whose every part can be broken, and the doctor who looks at it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotate_my_key import __version__
from rotate_my_key.aws.client import Aws
from rotate_my_key.aws.connections import Limits
from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.model import Credentials
from rotate_my_key.doctor import Computer, Report, examine
from rotate_my_key.files.paths import Paths
from rotate_my_key.profiles.which import Active
from tests.standin import StandIn

ROOT = Path(__file__).parents[2]


@dataclass
class Laptop:
    """One person's computer. `env` is the environment of the shell, `old` the key in the file."""

    home: Path
    aws: StandIn
    old: Credentials
    env: dict[str, str]
    profile: str | None = None
    version: str = __version__
    room: int | None = 1 << 30
    wsl: bool = False
    endpoint: str | None = ""
    uid: int = field(default_factory=lambda: os.getuid())

    @property
    def credentials(self) -> Path:
        """The credentials file."""
        return self.home / ".aws/credentials"

    @property
    def config(self) -> Path:
        """The config file."""
        return self.home / ".aws/config"

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.home / ".local/state/rotate-my-key"

    @property
    def settings(self) -> Path:
        """The user's settings."""
        return self.home / ".config/rotate-my-key/config.ini"

    @property
    def site(self) -> Path:
        """The site's settings."""
        return self.home.parent / "etc/config.ini"

    def write(self, path: Path, text: str, mode: int = 0o600) -> None:
        """Make or replace a file; {id} and {secret} are the key's."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(text.replace("{id}", self.old.key_id).replace("{secret}", self.old.secret))
        path.chmod(mode)

    @property
    def paths(self) -> Paths:
        """Where this laptop has its files, as `paths.find` says for its environment."""
        home = self.env.get("HOME", "")
        home = home if os.path.isabs(home) else str(self.home)
        where = {"credentials": "AWS_SHARED_CREDENTIALS_FILE", "config": "AWS_CONFIG_FILE"}
        files = {name: self.env.get(variable, f"{home}/.aws/{name}") for name, variable in where.items()}
        files = {name: os.path.abspath(path.replace("~", home)) if path else "" for name, path in files.items()}
        return Paths(
            home=home,
            config_file=str(self.settings),
            site_file=str(self.site),
            state_dir=str(self.state),
            site_owner=self.uid,
            site_top=str(self.home.parent),
            **files,
        )

    def computer(self) -> Computer:
        """What the doctor looks at."""
        return Computer(
            self.env,
            self.paths,
            self.version,
            self.profile,
            free=lambda path: self.room,
            on_windows=lambda path: self.wsl,
        )

    def examine(self, *, online: bool = True) -> Report:
        """What the doctor says; without `online` AWS is not asked."""
        with pytest.MonkeyPatch.context() as process:  # botocore reads the process's environment
            for name, value in self.env.items():
                if name.upper().startswith(("AWS_", "HTTP", "REQUESTS_")):
                    process.setenv(name, value)
            return examine(self.computer(), self.account if online else None, datetime.now(UTC))

    def account(self, active: Active) -> IamAccount:
        """The way to the stand-in, or to wherever `endpoint` leads; None for what the environment says."""
        url = self.aws.url if self.endpoint == "" else self.endpoint or ""
        paths = self.paths
        aws = Aws(
            self.env,
            version=self.version,
            clock=lambda: datetime.now(UTC),
            sleep=lambda seconds: None,
            monotonic=iter(range(0, 10**6, 60)).__next__,  # patience ends soon
            limits=Limits(seconds=10**6),
            config_file=paths.config,
            credentials_file=paths.credentials,
            endpoint_url=url,
        )
        return IamAccount(aws, active.profile)

    def shell(self, command: str) -> None:
        """Type a command into the laptop's shell: what it does to files and variables stays."""
        done = subprocess.run(
            ["bash", "-c", f"{command}\nstatus=$?; env -0; exit $status"],
            env={**self.env, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
            cwd=self.home,
        )
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        pairs = (pair.split("=", 1) for pair in done.stdout.decode().split("\0") if "=" in pair)
        left = {name: value for name, value in pairs if name not in ("_", "PWD", "OLDPWD", "SHLVL", "PYTHONPATH")}
        self.env.clear()
        self.env.update(left)

    def seen(self) -> dict[str, tuple[int, ...]]:
        """Every file and folder: identity, mode, owner, size, times of change, and content by its hash."""
        found = {}
        for path in [self.home, *sorted(self.home.parent.rglob("*"))]:
            status = path.lstat()
            content = hash(path.read_bytes()) if stat.S_ISREG(status.st_mode) else 0
            times = (status.st_mtime_ns, status.st_ctime_ns)
            found[str(path)] = (status.st_ino, status.st_mode, status.st_uid, status.st_size, *times, content)
        return found


@pytest.fixture
def laptop(running: StandIn, tmp_path: Path, nobody: None, monkeypatch: pytest.MonkeyPatch) -> Laptop:
    """A healthy one: a fresh key of alice in one private file, and the program on PATH."""
    running.reset()
    running.add_user("alice")
    old = running.add_key("alice", timedelta(days=3))
    home = Path(os.path.realpath(tmp_path)) / "alice"
    (home / ".aws").mkdir(parents=True, mode=0o700)
    (home.parent / "etc").mkdir(mode=0o755)
    program = home / ".local/bin/rotate-my-key"
    env = {"HOME": str(home), "PATH": f"{program.parent}:/usr/bin:/bin"}
    made = Laptop(home, running, old, env)
    made.write(made.credentials, "# mine\n[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
    made.write(made.config, "[default]\nregion = eu-west-1\n", 0o644)
    made.write(program, f'#!/bin/sh\nexec {sys.executable} -m rotate_my_key "$@"\n', 0o755)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return made
