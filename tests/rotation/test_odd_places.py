"""Places that are read in odd ways, or by others only, and files that are none: refused early, or changed, never passed
over."""

import shutil
import subprocess
from collections.abc import Callable

import pytest

from rotate_my_key.core.model import PlaceKind
from rotate_my_key.profiles.file import ProfileFile
from tests.laptop import Laptop, sampled

from .test_hard_places import NEW_SPACE, needs_mount, refused


def test_a_file_made_by_the_shell(laptop: Laptop) -> None:
    """`<(...)` is a pipe, and no place to write the new key to."""
    words = [*laptop.program, "rotate", "--yes"]
    before = f"AWS_SHARED_CREDENTIALS_FILE=<(cat {laptop.file}) exec {' '.join(words)}"
    done = subprocess.run(["bash", "-c", before], env=laptop.environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "is not a regular file but a pipe" in done.stderr, done.stderr
    assert "hint: unset AWS_SHARED_CREDENTIALS_FILE" in done.stderr


@needs_mount
def test_the_doctor_of_a_read_only_file_system(laptop: Laptop) -> None:
    """As a store of Nix is: no remedy is a chmod, which cannot work there."""
    read_only = 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"'
    laptop.file.chmod(0o444)
    before = ["unshare", *NEW_SPACE, "sh", "-c", read_only, str(laptop.file.parent)]
    done = laptop.run("doctor", before=before)
    assert done.code == 1 and "findmnt -T" in done.out, done.text
    assert "chmod" not in done.out and "chown" not in done.out, done.text
    refused(laptop, said="read-only", before=before)


@needs_mount
def test_a_disk_without_inodes(laptop: Laptop) -> None:
    """It has room, and takes no file: `doctor` says so, and no key is made."""
    laptop.state.mkdir(parents=True, mode=0o700)
    full = 'mount -t tmpfs -o nr_inodes=1,mode=700 none "$0"; exec "$@"'
    before = ["unshare", *NEW_SPACE, "sh", "-c", full, str(laptop.state)]
    done = laptop.run("doctor", before=before)
    assert done.code == 1 and "has no inodes left" in done.out, done.text
    assert "df -i" in refused(laptop, said="disk is full", before=before)


FUSE = 'bindfs $1 "$2" "$2" && shift 2 && exec "$@"'
SPACE = ["unshare", "-m", "--pid", "--fork", "--kill-child"]
needs_fuse = pytest.mark.skipif(
    not shutil.which("bindfs")
    or bool(subprocess.run([*SPACE, "bindfs", "/mnt", "/mnt"], capture_output=True).returncode),
    reason="NO FUSE HERE: homes on file systems of programs are NOT tested (apt-get install bindfs, and be root)",
)


@needs_fuse
@pytest.mark.parametrize("lacks", ["--chmod-ignore", "--chmod-deny", "--xattr-none", "--chown-deny", "--rename-deny"])
def test_a_home_on_a_file_system_of_a_program(laptop: Laptop, lacks: str) -> None:
    """As with sshfs, or encrypted: it rotates whatever that file system lacks; without renames, it makes no key."""
    before = [*SPACE, "sh", "-c", FUSE, "sh", lacks, str(laptop.home)]
    if lacks == "--rename-deny":
        refused(laptop, said="permission denied", before=before)
    else:
        done = laptop.run(before=before)
        assert done.code == 0 and laptop.works() != laptop.old, done.text
    laptop.settled()


# A place that was there at the beginning


def pair_text(laptop: Laptop, comment: str = "") -> str:
    """The lines of the laptop's first pair."""
    old = laptop.old
    return f"aws_access_key_id = {old.key_id}{comment}\naws_secret_access_key = {old.secret}{comment}\n"


def vanish(laptop: Laptop) -> None:
    """The disk with the config file goes away."""
    config = laptop.home / ".aws" / "config"
    config.rename(laptop.home / "away")


def dangle(laptop: Laptop) -> None:
    """It was a link, and the disk is away."""
    vanish(laptop)
    (laptop.home / ".aws" / "config").symlink_to("/away/config")


def become_a_pipe(laptop: Laptop) -> None:
    """Something else stands there."""
    vanish(laptop)
    subprocess.run(["mkfifo", laptop.home / ".aws" / "config"], check=True)


def comment(laptop: Laptop) -> None:
    """A person puts comments behind the values: botocore does not read the old key there any more, and others do."""
    (laptop.home / ".aws" / "config").write_text(f"[profile third]\n{pair_text(laptop, '  # third')}")


def come_under_a_header_that_botocore_skips(laptop: Laptop) -> None:
    """A person gives the profile a name of two words."""
    (laptop.home / ".aws" / "config").write_text(f"[profile my third]\n{pair_text(laptop)}")


def cannot_be_parsed(laptop: Laptop) -> None:
    """A second section of the same name, in the middle of an edit."""
    (laptop.home / ".aws" / "config").write_text(f"[profile third]\n{pair_text(laptop)}[profile third]\n")


LOST: dict[str, Callable[[Laptop], object]] = {
    "it vanishes": vanish,
    "its link leads nowhere": dangle,
    "it becomes a pipe": become_a_pipe,
    "comments come behind the values": comment,
    "its header becomes one that botocore skips": come_under_a_header_that_botocore_skips,
    "it cannot be parsed any more": cannot_be_parsed,
}
MOMENTS = {
    "before the new key is made": ("CreateAccessKey", 1, "before"),
    "at the last proof": ("GetCallerIdentity", 4, "before"),
    "as the places are signed in with": ("GetCallerIdentity", 5, "before"),
}


@pytest.mark.parametrize("how", sampled(LOST, "it vanishes", "comments come behind the values"))
@pytest.mark.parametrize("moment", sampled(MOMENTS, "at the last proof"))
def test_a_place_found_at_the_beginning_is_never_passed_over(laptop: Laptop, moment: str, how: str) -> None:
    """While it may hold the old key for anybody, that key works, and no run ends with 0; mended, the next one ends
    well, and every place holds one working key."""
    config = laptop.home / ".aws" / "config"
    text = f"[profile third]\n{pair_text(laptop)}"
    config.write_text(text)
    action, nth, when = MOMENTS[moment]
    laptop.at(action, nth, lambda call: LOST[how](laptop), when)
    for _ in range(2):
        done = laptop.run()
        assert done.code in (1, 75), done.text
        assert "a fault in" not in done.text
        old = next(key for key in laptop.aws.keys("alice") if key.key_id == laptop.old.key_id)
        assert old.active, done.text
    config.unlink(missing_ok=True)
    config.write_text(text)
    (laptop.home / "away").unlink(missing_ok=True)
    codes = [laptop.run().code for _ in range(2)]
    assert codes[-1] == 0, codes
    (key,) = laptop.aws.keys("alice")
    third = ProfileFile(config.read_bytes(), "", PlaceKind.CONFIG).pair("third")
    assert key.key_id != laptop.old.key_id and third == laptop.aws.pair(key.key_id) == laptop.works()
