"""`policy`: the least IAM policy for a purpose, as JSON."""

from __future__ import annotations

from .. import policies
from ..core.errors import WrongUsage
from ..core.hints import Hint
from ..core.policy import nearest
from .app import App


def run(app: App, *, name: str | None) -> None:
    """Print the least IAM policy that allows something."""
    known = policies.names()
    if name not in known:
        meant = nearest(name or "", known) or known[0]
        what = f"there is no policy {name}" if name else "name a policy"
        raise WrongUsage(f"{what}; there are: {', '.join(known)}", Hint("policy", meant))
    app.out(policies.text(name).rstrip("\n"), exact=True)
