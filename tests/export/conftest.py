"""Two laptops of one person with the same key, and AWS's stand-in between them."""

from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from tests.laptop import COMMENTED, Finished, Laptop, new_laptop
from tests.standin import StandIn


@pytest.fixture
def here(tmp_path: Path, running: StandIn) -> Iterator[Laptop]:
    """The laptop that rotates; its key is due."""
    yield new_laptop(tmp_path / "here", running)
    running.all_well()


@pytest.fixture
def there(here: Laptop) -> Laptop:
    """Another laptop of the same person, with the same old key, and an age identity."""
    home = here.home.parent / "there" / "home"
    (home / ".aws").mkdir(parents=True)
    data = COMMENTED.format(id=here.old.key_id, secret=here.old.secret).encode()
    made = Laptop(home, here.aws, here.old, data)
    made.file.write_bytes(data)
    made.file.chmod(0o600)
    identity = pyrage.x25519.Identity.generate()
    (home / "key.txt").write_text(f"# public key: {identity.to_public()}\n{identity}\n")
    return made


def recipient(laptop: Laptop) -> str:
    """Its public key."""
    return (laptop.home / "key.txt").read_text().splitlines()[0].removeprefix("# public key: ")


def carried(here: Laptop, there: Laptop, *words: str) -> Path:
    """An export of the key that is here now, sealed for the other laptop, in a file there."""
    file = there.home / "key.age"
    file.unlink(missing_ok=True)
    done = here.run("export", "--recipient", recipient(there), "-o", str(file), *words)
    assert done.code == 0, done.text
    return file


def rotated(here: Laptop) -> None:
    """The key here is new, and the old one works on."""
    done = here.run("rotate", "--yes", "--keep-old", "7d", "--old-active")
    assert done.code == 0, done.text


def take(there: Laptop, file: Path, *words: str) -> Finished:
    """Import it with the other laptop's identity."""
    return there.run("import", str(file), "--identity", str(there.home / "key.txt"), *words)
