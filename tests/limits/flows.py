"""What people and schedulers start: each flow on a laptop of its own, ready to be run, and what must never be lost."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyrage

from tests.killing import second_name
from tests.laptop import AGE, COMMENTED, Laptop, new_laptop
from tests.schedule.conftest import CRONTAB, Box
from tests.standin import StandIn

RC = b"export EDITOR=vi\nalias ll='ls -l'\n"
LINES = b"MAILTO=me\n5 4 * * * backup\n"
OTHER = COMMENTED[COMMENTED.index("[other]") : COMMENTED.index("[work]")]
COPY = "[default]\naccess_key = {id}\nsecret_key = {secret}\n"
SENTENCES = re.compile(r"error: \S.*\nhint: \S|^(Interrupted|Cancelled)\. ?.*$", re.MULTILINE)
CODES = (0, 1, 4, 5, 75, 130)


@dataclass
class Run:
    """One laptop on which a flow is to be run, or has been. `words` are what is typed."""

    laptop: Laptop
    words: tuple[str, ...]
    box: Box

    def heal(self) -> None:
        """The next runs: the same command again, and a plain one. Nothing is lost, and nothing half done."""
        laptop = self.laptop
        laptop.calm(20)
        laptop.age_temporaries()
        self.kept()
        again = laptop.run(*self.words)
        assert again.code == 0 or (again.code in CODES and SENTENCES.search(again.err)), f"again: {again.text}"
        plain = laptop.run()
        assert plain.code == 0, f"next run: {plain.text}\nbefore it: {again.code} {again.text}"
        self.kept()
        assert b"[default]\naws_access" in laptop.file.read_bytes(), "the key was not adopted"
        assert not [name for name in laptop.files() if name.endswith(".tmp")], laptop.files().keys()
        status = laptop.run("status", "--json", "--cached")
        assert '"unfinished": true' not in status.out, status.out

    def kept(self) -> None:
        """The profiles work; crontab, start-up file and settings hold the person's lines."""
        data = self.laptop.file.read_bytes()
        if held := [name for name in ("default", "work") if f"[{name}]\naws_access".encode() in data]:
            self.laptop.works(*held)
        assert (self.box.crontab or b"").startswith(LINES), f"the crontab is {self.box.crontab!r}"
        assert (self.laptop.home / ".bashrc").read_bytes().startswith(RC), "the start-up file is lost"
        settings = (self.laptop.home / ".config/rotate-my-key/config.ini").read_bytes()
        assert settings.startswith(b"# mine\n"), f"the settings are {settings!r}"


Prepare = Callable[[Laptop], tuple[str, ...]]


def _typed(*words: str) -> Prepare:
    return lambda laptop: words


def _after(first: str, then: str) -> Prepare:
    """The second command, when the first has been run."""

    def prepare(laptop: Laptop) -> tuple[str, ...]:
        done = laptop.run(*first.split())
        assert done.code == 0, done.text
        return tuple(then.split())

    return prepare


def _in_place(laptop: Laptop) -> tuple[str, ...]:
    second_name(laptop.file)
    return ("--yes",)


def _with_copies(laptop: Laptop) -> tuple[str, ...]:
    copy = laptop.home / ".s3cfg"
    copy.write_text(COPY.format(id=laptop.old.key_id, secret=laptop.old.secret))
    return ("rotate", "--yes", "--update-copies")


def _scan(laptop: Laptop) -> tuple[str, ...]:
    _with_copies(laptop)
    done = laptop.run("rotate", "--yes", "--keep-old", "7d")
    assert done.code == 0, done.text
    return ("scan", "--update", "--yes")


def _resume(laptop: Laptop) -> tuple[str, ...]:
    laptop.at("CreateAccessKey", 1, lambda call: laptop.signal(), "after")
    assert laptop.run("--yes").code == -9
    laptop.calm(20)
    return ("--yes",)


def _adopt(laptop: Laptop) -> tuple[str, ...]:
    new = laptop.aws.add_key("alice")
    keys = laptop.home / "accessKeys.csv"
    keys.write_text(f"Access key ID,Secret access key\n{new.key_id},{new.secret}\n")
    laptop.aws.delete_key(laptop.old.key_id)
    laptop.file.write_text("# no key yet\n[default]\n")
    return ("adopt", str(keys), "--yes")


def _identity(laptop: Laptop) -> str:
    identity = pyrage.x25519.Identity.generate()
    (laptop.home / "key.txt").write_text(f"{identity}\n")
    return str(identity.to_public())


def _export(laptop: Laptop) -> tuple[str, ...]:
    return ("export", "--recipient", _identity(laptop), "-o", str(laptop.home / "sealed"))


def _import(laptop: Laptop) -> tuple[str, ...]:
    done = laptop.run(*_export(laptop))
    assert done.code == 0, done.text
    return ("import", str(laptop.home / "sealed"), "--identity", str(laptop.home / "key.txt"))


def _all(laptop: Laptop) -> tuple[str, ...]:
    laptop.aws.add_user("bob")
    pair = laptop.aws.add_key("bob", age=AGE)
    with laptop.file.open("a") as file:
        file.write(f"\n[bob]\naws_access_key_id = {pair.key_id}\naws_secret_access_key = {pair.secret}\n")
    return ("rotate", "--all", "--yes")


def _delete_key(laptop: Laptop) -> tuple[str, ...]:
    second = laptop.aws.add_key("alice", status="Inactive")
    return ("delete-key", second.key_id, "--yes")


def _hook(laptop: Laptop) -> tuple[str, ...]:
    program = laptop.home / "bin" / "told"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho told >>'{laptop.home}/told'\n")
    program.chmod(0o700)
    with (laptop.home / ".config/rotate-my-key/config.ini").open("a") as settings:
        settings.write(f"[after_rotate]\n[[told]]\ncommand = {program}\n")
    return ("--yes",)


FLOWS: dict[str, Prepare] = {
    "rotate": _typed("--yes"),
    "rotate, in place": _in_place,
    "rotate, with copies": _with_copies,
    "rotate, old key kept": _typed("rotate", "--yes", "--keep-old", "7d"),
    "rotate all": _all,
    "rotate, with a command": _hook,
    "resume": _resume,
    "undo": _after("rotate --yes --keep-old 7d", "undo --yes"),
    "scan --update": _scan,
    "adopt": _adopt,
    "export": _export,
    "import": _import,
    "delete-key": _delete_key,
    "status": _typed("status"),
    "config set": _typed("config", "set", "max_age", "80d"),
    "reminder install": _typed("reminder", "install", "--shell", "bash"),
    "reminder uninstall": _after("reminder install --shell bash", "reminder uninstall"),
    "reminder snooze": _after("reminder install --shell bash", "reminder snooze 1d"),
    "schedule install": _typed("schedule", "install", "--yes"),
    "schedule uninstall": _after("schedule install --yes", "schedule uninstall"),
}


def new_run(folder: Path, aws: StandIn, flow: str) -> Run:
    """A laptop with a crontab, a start-up file and settings, on which that flow can be run."""
    laptop = new_laptop(folder / "home", aws, text=COMMENTED.replace(OTHER, ""))
    box = Box(folder / "tools")
    box.folder.mkdir()
    box.add("rotate-my-key", "#!/bin/sh\nexit 0\n")
    box.add("crontab", CRONTAB)
    for tool in ("sh", "cat", "rm", "mv", "tail"):
        (box.folder / tool).symlink_to(shutil.which(tool) or tool)
    laptop.env["PATH"] = str(box.folder)
    box.crontab = LINES
    (laptop.home / ".bashrc").write_bytes(RC)
    settings = laptop.home / ".config" / "rotate-my-key" / "config.ini"
    settings.parent.mkdir(parents=True, mode=0o700)
    settings.write_text("# mine\nproof_interval = 0\n")
    settings.chmod(0o600)
    return Run(laptop, FLOWS[flow](laptop), box)
