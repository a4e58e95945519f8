"""docs/it: the three paths from nothing to enforcing, typed as they are printed.

What is ours runs against the stand-in, under the policies that are printed. What goes to CloudFormation or Lambda is
held against the templates and the function's own reader of events.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from rotate_my_key.fleet import function
from rotate_my_key.fleet.deploy import TemplateKind
from tests.fleet.enforce.conftest import Firm
from tests.fleet.function.test_template import read
from tests.fleet.test_plain_words import ROOT

PATHS = {"one-account": ["one-account"], "told": ["told"], "enforced": ["told", "enforced"]}


def commands(page: str) -> Iterator[list[str]]:
    """Each command of a page, in words."""
    blocks = re.findall(r"(?m)(?:^    .*\n)+", re.sub(r"(?ms)^```.*?^```", "", page))
    for line in "".join(blocks).replace("\\\n", " ").splitlines():
        yield shlex.split(line)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_typed_as_it_is_printed(
    firm: Firm, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of ours ends well, and every parameter and event is one that there is."""
    monkeypatch.chdir(tmp_path)
    firm.account("prod")
    firm.person("alice", 97)
    text = ""
    for name in PATHS[path]:
        page = (ROOT / f"docs/it/{name}.md").read_text()
        page = page.replace("123456789012", firm.aws.account)
        text += "\n".join(re.findall(r"(?ms)^```ini\n(.*?)^```", page))
        Path("fleet.ini").write_text(text)
        for words in commands(page):
            typed(firm, words)
    assert {mail.to for mail in firm.aws.mails if "fleet" not in str(mail.to)} >= {("alice@example.com",)}
    assert set(firm.ids("alice").values()) == {"Active"}  # what was revoked was taken back


def typed(firm: Firm, words: list[str]) -> None:
    """One line."""
    program, *rest = words
    if program == "rotate-my-key":
        out = rest[rest.index(">") + 1] if ">" in rest else ""
        done = firm.it.run(*(rest[: rest.index(">")] if out else rest))
        assert done.code == 0, (words, done.text)
        if out:
            Path(out).write_text(done.out)
        return
    assert program == "aws"
    files = [Path(word.removeprefix("file://")) for word in rest if word.startswith("file://")]
    files += [Path(rest[place + 1]) for place, word in enumerate(rest) if word == "--template-file"]
    assert all(file.exists() for file in files)
    if rest[:2] == ["ssm", "put-parameter"]:
        firm.aws.add_parameter(rest[rest.index("--name") + 1], files[0].read_text())
    elif rest[:2] == ["lambda", "invoke"]:
        function._read(json.loads(rest[rest.index("--payload") + 1]), tuple(function.JOBS))
    elif rest[0] == "cloudformation":
        member = "stack-set" in rest[1]
        given = dict(re.findall(r"(?:^| )ParameterKey=(\w+),(?:ParameterValue=)?(\S+)", " ".join(rest)))
        if "--parameter-overrides" in rest:
            given = dict(word.split("=", 1) for word in rest[rest.index("--parameter-overrides") + 1 :])
        known = read(TemplateKind.MEMBER_ROLE if member else TemplateKind.FUNCTION)["Parameters"]
        assert set(given) <= set(known)
        for name, value in given.items():
            pattern, allowed = known[name].get("AllowedPattern", ""), known[name].get("AllowedValues", [value])
            assert value in allowed or value.startswith("UsePrevious")
            assert not pattern or all(re.search(pattern, each) for each in re.split(r"\\?,", value) if "=" not in each)
        if rest[1] == "create-stack-set":
            assert set(given) >= {name for name, each in known.items() if "Default" not in each}


def test_the_overview_begins_with_the_three_paths() -> None:
    """In the order in which a company goes them."""
    assert re.findall(r"\]\((\S+?)\.md\)", (ROOT / "docs/it/README.md").read_text())[:3] == list(PATHS)
