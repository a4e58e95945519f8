"""The house stands: arrows go down only, decisions are pure, adapters keep quiet, and the door opens fast.

Read from the source (`ast`), so that an import inside a function counts too. What is under `TYPE_CHECKING` counts as
well: a type is a dependency of the reader.
"""

import ast
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1] / "rotate_my_key"
OURS = "rotate_my_key."

# What each room may import of the others. `rotation` gets its adapters handed in, as Protocols.
THREADS = "core.parallel"  # a room of its own here, for who may start threads
CORE = {  # what each module of it may import of the others
    "core": set(),
    "core.hints": set(),
    "core.errors": {"core.hints"},
    "core.policy": {"core.errors"},
    "core.model": {"core.errors", "core.hints", "core.policy"},
    "core.plan": {"core.errors", "core.policy", "core.model"},
    THREADS: set(),
}
PURE = CORE.keys() - {THREADS}
ADAPTERS = {"aws", "state", "profiles", "keyring", "files", "settings", THREADS}
SERVICES = {"rotation", "doctor", "copies", "reminder", "schedule", "fleet"}
BELOW = {
    "core": set(),
    THREADS: set(),
    "files": {"core"},
    "settings": {"core", "files"},
    "state": {"core", "files"},
    "keyring": {"core", "files", THREADS, "state"},  # THREADS: one that gives no answer is given up
    "profiles": {"core", "files", "keyring"},
    "aws": {"core", "files", THREADS},  # files: what a person names as a file may be none
    "rotation": {"core", THREADS},
    **dict.fromkeys(SERVICES - {"rotation"}, {"core"} | ADAPTERS),
    "fleet": {"core", "policies"} | ADAPTERS,  # its CloudFormation templates have them in their roles
    "demo": {"core"},
    "policies": {"core"},
    "cli": {"core", "policies", "demo"} | ADAPTERS | SERVICES,
    "__main__": {"cli"},
}
# (module, imported room): why it may.
EXCEPTIONS = {("reminder.__main__", "cli"): "a program of its own, started at login; it ends by being `status`"}

# Third parties, each behind one door.
OWNERS = {
    "botocore": {"aws", "profiles"},  # profiles: its loader is the judge of profile files
    "urllib3": {"aws"},
    "click": {"cli"},
    "rich": {"cli"},
    "configobj": {"settings"},
    "filelock": {"files"},
    "platformdirs": {"files", "reminder"},  # reminder: where PowerShell keeps its profile
    "keyring": {"keyring"},
    "secretstorage": {"keyring"},
    "jeepney": {"keyring"},
    "pyrage": {"files"},
    "psutil": {"copies", "reminder"},
    "boto3": {"aws"},
    "apprise": {"fleet"},
    "jinja2": {"fleet"},
}
# What a pure module needs of the standard library.
PURE_NEEDS = {"__future__", "difflib", "errno", "re", "shlex"}
PURE_NEEDS |= {"collections", "dataclasses", "datetime", "enum", "typing"}

# Who may read the environment, print or prompt outside cli/.
PROGRAMS = {
    *("reminder.login", "reminder.__main__"),  # programs of their own
    "fleet.function",  # Lambda starts it: its settings are a variable, its log is stdout
}
# Who may branch on the platform besides files/platform.py, and why. A parameter's default may name it: it is handed in.
PLATFORM = {
    "files.paths": "where files are is another place on each system",
    "settings.trust": "who owns a file is told by other means on Windows",
    "files.command": "a group of processes gets no signal on Windows",
    "files.write": "folders have no mode on Windows, and writing has no offset",
    "reminder.login": "what a child may do after fork",
    "doctor.computer": "a default that is handed in",
    "copies.change": "files have no group on Windows",
    "copies.find": "there is no readv on Windows",
    "cli.reminder": "which shells there are",
    "schedule.job": "each system has its own scheduler",
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
    return module if module == THREADS else module.split(".")[0]


@cache
def imports(module: str) -> frozenset[str]:
    """What a module imports, absolute: `rotate_my_key.aws.client`, also where only a name is imported from it."""
    return frozenset(name for node in ast.walk(tree(module)) for name in _imported(module, node))


def _imported(module: str, node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(names=names):
            base = _from(module, node)
            yield from (full if (full := f"{base}.{a.name}").removeprefix(OURS) in MODULES else base for a in names)


def _from(module: str, node: ast.ImportFrom) -> str:
    """`rotate_my_key.aws` for the `..aws` of a module of another room."""
    if not node.level:
        return node.module or ""
    parts = [*OURS.split(".")[:1], *module.split(".")]
    up = node.level - (MODULES[module].name == "__init__.py")
    return ".".join([*parts[: len(parts) - up], *([node.module] if node.module else [])])


def ours(module: str) -> set[str]:
    """The modules of ours that a module imports; the package itself (its version) is none."""
    return {name.removeprefix(OURS) for name in imports(module) if name.startswith(OURS)} - {module}


def foreign(module: str) -> set[str]:
    """The packages that a module imports which are not ours."""
    return {name.split(".")[0] for name in imports(module)} - {"rotate_my_key"}


def check(break_rule: Callable[[str], Iterable[str]], modules: Iterable[str] = MODULES) -> None:
    """No module breaks the rule; all that do are told, with what they break it by."""
    broken = {module: sorted(found) for module in modules if (found := set(break_rule(module)))}
    assert not broken


def test_arrows_go_down_only() -> None:
    """Each room imports what lies below it, and nothing else."""
    allowed = {module: {to for (source, to) in EXCEPTIONS if source == module} for module in MODULES}
    check(lambda module: {room(name) for name in ours(module)} - {room(module)} - BELOW[room(module)] - allowed[module])


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not even inside one room, inside a function or for a type alone."""
    assert not list(circles())


def test_a_class_name_stands_once() -> None:
    """Whoever reads it knows which is meant; a private one is its module's business."""
    nodes = (node for module in MODULES for node in tree(module).body)
    names = Counter(node.name for node in nodes if isinstance(node, ast.ClassDef) and node.name[0] != "_")
    assert not [name for name, count in names.items() if count > 1]


def circles() -> Iterator[frozenset[str]]:
    """The groups of modules each of which leads to all others of its group."""
    arrows = {module: set(ours(module) & MODULES.keys()) for module in MODULES}
    beyond = {module: _reach(module, arrows) for module in arrows}
    for module, reached in beyond.items():
        if module in reached and module == min(circle := {each for each in reached if module in beyond[each]}):
            yield frozenset(circle)


def _reach(module: str, arrows: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = set(arrows[module])
    while waiting:
        each = waiting.pop()
        found.add(each)
        waiting |= arrows[each] - found
    return found


def test_the_core_is_built_in_this_order() -> None:
    """What the words are does not know what is done with them."""
    check(lambda module: ours(module) - CORE[module], CORE)


def test_decisions_are_pure() -> None:
    """They need no file, no clock, no network, no environment."""
    check(lambda module: foreign(module) - PURE_NEEDS, PURE)


def test_third_parties_stay_behind_their_door() -> None:
    """Each library is imported by the rooms that are there for it; boto3 by `aws` alone."""
    standard = set(sys.stdlib_module_names)
    check(lambda module: {name for name in foreign(module) - standard if room(module) not in OWNERS.get(name, ())})


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


def test_only_the_command_line_talks_and_reads_the_environment() -> None:
    """Environment, terminal and home are handed in."""
    outside = {module for module in MODULES if room(module) not in ("cli", "__main__")} - PROGRAMS
    calls = {"os.environ", "os.getenv", "os.putenv", "sys.argv", "sys.stdin", "sys.stdout", "print()", "input()"}
    libraries = {"click", "rich", "getpass", "readline"}
    check(lambda module: calls & set(_calls(module)) | libraries & foreign(module), outside)


def test_the_platform_is_one_modules_business() -> None:
    """`files/platform.py` knows the differences; who else branches is listed with the reason."""
    asks = {"os.name", "sys.platform", "platform.system"}
    check(lambda module: asks & set(_calls(module)), set(MODULES) - {"files.platform", *PLATFORM})


LOOK = """
import os, sys, click
known = set(sys.modules)
from rotate_my_key.cli.main import run
from rotate_my_key.cli.program import program

def helps(command, words):
    yield [*words, "--help"]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from helps(command.get_command(context, name), [*words, name])

asked = [sys.argv[1:]] if sys.argv[1:] else [["--version"], *helps(program, [])]
codes = {run(words, os.environ) for words in asked}
print("MODULES", len(asked), codes, *sorted(set(sys.modules) - known), sep="\\n", file=sys.stderr)
"""
# None of these is needed to say what the program is, what a command takes, or what was rotated here.
HEAVY = {
    *("boto3", "botocore", "urllib3", "keyring", "rich", "configobj", "platformdirs", "jinja2", "apprise", "ssl"),
    *("importlib.metadata", "pathlib", "tempfile", "logging", "concurrent.futures", "subprocess", "filelock", "psutil"),
    *("dataclasses", "inspect"),
}
LIGHT = {"core", "core.errors", "core.hints", "core.policy", "policies"}  # modules of ours, besides those of cli/
OF_HISTORY = {"files", "files.paths", "files.platform", "files.write", "state", "state.history", "state.records"}


def looked(folder: Path, *words: str) -> tuple[int, set[str]]:
    """How many commands were asked for (every --help without `words`), and what they load that click does not."""
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT.parent)}
    command = [sys.executable, "-c", LOOK, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=folder)
    asked, codes, *loaded = done.stderr.split("MODULES\n")[1].splitlines()
    assert codes == "{0}", done.stderr
    return int(asked), set(loaded)


def test_no_help_loads_anything_heavy(tmp_path: Path) -> None:
    """`--version` and the --help of every command load little more than click, which itself is counted out."""
    asked, loaded = looked(tmp_path)
    assert asked > 40
    assert not HEAVY & loaded
    names = {name.removeprefix(OURS) for name in loaded if name.startswith(OURS)}
    of_cli = {name for name in names if room(name) == "cli"}
    assert names - of_cli <= LIGHT
    assert len(of_cli) < 12, of_cli


def test_history_loads_little_more(tmp_path: Path) -> None:
    """It reads one file."""
    state = tmp_path / ".local" / "state" / "rotate-my-key"
    state.mkdir(parents=True, mode=0o700)
    past = {"version": 1, "at": "2026-02-04T12:00:00+00:00", "action": "rotated", "account": "1", "arn": "a/b"}
    line = json.dumps({**past, "old": "AKIAOLD", "new": "AKIANEW", "deleted": [], "places": []})
    (state / "history.jsonl").write_text(f"{line}\n")
    _, loaded = looked(tmp_path, "history")
    assert not HEAVY & loaded
    names = {name.removeprefix(OURS) for name in loaded if name.startswith(OURS)}
    assert {name for name in names if room(name) != "cli"} <= LIGHT | OF_HISTORY
