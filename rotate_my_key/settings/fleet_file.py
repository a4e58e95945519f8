"""Which fleet settings count: those that were named, else `fleet.ini` beside the user's or the site's own file.

Fetching a parameter is handed in. Files are looked for in this order: what `--settings` names, `fleet.ini` beside the
user's config.ini, `fleet.ini` beside the site's file if nobody else could have written it. Without any: what `base`
says.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ..errors import Problem, WrongUsage
from ..paths import Paths
from .fleet import FleetSettings
from .fleet_ini import ApplyPreset, parse
from .reading import read, unreadable

NAME = "fleet.ini"
_PARAMETER = "ssm:"
_NAMED = "name the fleet's settings: --settings FILE, or --settings ssm:/NAME"


def load(
    paths: Paths, named: str, fetch: Callable[[str], str], base: FleetSettings, preset: ApplyPreset | None = None
) -> FleetSettings:
    """The settings; `named` is a path or `ssm:NAME`, "" for the usual places; `fetch` gives a parameter's text.

    Raises WrongUsage for what is wrong in them, Problem for a file that cannot be read, and what `fetch` raises.
    """
    if named.startswith(_PARAMETER):
        return parse(fetch(named), named, base, preset)
    path = named or _usual(paths)
    if not path:
        return base
    data = read(path, hint=_NAMED)
    if data is None:
        raise WrongUsage(f"there is no file {path}", _NAMED)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise WrongUsage(f"{path} is not UTF-8 text", f"save it as UTF-8: {path}") from None
    return parse(text, path, base, preset)


def _usual(paths: Paths) -> str:
    mine = os.path.join(os.path.dirname(paths.config_file), NAME)
    if os.path.exists(mine):
        return mine
    theirs = os.path.join(os.path.dirname(paths.site_file), NAME)
    return theirs if _trusted(theirs, paths) else ""


def _trusted(path: str, paths: Paths) -> bool:
    """Raises Problem for one that somebody else could have written: to go on without would be to act on other rules."""
    from . import trust

    try:
        reason = trust.objection(path, paths.site_owner, paths.site_top)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(path, error, site=True) from None
    if reason:
        raise Problem(f"{path} does not count: {reason}", "mend that, or name another: --settings FILE")
    return True
