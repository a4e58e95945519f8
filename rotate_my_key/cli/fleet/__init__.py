"""`fleet`: what IT does for all users of a company. Each command is a module of its own, loaded when called."""

from __future__ import annotations

from importlib import import_module

import click

# Command, where it is, its line in --help: read without loading the module.
_COMMANDS = {
    "report": ("report.command", "Show every key of all users: age, last use, verdict, owner."),
    "remind": ("remind.command", "Tell the owners of old keys, and the admins."),
    "enforce": ("enforce.command", "Switch off and delete what is too old, by the rules you set."),
    "revoke": ("revoke.command", "Switch off every key of one user, in every account."),
    "reissue": ("reissue.command", "Make a key for a user who cannot, and hand it over safely."),
    "template": ("deploy.template_command", "Print the CloudFormation template that runs it by itself."),
    "package": ("deploy.package_command", "Build the zip for the Lambda function."),
    "onboarding": ("deploy.onboarding_command", "Print the page that IT gives to people."),
}


class _Fleet(click.Group):
    """The commands, loaded lazily."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of --help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name not in self.commands:
            from ..program import add_globals

            module, _, name = _COMMANDS[cmd_name][0].partition(".")
            loaded: click.Command = getattr(import_module(f".{module}", __package__), name)
            add_globals(loaded)
            self.add_command(loaded, cmd_name)
        return self.commands[cmd_name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group("fleet", cls=_Fleet)
def command() -> None:
    """For all users of a company."""
