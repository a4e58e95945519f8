"""The question about other copies, in a terminal."""

from rotate_my_key.core.model import Credentials
from tests.cli.terminal import Terminal
from tests.laptop import Laptop

from .home import NAMED, UPDATED

FEW = (".env", ".s3cfg")


def lay(laptop: Laptop, pair: Credentials) -> None:
    """Two files that can be changed, and a history."""
    for name in FEW:
        (laptop.home / name).write_bytes(UPDATED[name](pair))
        (laptop.home / name).chmod(0o600)
    (laptop.home / ".bash_history").write_bytes(NAMED[".bash_history"][0](pair))


def test_asked_after_the_question_and_before_anything_is_done(laptop: Laptop) -> None:
    """Once, for all; a no leaves them alone and rotates all the same. A no to the rotation itself asks nothing more."""
    lay(laptop, laptop.old)
    run = Terminal([], laptop.environment(), laptop.home, 120)
    run.answer("Rotate it? It takes about 10 seconds. [Y/n]", "n\r")
    done = run.end()
    assert done.code == 4 and "Change" not in done.text and laptop.works() == laptop.old
    for keys in ("n\r", "\r"):
        before = laptop.works()
        lay(laptop, before)
        run = Terminal(["--force"], laptop.environment(), laptop.home, 120)
        run.answer("3 other files here have it too: ~/.s3cfg, ~/.env and ~/.bash_history", "")
        run.answer("Rotate it? It takes about 10 seconds. [Y/n]", "y\r")
        run.answer("Change 2 files too? [Y/n]", keys)
        done = run.end()
        assert done.code == 0, done.text
        new = laptop.works()
        for name in FEW:
            assert (laptop.home / name).read_bytes() == UPDATED[name](before if keys == "n\r" else new)
        assert ("  ~/.s3cfg and ~/.env: changed" in done.text) is (keys == "\r")
        assert (laptop.home / ".bash_history").read_bytes() == NAMED[".bash_history"][0](before)


def test_files_of_an_earlier_scan_are_asked_about_too(laptop: Laptop) -> None:
    """They are read before the question too, and counted if they hold the key still."""
    odd = laptop.home / "odd.dat"
    odd.write_bytes(UPDATED[".env"](laptop.old))
    odd.chmod(0o600)
    gone = laptop.home / "gone.dat"
    gone.write_bytes(odd.read_bytes())
    laptop.run("scan", str(odd), str(gone))
    gone.unlink()
    run = Terminal([], laptop.environment(), laptop.home, 120)
    run.answer("Rotate it? It takes about 10 seconds. [Y/n]", "y\r")
    run.answer("Change 1 file too? [Y/n]", "\r")
    assert run.end().code == 0
    assert odd.read_bytes() == UPDATED[".env"](laptop.works())
