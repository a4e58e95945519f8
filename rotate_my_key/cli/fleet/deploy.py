"""`fleet template`, `fleet package` and `fleet onboarding`: CloudFormation, the zip for Lambda, a page for people."""

from __future__ import annotations

import shlex
import time
from datetime import timedelta

from ... import __version__
from ...core.errors import WrongUsage
from ...core.hints import Hint
from ...fleet import deploy
from ...fleet import onboarding as pages
from ...reminder.state import KEY, Item, line
from ..app import App

_DAY = 86400
# What the page tells of, and what should therefore be the site's and not one person's.
_TOLD = ("max_age", "remind_before", "overlap", "keep_old", "snooze", "contact", "minimum_version", "auth_profile")


def template(app: App, *, as_map: bool, member_role: bool) -> None:
    """Print a template."""
    if as_map and member_role:
        raise WrongUsage("--map and --member-role are two templates", Hint("fleet", "template", "--member-role"))
    kinds = deploy.TemplateKind
    kind = kinds.MAP if as_map else kinds.MEMBER_ROLE if member_role else kinds.FUNCTION
    app.out(deploy.template(kind).rstrip("\n"), exact=True)


def package(app: App, *, out: str, apprise: bool, with_botocore: bool, include: tuple[str, ...], as_json: bool) -> None:
    """Make the zip, and say how to go on."""
    with app.waiting("packing"):
        made = deploy.build(__version__, apprise=apprise, botocore=with_botocore, include=include)
        deploy.store(made, out)
    size = len(made.data)
    if as_json:
        sizes = {"path": out, "size": size, "unpacked": made.unpacked}
        app.json({**sizes, "sha256": made.sha256, "key": made.name, "parts": list(made.parts)})
        return
    app.say(f"contains {', '.join(made.parts)}")
    app.out(f"{out}  {size} bytes ({made.unpacked} unpacked)  sha256 {made.sha256}")
    app.say(
        "next:\n"
        f"  aws s3 cp {shlex.quote(out)} s3://BUCKET/{made.name}\n"
        "  rotate-my-key fleet template > fleet.yaml\n"
        "  aws cloudformation deploy --stack-name rotate-my-key-fleet --template-file fleet.yaml "
        f"--capabilities CAPABILITY_IAM --parameter-overrides CodeBucket=BUCKET CodeKey={made.name}",
        exact=True,
    )


def onboarding(app: App, *, as_html: bool, install: str | None) -> None:
    """Print the page; it tells of the settings in force."""
    if install is not None and not (install.strip() and install.isprintable()):
        raise WrongUsage("--install must be one line that people can type", Hint("fleet", "onboarding"))
    settings = app.settings
    for name in _TOLD:
        origin = settings.origin[name]
        if origin.source not in ("built-in", "") and not origin.source.startswith(app.paths.site_file):
            app.say(f"note: {name} = {origin.text} comes from {origin.source}, not from the site's settings")
    now, limit = int(time.time()), int(settings.max_age.total_seconds())
    due = int(max(settings.max_age - settings.remind_before, timedelta(0)).total_seconds())
    ages = [due, limit + 3 * _DAY] if due < limit else [limit + 3 * _DAY]  # due, and three days overdue
    items = [Item(KEY, "AKIA", ("default",), 0, now - age + limit, now - age) for age in ages]
    parts = pages.onboarding(settings, install or "", [line([item], limit, now, "default") for item in items])
    app.out((pages.page(parts) if as_html else pages.markdown(parts)).rstrip("\n"), exact=True)
