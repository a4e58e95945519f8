"""`fleet onboarding`: the page for people, made from the settings in force."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import click
import pytest

from rotate_my_key.cli.app import App
from rotate_my_key.cli.program import program
from rotate_my_key.fleet import onboarding as page
from tests.cli.conftest import Desk

NASTY = "<script>alert(1)</script> *b* [x](http://e) `c` & #1 \\ | _u_ ${HOME} $(id)"


def page_of(desk: Desk, settings: str) -> str:
    """The page under these settings."""
    desk.settings(settings)
    return desk.run("fleet", "onboarding").out


OURS = 'max_age = 60d\nremind_before = 10d\nkeep_old = 36h\ncontact = "cloud desk"\nminimum_version = 1.2\n'
TOLD = {
    "the limits in force, and the reminder's own words": (
        OURS,
        *("before they are 60 days old", "reminded once your key is 50 days old", "kept inactive for 36 hours"),
        *("tell cloud desk", "You need version 1.2 or newer", "is 50 days old and due", "reminder snooze"),
        "OVERDUE: the access key of default is 63 days old; maximum age is 60 days.",
    ),
    "the built-in limits": (
        "",
        *("before they are 90 days old", "deleted as soon as the new one works", "tell us."),
        *("ask your AWS administrators", "reminder snooze"),
    ),
    "every key due at once": ("max_age = 5d\nremind_before = 9d\n", "Every key is due at once."),
    "no snoozing where it is not allowed": ("snooze = no\n", "before they are 90 days old"),
}


@pytest.mark.parametrize("case", TOLD)
def test_it_tells_what_is_set(desk: Desk, case: str) -> None:
    """And there are no empty sentences, and no command that is forbidden."""
    settings, *parts = TOLD[case]
    text = page_of(desk, settings)
    assert [part for part in parts if part not in text] == []
    assert not re.search(r"\b(None|NaN)\b|  $|: \.$", text, re.MULTILINE)
    assert ("snooze" in text) is (settings != "snooze = no\n")


def test_what_is_not_the_sites_is_named(desk: Desk) -> None:
    """IT's own settings must not get onto everybody's page unseen."""
    desk.settings("max_age = 60d\n")
    done = desk.run("fleet", "onboarding", ROTATE_MY_KEY_CONTACT="me")
    assert "note: max_age = 60d comes from " in done.err
    assert "note: contact = me comes from ROTATE_MY_KEY_CONTACT" in done.err
    assert desk.run("fleet", "onboarding", "-q").err == ""


def test_every_command_on_the_page_exists(desk: Desk) -> None:
    """What people are told to type is understood by the program, options too."""
    text = page_of(desk, "auth_profile = my sso\n")
    typed = re.findall(r"^    (rotate-my-key[^:\n]*)$|`(rotate-my-key [^`]*)`", text, re.MULTILINE)
    commands = {one or other for one, other in typed}
    assert len(commands) >= 8
    for command in commands:
        _understood(command.split()[1:])


def _understood(words: list[str]) -> None:
    """Raises UsageError for a command or an option that is not there."""
    command: click.Command = program
    context = click.Context(program, obj=App({}))
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words.pop(0))
        assert found is not None, words
        command = found
    known = {option for param in command.params for option in param.opts} | {"--version", "--help"}
    assert {word for word in words if word.startswith("-")} <= known, words


# Values are text


def test_a_value_cannot_become_markup(desk: Desk) -> None:
    """In HTML no tag, no attribute: the reader sees what stands in the setting. In Markdown every sign that means
    something has a backslash; undoing these gives the setting back."""
    done = desk.run("fleet", "onboarding", "--html", "--install", NASTY, ROTATE_MY_KEY_CONTACT=NASTY)
    assert "<script" not in done.out
    reader = _Reader()
    reader.feed(done.out)
    assert reader.tags <= {"html", "meta", "title", "style", "h1", "h2", "p", "ul", "li", "pre", "code"}
    assert "".join(reader.text).count(NASTY) == 3
    done = desk.run("fleet", "onboarding", ROTATE_MY_KEY_CONTACT=NASTY)
    (line,) = [line for line in done.out.splitlines() if line.startswith("Do it now")]
    assert not re.search(r"(?<!\\)[<>*_`\[\]|]", line)
    assert NASTY in re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", line)


class _Reader(HTMLParser):
    """Collects tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("wrong", ["", "  ", "a\nb", "a\x1b[2J"], ids=repr)
def test_an_install_command_is_one_line(desk: Desk, wrong: str) -> None:
    """Exit 2 for anything that could not be typed."""
    assert desk.run("fleet", "onboarding", "--install", wrong).code == 2


# The two forms

WORDS = {
    "a plain sentence, with commas (and more).": "a plain sentence, with commas \\(and more\\).",
    "rotate-my-key": "rotate-my-key",
    "it@example.com": "it@example.com",
    "#cloud-help": "\\#cloud-help",
    "- no": "\\- no",
    "1. no": "1\\. no",
    "*a* _b_": "\\*a\\* \\_b\\_",
    "<b>": "\\<b\\>",
    page.code("a`b``c"): "``` a`b``c ```",
}


@pytest.mark.parametrize("text", WORDS)
def test_markdown_text(text: str) -> None:
    """Escaped where it would mean something, and readable where it would not; what is to be typed stays as it is."""
    assert page.markdown([("p", [text])]) == f"{WORDS[text]}\n"


def test_both_forms() -> None:
    """Headings, lists and blocks, in either."""
    parts = [("h1", ["A & B"]), ("ul", [f"x {page.code('y')}"]), ("pre", ["one", "<two>"])]
    assert page.markdown(parts) == "# A \\& B\n\n- x `y`\n\n    one\n    <two>\n"
    shown = page.page(parts)
    assert "<title>A &amp; B</title>" in shown
    assert "<li>x <code>y</code></li>" in shown
    assert "<pre><code>one\n&lt;two&gt;</code></pre>" in shown
