"""Templates of IT's own are rendered once with an example before anything else: one that is wrong is found on a day on
which nobody is to be told, and not on the first on which somebody is.
"""

from __future__ import annotations

from datetime import timedelta

from ..model import LastUse
from ..policy import Verdict
from ..settings.fleet import FleetSettings
from .letters import LISTED, values_of
from .model import AwsAccount, Owner
from .notices import Digest, DigestCounts, KeyLine, Notice, Remark, Unaddressed
from .rendering import Renderer


def rehearse(settings: FleetSettings, renderer: Renderer) -> None:
    """Raises WrongUsage naming the template and the line; sends nothing."""
    if not settings.remind.templates:
        return
    notice = _notice(settings, renderer)
    said = values_of(settings)
    renderer.message("owner", {"notice": notice, "keys": notice.keys, **said}, notice.owner.address)
    renderer.message("escalation", {"notice": notice, "keys": notice.keys, **said})
    renderer.message("digest", {"digest": _digest(notice, renderer), "most": LISTED, "always": True, **said})


def _notice(settings: FleetSettings, renderer: Renderer) -> Notice:
    age = settings.policy.max_age + timedelta(days=8)
    late = renderer.now - timedelta(days=8)
    use = LastUse(renderer.now - timedelta(hours=3), "s3", "eu-west-1")
    owner = Owner("alice", "alice@example.com", "user name")
    account = AwsAccount("123456789012", "production")
    line = KeyLine(account, "alice", owner.address, "...MPLE", Verdict.OVERDUE, age, late, late, use, told=3)
    return Notice(owner, (line,), escalated=True)


def _digest(notice: Notice, renderer: Renderer) -> Digest:
    """With a row of everything."""
    rows = (Remark("production (123456789012)", "an example"),)
    return Digest(
        renderer.now,
        DigestCounts(1, 1, 1, 1),
        old=notice.keys,
        told=(notice,),
        quiet=(notice,),
        unanswered=notice.keys,
        undelivered=rows,
        unaddressed=(Unaddressed("production (123456789012)", "bob", "bob"),),
        forgotten=rows,
        unsure=rows,
        broken=rows,
        notes=rows,
    )
