"""`fleet template`: the CloudFormation templates that run the fleet's commands by themselves."""

from __future__ import annotations

import click

from ...errors import WrongUsage
from ..app import App


@click.command("template")
@click.option("--map", "as_map", is_flag=True, help="With a state machine that runs it for each account, many at once.")
@click.option("--member-role", is_flag=True, help="The role in member accounts instead, for a StackSet.")
@click.pass_obj
def command(app: App, /, as_map: bool, member_role: bool) -> None:
    """Print the CloudFormation template of the function, its schedules, its role and its alarms.

    The zip for it is made by `fleet package`; docs/it/lambda.md has the whole way, step by step.
    """
    from ...fleet.template import TemplateKind, template

    if as_map and member_role:
        raise WrongUsage("--map and --member-role are two templates", "rotate-my-key fleet template --member-role")
    kind = TemplateKind.MAP if as_map else TemplateKind.MEMBER_ROLE if member_role else TemplateKind.FUNCTION
    app.out(template(kind).rstrip("\n"))
