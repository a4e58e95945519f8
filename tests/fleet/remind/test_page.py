"""docs/it/remind.md, compared with the program."""

from __future__ import annotations

import re
from pathlib import Path

from rotate_my_key.fleet.messages import OURS
from rotate_my_key.fleet.notices import Remark
from tests.cli.test_json_docs import fields
from tests.fleet.remind.cases import case
from tests.fleet.remind.conftest import Company
from tests.fleet.remind.test_command import SETTINGS
from tests.fleet.remind.test_rendering import TOLD, digest, written

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = (DOCS / "it" / "remind.md").read_text()


def test_the_message_on_the_page_is_the_programs() -> None:
    """Word by word."""
    message = written(case())
    assert f"```\nSubject: {message.subject}\n\n{message.text}```\n" in PAGE


def test_the_digest_on_the_page_is_the_programs() -> None:
    """Word by word."""
    broken = (Remark("staging (210987654321)", "AWS does not allow sts:AssumeRole"),)
    message = digest(case(tags=TOLD), case("bob", 80, key_id="AKIAIOSFODNN7EXAMPL2"), broken=broken)
    assert f"```\nSubject: {message.subject}\n\n{message.text}```\n" in PAGE


def test_every_value_on_the_page_is_there(tmp_path: Path) -> None:
    """A template may use each value and filter that the page names, and every template that it names exists."""
    values, rest = PAGE.partition("| value | is |")[2].split("\nFilters besides", 1)
    rows = re.findall(r"^\| (.+?) \| .*", values, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    used = re.findall(r"\{\{ .+? \}\}", values + rest)
    assert len(names) > 15 and len(used) > 4
    lines = [f"{{{{ {name} }}}}" for name in names if not name.startswith("-")] + used
    lines += [f"{{{{ 'x' | {name} }}}}" for name in ("one_line", "wrapped")]
    (tmp_path / "owner.txt.j2").write_text("Subject: x\n" + "\n".join(lines))
    assert "98 days" in written(case(), folder=str(tmp_path)).text
    for file in re.findall(r"`(\w+\.(?:txt|html)\.j2)`", PAGE):
        assert (Path(OURS) / file).exists()


def test_the_json_on_the_page_is_the_programs(company: Company) -> None:
    """docs/json.md has every field, and no other."""
    text = (DOCS / "json.md").read_text().partition("## `fleet remind --json`")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE))
    company.settings(SETTINGS.format(topic=company.aws.add_topic("rotate-my-key-ops", "eu-west-1")))
    company.aws.deny("TagUser")
    shown = company.remind("--yes", "--json").json
    inner = {name.replace("notices[].letters", "digest.letters") for name in named if "letters[]" in name}
    assert {path for path, _ in fields(shown)} - {"digest"} == named | inner
