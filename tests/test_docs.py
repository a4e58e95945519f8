"""README and docs, compared with the program: what they name exists, and says the same."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from rotate_my_key.core import errors
from rotate_my_key.core.plan import ENDS, Step
from rotate_my_key.rotation.ports import Ending
from tests import warm
from tests.cli.picture import PICTURE, draw, record, words
from tests.cli.test_words import NEVER

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "docs/commands.md").read_text()

COMING: set[str] = set()  # commands that are named before they are there
HIDDEN = {"credentials", "help"}
SHOWN = ("docs/commands.md", "README.md")
OUTSIDE = ("SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md")  # pages of the site that are not in docs/


@cache
def help_of(*words: str) -> str:
    """What `rotate-my-key WORDS --help` prints."""
    done = warm.run([*words, "--help"], {"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    done.check_returncode()
    return done.stdout


def commands(*group: str) -> set[str]:
    """The commands that --help shows."""
    _, *sections = re.split(r"^(?:Start here|More|For IT|Commands):$", help_of(*group), flags=re.MULTILINE)
    return {name for section in sections for name in re.findall(r"^  ([a-z][a-z-]*)  ", section, re.MULTILINE)}


def code(page: Path) -> Iterator[str]:
    """The code of a page: blocks line by line, and what stands between backticks."""
    fenced = False
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.partition("#")[0].strip()
        else:
            yield from re.findall(r"`([^`]+)`", line)


def calls(text: str) -> Iterator[list[str]]:
    """The words after each `rotate-my-key` in a text; up to a pipe, a bracket or the like."""
    for found in re.finditer(r"(?<![\w/.-])rotate-my-key((?: +[\w./{}=-]+| +'[^']*')*)", text):
        yield shlex.split(found[1])


def unknown(words: list[str]) -> list[str]:
    """What of a command line the program does not have."""
    names = [word for word in words[:2] if re.fullmatch(r"[a-z][a-z-]+", word)]
    options = {word.partition("=")[0] for word in words if word.startswith("--")} - {"--help", "--version"}
    command = names[0] if names and words[0] == names[0] else "rotate"
    if command in HIDDEN:
        return []
    if command not in commands():
        return [command]
    group = commands(command)
    if group and len(names) > 1:
        if names[1] not in group:
            return [f"{command} {names[1]}"]
        shown = help_of(command, names[1])
    else:
        shown = help_of(command)
    return sorted(option for option in options if not re.search(rf"{option}\b", shown))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_docs_exist(page: Path) -> None:
    """Every `rotate-my-key ...` that a page shows is a command with these options."""
    wrong = {" ".join(words): found for text in code(page) for words in calls(text) if (found := unknown(words))}
    assert wrong == {}


def test_every_command_has_a_row() -> None:
    """Who reads docs/commands.md knows what there is; the README has those of the first day."""
    shown = [{words[0] for text in code(ROOT / page) for words in calls(text) if words} for page in SHOWN]
    first = re.search(r"^Start here:\n((?:  .*\n)+)", help_of(), re.MULTILINE)
    assert first
    assert commands() - shown[0] == set()
    assert "`rotate-my-key fleet " not in README + COMMANDS.partition("\n## For IT\n")[0]
    assert set(re.findall(r"^  ([a-z-]+)  ", first[1], re.MULTILINE)) - shown[1] == set()


def test_the_readme_is_short() -> None:
    """Two screens; what it leaves out is in docs/, each page of which the index there names, and mkdocs.yml too."""
    assert len(README.splitlines()) <= 100
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if ROOT / "docs" in page.parents}
    listed = {page for page in pages if not page.startswith(("it/", "decisions/")) or page.endswith("README.md")}
    assert listed - set(re.findall(r"\]\(([\w/-]+\.md)", (ROOT / "docs/README.md").read_text())) == {"README.md"}
    assert pages == set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text())) - set(OUTSIDE)


def test_hints_name_commands_that_exist() -> None:
    """A hint is a command that works: what the program's own texts call for, it has."""
    wrong: dict[str, list[str]] = {}
    for file in (ROOT / "rotate_my_key").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                for hint in re.findall(r"(?:^|: |, or |then )(rotate-my-key (?!finishes).*)", node.value):
                    missing = [each for words in calls(hint) for each in unknown(words)]
                    if found := [each for each in missing if each.split()[0] not in COMING]:
                        wrong[f"{file.name}: {node.value}"] = found
    assert wrong == {}


def anchors(page: Path) -> set[str]:
    """What a link can name in a page: its headings, as GitHub and mkdocs spell them."""
    headings = re.findall(r"^#+ +(.*)", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Files and headings that a page links to, and files that it names by their path, are there."""
    text = page.read_text()
    gone = []
    for link in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            gone.append(link)
    named = re.findall(r"`((?:docs|tests|rotate_my_key|locks|\.ci)/[\w./-]+)`", text)
    gone += [path for path in named if not (ROOT / path).exists()]
    assert gone == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_words_are_those_of_the_trade(page: Path) -> None:
    """What people read says key, profile, deactivate; names in code (JSON, steps) are what they are."""
    prose = re.sub(r"^```.*?^```|^ {4}.*?$|`[^`\n]*`|\]\([^)]*\)", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert [line for line in prose.splitlines() if NEVER.search(line)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_install_options_exist(page: Path) -> None:
    """What a page passes to install.sh, its --help has."""
    shown = subprocess.run(["sh", ROOT / "install.sh", "--help"], capture_output=True, text=True, check=True).stdout
    used = {
        option for text in code(page) for call in re.findall(r"install\.sh( [^`]*)", text) for option in call.split()
    }
    assert {option for option in used if re.fullmatch(r"--[a-z]+", option)} <= set(re.findall(r"--[a-z]+", shown))


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table behind a heading or another text, without its head."""
    _, _, rest = text.partition(heading)
    assert rest, f"no {heading!r}"
    found = re.search(r"(?:^\|.*\n)+", rest, re.MULTILINE)
    assert found
    _, _, *rows = found[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_exit_codes() -> None:
    """The table has the codes of errors.py, and those that are no errors."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Problem)]
    codes = {0, 3, errors.Interrupted.code} | {kind.code for kind in kinds}
    assert [int(row[0]) for row in table(COMMANDS, "## Exit codes")] == sorted(codes)
    epilogue = " ".join(help_of().partition("Exit codes:")[2].split())
    assert [int(number) for number in re.findall(r"(?:^|· )(\d+)", epilogue)] == sorted(codes)


def test_steps() -> None:
    """docs/how-it-works.md has every step of plan.py, and no other."""
    text = (ROOT / "docs/how-it-works.md").read_text()
    steps = [row[0].strip("`") for row in table(text, "## The loop")]
    assert sorted(steps) == sorted(step.value for step in Step if step not in ENDS)
    ends = text.partition("The loop ends with")[2].partition("These words")[0]
    assert set(re.findall(r"`([a-z]+)`", ends)) == {step.value for step in ENDS}


def test_endings() -> None:
    """docs/json.md has every ending, and `problem`."""
    rows = table((ROOT / "docs/json.md").read_text(), "| `keys[].problem.code`")
    assert sorted(row[0].strip("`") for row in rows) == sorted([*(ending.value for ending in Ending), "problem"])


def test_the_picture_comes_before_anything_is_to_be_done() -> None:
    """Who opens the README sees in a few lines what it is for, then a terminal, in a picture that fetches nothing."""
    before, _, _ = README.partition("](docs/rotation.svg)")
    assert len(before.splitlines()) <= 9
    assert "\n## " not in before
    assert re.findall(r"https?://[^\s\"<]+", PICTURE.read_text()) == ["http://www.w3.org/2000/svg"]


def test_the_picture_is_of_this_program() -> None:
    """A run gives the same words, but for days and seconds; else: .venv/bin/python -m tests.cli.picture."""
    lines = words(PICTURE.read_text())
    assert lines == words(draw(record("--fast")))
    assert any(line.endswith("[n]o: y") for line in lines)
    assert sum(line.startswith("+aws_access_key_id") for line in lines) == 2


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/reliability.md"])
def test_the_tests_that_are_named_exist(page: str) -> None:
    """A claim is worth what shows it: each file and each test that a page names is there."""
    named = re.findall(r"tests/[\w/.]+(?:::\w+)?", (ROOT / page).read_text())
    assert named
    for name in named:
        path, _, function = name.partition("::")
        assert (ROOT / path).exists(), name
        assert f"def {function}(" in (ROOT / path).read_text() if function else True, name
