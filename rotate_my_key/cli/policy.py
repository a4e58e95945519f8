"""`policy`: the least IAM policy for a purpose, as JSON."""

from __future__ import annotations

import difflib

import click

from .. import policies
from ..errors import WrongUsage
from .app import App

_WIDTH = max(map(len, policies.names()))
_ROWS = (f"  {name:{_WIDTH}}  {policies.summary(name)}" for name in policies.names())


@click.command("policy", epilog="\b\nPolicies:\n" + "\n".join(_ROWS))  # \b: click leaves the lines as they are
@click.argument("name", required=False)
@click.pass_obj
def command(app: App, /, name: str | None) -> None:
    """Print the least IAM policy that allows something.

    `policy self` is to be attached to users or to their group, `policy fleet-report` to a role of IT's.
    """
    known = policies.names()
    if name not in known:
        meant = difflib.get_close_matches(name or "", known, n=1) or known[:1]
        what = f"there is no policy {name}" if name else "name a policy"
        raise WrongUsage(f"{what}; there are: {', '.join(known)}", f"rotate-my-key policy {meant[0]}")
    app.out(policies.text(name).rstrip("\n"))
