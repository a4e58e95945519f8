"""AWS Lambda: the fleet's commands as one handler. A program of its own, as `cli/` is: it reads environment and clock.

Event: {"command": "remind" | "report" | "enforce" | "sweep" | "accounts"}, and "account": a number, for one of them
alone (a Distributed Map gives it). What it returns and what it logs has no secret. It raises what is wrong with the run
as a whole, so that Lambda tries again, keeps the event, and the alarm goes off; what is wrong with one account or one
notice of many is in the result, with `incomplete`, and an alarm of its own. It ends before Lambda ends it: what was
not begun is `left`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import Problem, WrongUsage

if TYPE_CHECKING:
    from .assembly import Assembly
    from .jobs import FunctionRun

SETTINGS = "ROTATE_MY_KEY_FLEET_SETTINGS"  # the variable that names the SSM parameter
_SPARE = 30.0  # seconds for ending what was begun: letters under way, the digest, the audit
_ACCOUNT = re.compile(r"\d{12}")
_warm: dict[str, Assembly] = {}  # what a later call in the same process reuses: files, connections, credentials


class Fault(Exception):
    """A fault of this program: where it happened, never what the values were."""


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Run one command. Raises Problem, or Fault for what should not be; neither has a secret in it or behind it."""
    try:
        return _run(event, context)
    except Problem as problem:
        failure: Exception = type(problem)(
            f"{problem.message}; hint: {problem.hint}" if problem.hint else problem.message
        )
        log("error", problem.message, hint=problem.hint, kind=type(problem).__name__, code=problem.code)
    except Exception as error:  # noqa: BLE001  Lambda logs whole tracebacks, whose causes may quote anything
        failure = Fault(f"a fault in rotate-my-key {__version__}: {type(error).__name__} at {_where(error)}")
        log("error", str(failure), kind="Fault")
    raise failure


def _run(event: Any, context: Any) -> dict[str, Any]:
    from .jobs import JOBS

    began = time.monotonic()
    command, account = _read(event, tuple(JOBS))
    job = _job(account, context)
    log("info", "begun", command=command, account=account, policy=job.settings.fingerprint)
    result = {"version": 1, "command": command, "policy": job.settings.fingerprint, **JOBS[command](job)}
    log("info", "done", seconds=round(time.monotonic() - began, 1), **result)
    return result


def _read(event: Any, commands: tuple[str, ...]) -> tuple[str, str]:
    """The command and the account ("" for all) of an event. Raises WrongUsage."""
    if not isinstance(event, Mapping) or event.get("command") not in commands:
        raise WrongUsage(f"the event names no command; there are: {', '.join(commands)}", '{"command": "remind"}')
    account = event.get("account", "")
    if not isinstance(account, str) or not (account == "" or _ACCOUNT.fullmatch(account)):
        raise WrongUsage("the event's account is no text of twelve digits", '{"account": "123456789012"}')
    strange = sorted(set(event) - {"command", "account"})
    if strange:  # a misspelt account would be all accounts
        raise WrongUsage(f"the event has {strange[0]!r}, which means nothing here", "command and account are known")
    return str(event["command"]), account


def _job(account: str, context: Any) -> FunctionRun:
    from ..settings import fleet_ini
    from ..settings.fleet import FleetSettings
    from .deadline import Deadline
    from .jobs import FunctionRun
    from .presets import with_preset

    name = os.environ.get(SETTINGS, "").removeprefix("ssm:")
    if not name:
        raise WrongUsage(f"{SETTINGS} is not set", "set it to the name of the SSM parameter with the settings")
    assembly = _assembly()
    settings = fleet_ini.parse(assembly.cloud.vault().text(name), f"ssm:{name}", FleetSettings(), with_preset)
    deadline = Deadline(_remaining(context), _SPARE)
    return FunctionRun.of(assembly.configured(settings), settings, assembly.now(), deadline, _say, account)


def _remaining(context: Any) -> Any:
    """Seconds until Lambda ends the run; for ever where nobody says."""
    ask = getattr(context, "get_remaining_time_in_millis", None)
    return (lambda: ask() / 1000) if ask else (lambda: float("inf"))


def _assembly() -> Assembly:
    """The adapters, made once a process."""
    if "assembly" not in _warm:
        from ..aws.session import Aws
        from ..settings.fleet import FleetSettings
        from .assembly import Assembly, Signer

        aws = Aws(
            os.environ,
            version=__version__,
            clock=lambda: datetime.now(UTC),
            sleep=time.sleep,
            monotonic=time.monotonic,
        )
        _warm["assembly"] = Assembly(aws, Signer(), FleetSettings(), tell=_foreign)
    return _warm["assembly"]


def _foreign(url: str) -> None:
    log("warning", "the endpoint is not AWS's own", endpoint=url)


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "an unknown place"


def log(level: str, message: str, **more: Any) -> None:
    """One line of JSON; empty values are left out."""
    line = {"level": level, "message": message, **{name: each for name, each in more.items() if each not in ("", None)}}
    _say(json.dumps(line))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
