"""`policy`: the least IAM policy for a purpose, as JSON."""

from __future__ import annotations

import difflib

import click

from .. import policies
from ..errors import WrongUsage
from .app import App


@click.command(
    "policy", epilog="Policies: " + "; ".join(f"{name}: {policies.summary(name)}" for name in policies.names())
)
@click.argument("name", required=False)
@click.pass_obj
def command(app: App, /, name: str | None) -> None:
    """Print the least IAM policy that allows something: `policy self`, to be attached to users or to their group."""
    known = policies.names()
    if name not in known:
        meant = difflib.get_close_matches(name or "", known, n=1) or known[:1]
        what = f"there is no policy {name}" if name else "name a policy"
        raise WrongUsage(f"{what}; there are: {', '.join(known)}", f"rotate-my-key policy {meant[0]}")
    app.out(policies.text(name).rstrip("\n"))
