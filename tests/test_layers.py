"""The house stands: arrows go down only, decisions are pure, adapters keep quiet, and the door opens fast.

Read from the source (`ast`), so that an import inside a function counts too. What is under `TYPE_CHECKING` counts as
well: a type is a dependency of the reader.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "rotate_my_key"

# What each room may import of the others. `rotation` gets its adapters handed in, as Protocols.
PURE = {"errors", "faults", "policy", "model", "plan", "forward", "rows", "words"}
ADAPTERS = {"aws", "stores", "files", "settings", "paths"}
SERVICES = {"rotation", "doctor", "copies", "reminder", "schedule", "fleet"}
BELOW = {
    "errors": set(),
    "faults": {"errors"},
    "policy": {"errors"},
    "model": {"errors", "policy"},
    "rows": {"errors", "policy", "model"},
    "plan": {"errors", "policy", "model"},
    "forward": {"errors", "policy", "model", "plan"},
    "words": set(),
    "paths": {"errors"},
    "files": PURE,
    "settings": PURE | {"files", "paths"},
    "stores": PURE | {"files"},
    "aws": PURE,
    "rotation": PURE,
    **dict.fromkeys(SERVICES - {"rotation"}, PURE | ADAPTERS),
    "fleet": PURE | ADAPTERS | {"policies"},  # its CloudFormation templates have them in their roles
    "standin": PURE,
    "policies": {"errors"},
    "cli": PURE | ADAPTERS | SERVICES | {"policies"},
    "__main__": {"cli"},
}
# (module, imported room): why it may.
EXCEPTIONS = {
    ("cli.demo", "standin"): "the demo is a rotation against the stand-in",
    ("reminder.login", "cli"): "a program of its own, started at login; it ends by being `status`",
}

# Third parties, each behind one door.
OWNERS = {
    "botocore": {"aws", "stores"},  # stores: its loader is the judge of profile files
    "urllib3": {"aws"},
    "click": {"cli"},
    "rich": {"cli"},
    "configobj": {"settings"},
    "platformdirs": {"paths", "reminder"},  # reminder: where PowerShell keeps its profile
    "keyring": {"stores"},
    "secretstorage": {"stores"},
    "jeepney": {"stores"},
    "pyrage": {"files"},
    "moto": {"standin"},
    "flask": {"standin"},
    "flask_cors": {"standin"},
    "werkzeug": {"standin"},
    "boto3": {"fleet"},
    "apprise": {"fleet"},
    "jinja2": {"fleet"},
}
# What a pure module needs of the standard library.
PURE_NEEDS = {"__future__", "errno", "re", "collections", "dataclasses", "datetime", "enum", "typing"}

# Who may read the environment, print or prompt outside cli/.
PROGRAMS = {
    *("reminder.login", "reminder.__main__", "standin.__main__"),  # programs of their own
    "fleet.function",  # Lambda starts it: its settings are a variable, its log is stdout
}
# Who may branch on the platform besides files/platform.py, and why. A parameter's default may name it: it is handed in.
PLATFORM = {
    "paths": "where files are is another place on each system",
    "settings.trust": "who owns a file is told by other means on Windows",
    "settings.windows": "mypy reads the branch",
    "files.command": "a group of processes gets no signal on Windows",
    "files.private": "folders have no mode on Windows",
    "reminder.login": "what a child may do after fork",
    "reminder.shells": "macOS has no /proc to ask who started us",
    "doctor.computer": "a default that is handed in",
    "copies.judge": "files have no group on Windows",
    "copies.walk": "there is no readv on Windows",
    "cli.reminder": "which shells there are",
    "schedule.program": "each system has its own scheduler",
}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {_name(path): path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"}


@cache
def tree(module: str) -> ast.Module:
    """The syntax of a module."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def room(module: str) -> str:
    """`cli` of `cli.rotate`."""
    return module.split(".")[0]


def imports(module: str) -> Iterator[str]:
    """What a module imports, absolute; ours without the name of the package."""
    is_package = MODULES[module].name == "__init__.py"
    parts = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree(module)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=name, names=names, level=0):
                yield name or ""
            case ast.ImportFrom(module=name, names=names, level=level):
                base = [*parts[: len(parts) - level + 1], *([name] if name else [])]
                found = [base] if name else [[*base, alias.name] for alias in names]
                yield from (".".join(["rotate_my_key", *each]) for each in found)


def ours(module: str) -> set[str]:
    """The rooms that a module imports, without its own and without the package's (its version)."""
    found = {name.removeprefix("rotate_my_key.") for name in imports(module) if name.startswith("rotate_my_key.")}
    return {room(name) for name in found} - {room(module), "__version__"}


def foreign(module: str) -> set[str]:
    """The packages that a module imports which are not ours."""
    return {name.split(".")[0] for name in imports(module)} - {"rotate_my_key", ""}


each_module = pytest.mark.parametrize("module", sorted(MODULES))


@each_module
def test_arrows_go_down_only(module: str) -> None:
    """Each room imports what lies below it, and nothing else."""
    allowed = BELOW[room(module)] | {to for (source, to) in EXCEPTIONS if source == module}
    assert ours(module) <= allowed


@pytest.mark.parametrize("module", sorted(PURE))
def test_decisions_are_pure(module: str) -> None:
    """They need no file, no clock, no network, no environment."""
    assert foreign(module) <= PURE_NEEDS


@each_module
def test_third_parties_stay_behind_their_door(module: str) -> None:
    """Each library is imported by the rooms that are there for it; no module imports boto3 on the hot path."""
    third = foreign(module) - set(sys.stdlib_module_names)
    assert third <= OWNERS.keys()
    assert all(room(module) in OWNERS[name] for name in third)


def _calls(module: str) -> Iterator[str]:
    for node in _walk(tree(module)):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                yield f"{owner}.{attribute}"
            case ast.Call(func=ast.Name(id=name)):
                yield f"{name}()"


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All below, without the defaults of parameters."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("defaults", "kw_defaults"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child)


OUTSIDE_CLI = sorted(module for module in MODULES if room(module) not in ("cli", "__main__") and module not in PROGRAMS)


@pytest.mark.parametrize("module", OUTSIDE_CLI)
def test_only_the_command_line_talks_and_reads_the_environment(module: str) -> None:
    """Environment, terminal and home are handed in."""
    forbidden = {"os.environ", "os.getenv", "os.putenv", "sys.argv", "sys.stdin", "sys.stdout", "print()", "input()"}
    assert not forbidden & set(_calls(module))
    assert not foreign(module) & {"click", "rich", "getpass", "readline"}


@each_module
def test_the_platform_is_one_modules_business(module: str) -> None:
    """`files/platform.py` knows the differences; who else branches is listed with the reason."""
    asked = {"os.name", "sys.platform", "platform.system"} & set(_calls(module))
    assert not asked or module in {"files.platform", *PLATFORM}


LOOK = """
import os, sys
from rotate_my_key.cli.main import run
code = run(sys.argv[1:], os.environ)
print("MODULES", code, *sorted(sys.modules), file=sys.stderr)
"""
# None of these is needed to say what the program is.
HEAVY = {
    *("boto3", "botocore", "urllib3", "keyring", "rich", "configobj", "platformdirs", "moto", "flask", "ssl"),
    *("importlib.metadata", "pathlib", "tempfile", "logging", "concurrent.futures", "subprocess", "rotate_my_key.aws"),
    *("rotate_my_key.plan", "rotate_my_key.stores", "rotate_my_key.rotation", "rotate_my_key.settings"),
}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_door_loads_nothing_heavy(option: str, tmp_path: Path) -> None:
    """`--version` and `--help` load little more than click, which itself is counted out."""
    clicked = subprocess.run(
        [sys.executable, "-I", "-c", "import sys, click; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, option], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    code, *loaded = done.stderr.split("MODULES ")[1].split()
    assert code == "0"
    assert not HEAVY & (set(loaded) - set(clicked.stdout.split()))
