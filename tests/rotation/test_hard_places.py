"""A computer that is full, read-only, without a home or a network, or on which the key is of no use.

Each has one clear line, a hint and the right exit code; the profile works as before, and the next run settles.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.laptop import Laptop, sampled

AS_ROOT = os.geteuid() == 0
NOBODY = 65534
not_as_root = pytest.mark.skipif(AS_ROOT, reason="NOT TESTED AS ROOT, whom permissions do not stop")


def said_clearly(text: str) -> None:
    """One problem, with a hint; no traceback, no fault of ours."""
    assert text.count("error:") == 1 and text.count("hint:") == 1, text
    assert "Traceback" not in text and "a fault in" not in text, text
    words = next(line for line in text.splitlines() if line.startswith("error:")).split()
    assert not words[-1].endswith(".") and (words[1].isupper() or not words[1][0].isupper()), words


def refused(laptop: Laptop, *args: str, code: int = 1, said: str = "", **how: object) -> str:
    """A run that ends with this code and says this; nothing has changed at AWS or in the file."""
    keys = laptop.aws.keys("alice")
    done = laptop.run(*args, **how)  # type: ignore[arg-type]
    assert done.code == code, done.text
    said_clearly(done.err)
    assert re.search(said, done.err, re.IGNORECASE), done.err
    assert laptop.aws.keys("alice") == keys
    assert laptop.file.read_bytes() == laptop.original
    return done.err


# Full disks


def can_mount() -> bool:
    """Whether a small file system can be mounted where nobody else sees it."""
    command = ["unshare", *NEW_SPACE, "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
    return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True).returncode == 0


NEW_SPACE = ("-m",) if AS_ROOT else ("-rm",)
needs_mount = pytest.mark.skipif(not can_mount(), reason="NO MOUNTING HERE: full disks are NOT tested")

# A small file system over a folder, with so many pages left; what it holds afterwards is copied out.
FULL = """
folder=$1 pages=$2; shift 2
mkdir -p "$folder.copy" && cp -a "$folder/." "$folder.copy"
mount -t tmpfs -o size=200k,mode=700 none "$folder" && cp -a "$folder.copy/." "$folder"
used=$(df --output=avail -k "$folder" | tail -1)
dd if=/dev/zero of="$folder/.ballast" bs=1k count=$((used - pages * 4)) status=none
"$@"; code=$?
rm "$folder/.ballast"; rm -rf "$folder.copy"; mkdir "$folder.copy"; cp -a "$folder/." "$folder.copy"
exit $code
"""


def on_a_full_disk(laptop: Laptop, folder: Path, pages: int, *args: str) -> tuple[int, str]:
    """Run with so many pages of 4 KiB left on the disk under that folder."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = ["unshare", *NEW_SPACE, "sh", "-c", FULL, "sh", str(folder), str(pages)]
    done = laptop.run(*args, before=before)
    copy = folder.with_name(folder.name + ".copy")
    shutil.rmtree(folder)
    copy.rename(folder)
    return done.code, done.err


PAGES = [f"{count} for the state" for count in (*range(9), 12)] + [f"{count} for the file" for count in range(3)]


@needs_mount
@pytest.mark.parametrize("pages", sampled(PAGES, *PAGES[0:7:3], "0 for the file"))
def test_the_disk_is_full(laptop: Laptop, pages: str) -> None:
    """That of the state, or of the file, which the rehearsal finds out: it is met before anything changes, or is enough
    for all that follows."""
    folder = laptop.file.parent if pages.endswith("file") else laptop.state
    code, err = on_a_full_disk(laptop, folder, int(pages.split()[0]))
    laptop.works()
    if code:
        assert code == 1 and "disk is full" in err, err
        said_clearly(err)
        assert laptop.file.read_bytes() == laptop.original
        assert not any(call.action == "CreateAccessKey" for call in laptop.aws.calls), err
    laptop.settled()


# Nothing may be written


@not_as_root
def test_a_read_only_folder(laptop: Laptop) -> None:
    """The file is written in place, and the person is told before."""
    laptop.file.parent.chmod(0o500)
    try:
        done = laptop.run()
        assert done.code == 0 and "in place" in done.err, done.text
        laptop.settled()
    finally:
        laptop.file.parent.chmod(0o700)


@not_as_root
def test_a_read_only_file_in_a_read_only_folder(laptop: Laptop) -> None:
    """Refused before anything is made."""
    laptop.file.chmod(0o400)
    laptop.file.parent.chmod(0o500)
    try:
        refused(laptop, said="permission denied")
    finally:
        laptop.file.parent.chmod(0o700)


@not_as_root
def test_the_folder_of_notes_cannot_be_read(laptop: Laptop) -> None:
    """What was begun cannot be known, so nothing is begun."""
    laptop.rotations.mkdir(parents=True)
    laptop.state.chmod(0o700)
    laptop.rotations.chmod(0)
    try:
        refused(laptop, said="cannot be read|permission denied")
    finally:
        laptop.rotations.chmod(0o700)
    laptop.settled()


@pytest.mark.parametrize("where", ["state", "rotations"])
def test_the_folder_of_notes_is_a_file(laptop: Laptop, where: str) -> None:
    """Something else is in the way."""
    path = laptop.state if where == "state" else laptop.rotations
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text("")
    refused(laptop)
    path.unlink()
    laptop.settled()


@pytest.mark.skipif(not AS_ROOT, reason="only root can give files away")
def test_the_state_of_another_user(laptop: Laptop) -> None:
    """sudo without -H: refused, naming both."""
    laptop.state.mkdir(parents=True, mode=0o700)
    os.chown(laptop.state, NOBODY, NOBODY)
    refused(laptop, said="another user")
    os.chown(laptop.state, 0, 0)
    laptop.settled()


# Homes, terminals, pipes


CLOSED = {
    "stdin": "exec 0<&-",
    "stdout": "exec 1>&-",
    "stderr": "exec 2>&-",
    "stdout and stderr": "exec 1>&- 2>&-",
    "all three": "exec 0<&- 1>&- 2>&-",
}


@pytest.mark.parametrize("closed", sampled(CLOSED, "stdin", "all three"))
def test_closed_from_the_start(laptop: Laptop, closed: str) -> None:
    """A scheduler may start it so: the rotation is done all the same, and no file gets what was to be said."""
    done = laptop.run(before=["sh", "-c", f'{CLOSED[closed]}; exec "$@"', "sh"])
    assert done.code == 0, done.text
    laptop.settled()


@pytest.mark.parametrize("where", ["1", "2"], ids=["stdout", "stderr"])
def test_nobody_reads_what_is_said(laptop: Laptop, where: str) -> None:
    """A pager that was quit, `| head -1`: the rotation is not left half because of it."""
    process = laptop.start("rotate", "--yes", "-v")
    (process.stdout if where == "1" else process.stderr).close()  # type: ignore[union-attr]
    process.wait(60)
    assert process.returncode in (0, 1)
    laptop.works()
    assert len(laptop.aws.keys("alice")) == 1 and laptop.leftovers() == []
    laptop.settled()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("where", ["1", "2"], ids=["stdout", "stderr"])
def test_what_is_said_goes_to_a_full_disk(laptop: Laptop, where: str) -> None:
    """The rotation is finished; the exit code may say that the words were lost."""
    done = laptop.run("rotate", "--yes", "-v", before=["sh", "-c", f'exec {where}>/dev/full; exec "$@"', "sh"])
    assert done.code in (0, 1) and "a fault in" not in done.text, done.text
    laptop.works()
    assert len(laptop.aws.keys("alice")) == 1 and laptop.leftovers() == []
    laptop.settled()


# The network and the clock


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_clock_that_aws_still_bears(laptop: Laptop, minutes: int) -> None:
    """Up to a quarter of an hour AWS takes the signature, and nothing else is led astray."""
    laptop.aws.settings.clock_offset = minutes * 60
    laptop.settled()


# Keys of no use


def give(laptop: Laptop, key_id: str, secret: str) -> None:
    """Put this pair into the file, from the start."""
    data = laptop.original.replace(laptop.old.key_id.encode(), key_id.encode())
    laptop.original = data.replace(laptop.old.secret.encode(), secret.encode())
    laptop.file.write_bytes(laptop.original)


def refusals(laptop: Laptop) -> int:
    """The calls that AWS refused."""
    return sum(call.outcome in ("InvalidClientTokenId", "SignatureDoesNotMatch") for call in laptop.aws.calls)


def test_a_dead_key(laptop: Laptop) -> None:
    """Exit 5 after six calls, with what helps."""
    laptop.aws.delete_key(laptop.old.key_id)
    refused(laptop, code=5, said="unknown, deleted or inactive(.|\n)*hint:.* --auth-profile NAME; else ask IT")
    assert refusals(laptop) == 6


def test_a_dead_profile_among_others(laptop: Laptop) -> None:
    """It costs a daily run six calls and no more, and another service's keys none; the others go on."""
    dead = "[dead]\naws_access_key_id = AKIADEADDEADDEADDEAD\naws_secret_access_key = dead\n"
    minio = "[minio]\naws_access_key_id = minioadmin\naws_secret_access_key = minioadmin\n"
    laptop.file.write_text(laptop.original.decode().replace("AKIAOTHERSOMEBODY000", "other") + "\n" + dead + minio)
    done = laptop.run("rotate", "--all", "--yes")
    assert done.code == 5 and "dead: AWS does not accept the key" in done.err, done.text
    assert laptop.works() != laptop.old and done.err.count("error:") == 1, done.text
    assert refusals(laptop) == 6
    assert laptop.run("rotate", "--all", "--yes", env={"ROTATE_MY_KEY_EXCLUDE": "dead"}).code == 0


def test_a_key_of_another_service(laptop: Laptop) -> None:
    """The hint shows what is there, and changes nothing of it."""
    give(laptop, "minioadmin", "minioadmin")
    refused(laptop, said="not an AWS user's(.|\n)*hint: aws configure list --profile default")


def test_a_key_that_is_not_known_everywhere_yet(laptop: Laptop) -> None:
    """One no is no proof: a key that somebody has just put there is asked for once or twice more."""
    laptop.aws.settings.propagation = 1
    new = laptop.aws.create_key("alice")
    give(laptop, new.key_id, new.secret)
    assert laptop.run("rotate", "--dry-run").code == 0


def test_the_same_key_id_with_another_secret_elsewhere(laptop: Laptop) -> None:
    """A profile with a wrong secret is told of and left alone; the others are rotated."""
    extra = f"\n[stale]\naws_access_key_id = {laptop.old.key_id}\naws_secret_access_key = {'y' * 40}\n".encode()
    laptop.file.write_bytes(laptop.original + extra)
    done = laptop.run()
    assert done.code == 0 and "stale" in done.err, done.text
    assert laptop.file.read_bytes().endswith(extra)
    laptop.works()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aws", "boto3"])
def test_other_readers_read_the_new_key(laptop: Laptop, name: str) -> None:
    """The real AWS CLI, and boto3, sign in with the file afterwards."""
    assert laptop.run().code == 0
    programs: dict[str, Sequence[str]] = {
        "aws": (laptop.program[0], "-m", "awscli", "sts", "get-caller-identity"),
        "boto3": (
            laptop.program[0],
            "-c",
            "import boto3; print(boto3.client('sts', 'eu-west-1').get_caller_identity()['Arn'])",
        ),
    }
    done = subprocess.run(programs[name], env=laptop.environment(), capture_output=True, text=True, timeout=60)
    assert "user/alice" in done.stdout, done.stderr
    laptop.settled()
