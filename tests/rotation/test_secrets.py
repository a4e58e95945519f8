"""No secret is shown or passed on, however a run goes: looked for at every call, in all that a run leaves and says."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.laptop import Laptop, sampled
from tests.standin import Call

PART = 8  # so many characters of a secret in a row are as good as the secret


def parts(laptop: Laptop) -> set[str]:
    """Every part of every secret that alice's keys ever had."""
    return {secret[i : i + PART] for secret in laptop.secrets() for i in range(len(secret) - PART + 1)}


def shown(laptop: Laptop, text: str) -> set[str]:
    """The parts of secrets in a text."""
    windows = {text[i : i + PART] for i in range(len(text) - PART + 1)}
    return parts(laptop) & windows


def fault(action: str, kind: str, when: str = "before", skip: int = 0) -> Callable[[Laptop], None]:
    """A bad answer."""
    return lambda laptop: laptop.aws.fault(action, kind, when, times=None, skip=skip)  # type: ignore[arg-type]


def at(action: str, nth: int, do: Callable[[Laptop], object]) -> Callable[[Laptop], None]:
    """What happens as that call arrives."""
    return lambda laptop: laptop.at(action, nth, lambda call: do(laptop))


USUAL = ("nothing fails", "the answer with the secret is cut", "deleting is denied", "interrupted twice")
FAILURES: dict[str, Callable[[Laptop], None]] = {
    "nothing fails": lambda laptop: None,
    "the answer with the secret is cut": fault("CreateAccessKey", "cut", "after"),
    "the answer with the secret is a web page": fault("CreateAccessKey", "html", "after"),
    "making is denied": lambda laptop: laptop.aws.deny("CreateAccessKey"),
    "deleting is denied": lambda laptop: laptop.aws.deny("DeleteAccessKey"),
    "proving fails": fault("GetCallerIdentity", "html", skip=1),
    "the file cannot be parsed any more": at(
        "GetCallerIdentity", 3, lambda laptop: laptop.file.write_text("[default\n")
    ),
    "killed while it proves": at("GetCallerIdentity", 3, Laptop.signal),
    "killed while it deletes": at("DeleteAccessKey", 1, Laptop.signal),
    "interrupted twice": at("UpdateAccessKey", 1, lambda laptop: [laptop.signal(2)] * 2),
}


@pytest.mark.parametrize("failure", sampled(FAILURES, *USUAL))
def test_where_secrets_are_while_it_runs_and_afterwards(laptop: Laptop, tmp_path: Path, failure: str) -> None:
    """In the profile file and in the staged records (0600, in a folder 0700); not in arguments, environment, output,
    notes, temporary files or anywhere else."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    seen: list[str] = []

    def look(call: Call) -> None:
        assert laptop.process is not None
        proc = Path(f"/proc/{laptop.process.pid}")
        for name in ("cmdline", "environ"):
            if shown(laptop, (proc / name).read_bytes().decode(errors="replace")):
                seen.append(f"{call.action}: in {name}")
        seen.extend(f"{call.action}: {where}" for where in misplaced(laptop, temporary))

    laptop.aws.on_call(look, "before")
    FAILURES[failure](laptop)
    laptop.time_flies()
    env = {"TMPDIR": str(temporary), "ROTATE_MY_KEY_PROPAGATION_TIMEOUT": "1s"}
    done = laptop.run("rotate", "--yes", "-vv", env=env)
    assert seen == []
    assert shown(laptop, done.text) == set()
    assert misplaced(laptop, temporary) == []
    if failure == "nothing fails":
        laptop.tidy()


def misplaced(laptop: Laptop, temporary: Path) -> list[str]:
    """Files with a secret where none belongs, or open to others."""
    found = []
    for path in [*laptop.home.rglob("*"), *temporary.rglob("*")]:
        try:
            data = path.read_bytes() if path.is_file() else b""
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            continue
        if not any(secret.encode() in data for secret in laptop.secrets()):
            continue
        if path == laptop.file or (path.parent == laptop.file.parent and path.name.endswith(".tmp")):
            fine = mode == 0o600
        else:
            fine = path.parent == laptop.rotations and path.suffix in (".staged", ".kept") and mode == 0o600
            fine = fine and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        if not fine:
            found.append(f"{path} ({mode:o})")
    return found


FAULTY = """\
import os
pwrite = os.pwrite
def faulty(fd, data, offset):
    if b'"secret"' in data:
        raise ZeroDivisionError(data)
    return pwrite(fd, data, offset)
os.pwrite = faulty
from rotate_my_key.cli.main import main
main()
"""


def test_a_fault_in_the_program_tells_no_values(laptop: Laptop, tmp_path: Path) -> None:
    """Never a traceback, whose lines may quote anything: the place of the fault and no more, also with -vv."""
    program = tmp_path / "faulty.py"
    program.write_text(FAULTY)
    usual = laptop.program
    laptop.program = (usual[0], str(program))
    done = laptop.run("rotate", "--yes", "-vv")
    assert done.code == 1 and "ZeroDivisionError" in done.err, done.text
    assert shown(laptop, done.text) == set()
    laptop.program = usual
    laptop.settled()


def test_aborted_with_secrets_in_memory(laptop: Laptop) -> None:
    """Whatever Python prints of its stack holds none."""
    laptop.at("UpdateAccessKey", 1, lambda call: laptop.signal(6))
    done = laptop.run("rotate", "--yes", "-vv", env={"PYTHONFAULTHANDLER": "1"})
    assert done.code == -6
    assert shown(laptop, done.text) == set()
    laptop.works()
    laptop.settled()
