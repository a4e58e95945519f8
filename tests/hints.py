"""Every hint that a test meets: a command of ours in it is one that the program's own parser takes, and acts on the
profile that the call before it was about. Called wherever tests run the program; nothing in a hint is run here."""

import re
import shlex
from collections.abc import Sequence
from itertools import pairwise

import click

from rotate_my_key.cli.app import App
from rotate_my_key.cli.commands import with_command
from rotate_my_key.cli.program import _typed_profile, _without_log_file, program
from rotate_my_key.cli.table import GLOBAL, OWN
from rotate_my_key.core.hints import _OF_ONE

# The words around a command in a hint end with ": ", and another command, or what it is for, begins after one of these.
_COMMAND = re.compile(r"(?:^|: )((?:AWS_\w+=\S+ )*rotate-my-key(?: .*?)?)(?=; | \(|, |$)")
# These may name another profile: a free one, where the one typed holds another key; the one with a role's key.
_OTHER = {"adopt", "import", "keyring"}
_PROFILE = {"-p", "--profile"}
_LOOK = {"status", "doctor", "history", "config show", "config path", "policy", "--help"}


def check(words: Sequence[str], shown: str) -> None:
    """Fails, with the hint, if one of those that were shown could not be typed, or acts on another profile."""
    for hint in re.findall(r"^hint: (.*)$", shown, re.MULTILINE):
        for command in _COMMAND.findall(hint):
            typed = shlex.split(command)
            typed = [word for word in typed[typed.index("rotate-my-key") + 1 :] if word not in OWN]
            typed = ["123456" if word == "CODE" else word for word in typed]
            try:
                verb = parse(typed)
            except click.exceptions.NoArgsIsHelpError:
                continue
            except click.ClickException as error:
                raise AssertionError(f"{hint!r} cannot be typed: {error.format_message()}") from None
            profile = _typed_profile(with_command(_without_log_file(words)[0]))
            named = [value for option, value in pairwise(typed) if option in _PROFILE]
            if "delete-key" in words:  # is about a key: whichever profile has it
                continue
            if profile and verb in _OF_ONE - _OTHER and not {"--all", "--help"} & {*shlex.split(command)}:
                assert profile in named, f"{hint!r} forgets the profile of {' '.join(words)!r}"


def harmless(hint: str) -> list[list[str]]:
    """The commands in a hint that only look, as words for the program."""
    typed = [shlex.split(command) for command in _COMMAND.findall(hint)]
    found = [words[words.index("rotate-my-key") + 1 :] for words in typed if words[0] == "rotate-my-key"]
    return [words for words in found if not _LOOK.isdisjoint((" ".join(words[:1]), " ".join(words[:2])))]


def parse(typed: Sequence[str]) -> str:
    """The command's name. Raises click.ClickException if the words are none of the program."""
    words = [word for word in with_command(typed) if word not in GLOBAL]
    names, group = [], program
    while isinstance(group, click.Group):
        context = click.Context(group)
        if not words:
            raise click.exceptions.NoArgsIsHelpError(context)
        names.append(words.pop(0))
        _, group, _ = group.resolve_command(context, [names[-1]])
    assert group
    group.make_context(names[-1], words, obj=App({}))
    return names[0]
