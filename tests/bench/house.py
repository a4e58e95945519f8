"""`python -m tests.bench.house [-v]`: the figures of the house, each found out afresh.

Lines, files, circles, names that stand twice and modules with one reader are read off the source; what one rotation
executes, and through which functions its new secret goes, is watched in a rotation against the demo's AWS.
"""

from __future__ import annotations

import ast
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType

from rotate_my_key.cli.main import run
from rotate_my_key.demo import DemoAws
from tests.test_layers import MODULES, circles, ours

TOP = Path(__file__).parents[2]
PACKAGE, TESTS = TOP / "rotate_my_key", TOP / "tests"
_DEPTH = 3  # how deep in an argument the secret is looked for
_OPTIMIZED = 0x1  # a function's code, not a module's or a class body's


def lines(files: Iterable[Path]) -> int:
    """The lines of some files."""
    return sum(len(path.read_bytes().splitlines()) for path in files)


def names_twice() -> list[str]:
    """Names that more than one class has."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py"))
    found = Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return sorted(name for name, count in found.items() if count > 1 and not name.startswith("_"))


def one_reader() -> list[str]:
    """Modules that one other module imports; package faces and commands apart."""
    readers = Counter(
        imported for module in MODULES for imported in ours(module) & MODULES.keys() if imported != module
    )
    faces = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    commands = {module for module in MODULES if module.startswith("cli.")}
    return sorted(module for module in MODULES if readers[module] == 1 and module not in faces | commands)


class Watch:
    """What a rotation executes: files of the package, and functions that are handed the new secret."""

    def __init__(self, aws: DemoAws) -> None:
        self._aws = aws
        self.files: set[str] = set()
        self.handed: set[tuple[str, str]] = set()

    def __call__(self, frame: FrameType, event: str, value: object) -> None:
        """A profile function (see sys.setprofile)."""
        code = frame.f_code
        if event != "call" or not code.co_flags & _OPTIMIZED or not code.co_filename.startswith(f"{PACKAGE}{os.sep}"):
            return
        if code.co_filename == str(PACKAGE / "demo.py"):
            return
        self.files.add(code.co_filename)
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if len(self._aws.secrets) > 1 and any(self._has(frame.f_locals.get(name), _DEPTH) for name in arguments):
            self.handed.add((code.co_filename, code.co_qualname))

    def _has(self, value: object, depth: int) -> bool:
        if isinstance(value, str | bytes):
            text = value if isinstance(value, str) else value.decode("latin-1")
            return any(secret in text for secret in self._aws.secrets - {self._aws.pair.secret})
        if depth == 0:
            return False
        return any(self._has(each, depth - 1) for each in _parts(value))


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif type(value).__name__ == "Credentials":
        yield getattr(value, "secret", None)


def one_rotation() -> Watch:
    """`rotate --yes` of one key, against the demo's AWS, in a home of its own."""
    with tempfile.TemporaryDirectory() as home, DemoAws(propagation=0, latency=0) as aws:
        watch = Watch(aws)
        path = Path(home, ".aws", "credentials")
        path.parent.mkdir()
        path.write_text(
            f"[default]\naws_access_key_id = {aws.pair.key_id}\naws_secret_access_key = {aws.pair.secret}\n"
        )
        path.chmod(0o600)
        env = {"HOME": home, "PATH": os.defpath, "AWS_ENDPOINT_URL": aws.url, "ROTATE_MY_KEY_PROOF_INTERVAL": "0"}
        os.environ.clear()
        os.environ.update(env)
        threading.setprofile(watch)
        sys.setprofile(watch)
        try:
            code = run(["-q", "rotate", "--yes"], env)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]
    assert code == 0, code
    return watch


def main() -> None:
    """Print the table."""
    watch = one_rotation()
    rows = {
        "lines of Python in rotate_my_key/": (lines(PACKAGE.rglob("*.py")), 28_000),
        "files there": (len(list(PACKAGE.rglob("*.py"))), 170),
        "files that one `rotate --yes` executes": (len(watch.files), 45),
        "functions through which the new pair goes": (len(watch.handed), 25),
        "  in files": (len({file for file, _ in watch.handed}), 10),
        "circles between modules": (len(list(circles())), 0),
        "class names that stand twice": (len(names_twice()), 0),
        "modules with one importer": (len(one_reader()), 15),
        "lines of tests": (lines(TESTS.rglob("*.py")), 40_000),
    }
    for name, (now, limit) in rows.items():
        print(f"{name:44}{now:>8,}{limit:>8,}{'' if now <= limit else '  too much'}")
    if "-v" in sys.argv[1:]:
        print("\nexecuted:", *(f"  {_short(file)}" for file in sorted(watch.files)), sep="\n")
        print("\nthe pair:", *(f"  {_short(file)} {name}" for file, name in sorted(watch.handed)), sep="\n")


def _short(file: str) -> str:
    return str(Path(file).relative_to(PACKAGE))


if __name__ == "__main__":
    main()
