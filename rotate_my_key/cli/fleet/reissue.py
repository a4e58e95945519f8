"""`fleet reissue`: a key for a user who cannot make one, and what becomes of those that nobody fetched.

Nothing that is shown has a secret.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...core.errors import Gone, NeedsPerson, Problem, WrongUsage
from ...core.hints import Hint
from ...core.policy import day, exact, join, mask, number, stamp
from ...files.write import write_private
from ...fleet import reissue as engine
from ...fleet.audit import AuditTrail
from ...fleet.cleanup import CleanupResult, Sweeper, cleanup_line, sweep, whereabouts
from ...fleet.handover import waiting
from ...fleet.messages import day as utc_day
from ...fleet.model import AwsAccount
from ...fleet.reissue import HandoverResult, OldKeyEnd, ReissueContext, ReissuePlan, ReissueRequest
from ...fleet.survey import first_code
from ...settings.fleet import FleetSettings
from ..app import App
from .common import Names, agreed, close, fleet, open_fleet, problem_json, warn


def reissue(app: App, *, user: str | None, sweep: bool, **options: Any) -> int:
    """Make a key for a user, or look after those that were made."""
    if bool(user) == sweep:
        raise WrongUsage("name one user, or --sweep", Hint("fleet", "reissue", "USER"))
    return _Command(app, options).sweep() if user is None else _Command(app, options).reissue(user)


class _Command:
    """One call of the command."""

    def __init__(self, app: App, options: dict[str, Any]) -> None:
        self._app = app
        self._options = options
        self._settings, self._assembly = open_fleet(app)
        self._me = self._assembly.organization.me()
        self._waiting = waiting(self._assembly.cloud, self._assembly.organization, self._settings)
        self._token = os.urandom(4).hex()

    # One user

    def reissue(self, user: str) -> int:
        app, settings, now = self._app, self._settings, self._assembly.now
        plan = self._plan(user)
        end = engine.old_key_end(plan, self._assembly.organization, settings, now())
        for line in _intent_lines(plan, settings, now(), end):
            app.complain(line)
        if end.why:
            warn(app, f"{engine.UNKNOWN_END}: {end.why}")
        if self._options["dry_run"]:
            return self._end(plan, None, (), (), end)
        if not self._options["yes"] and not agreed(app, "Notify the owner again?" if plan.waits else "Create the key?"):
            return 4
        account, audit = plan.request.account, self._audit()
        context = ReissueContext(self._waiting, settings, audit, self._token, now, time.sleep)
        with app.waiting("creating the key"):
            handed = engine.hand_over(plan, self._assembly.organization.directory(account), context)
        close(app, audit, {plan.way.value: 1})
        self._write_link(handed)
        try:
            with app.waiting("notifying the owner"):
                told, problems = engine.tell(handed, plan.user, account, settings, self._assembly.cloud, now(), end)
        except Problem as problem:  # the key waits all the same
            told, problems = (), (problem,)
        return self._end(plan, handed, told, problems, end)

    def _plan(self, user: str) -> ReissuePlan:
        options, settings = self._options, self._settings
        account = AwsAccount(options["account"] or self._me.account)
        request = ReissueRequest(account, user, options["for_profile"], options["replace_inactive"], options["renew"])
        if not re.fullmatch(r"\d{12}", account.number):
            raise WrongUsage(f"{account.number!r} is not an account number", "--account 123456789012")
        if options["link_file"] and settings.reissue.through != "s3":
            raise WrongUsage(
                "--link-file needs reissue.through = s3", "leave --link-file out: adopt fetches the key by name"
            )
        directory = self._assembly.organization.directory(account)
        with self._app.waiting("checking the user's keys"):
            try:
                return engine.plan_reissue(request, directory, self._waiting, settings, self._assembly.now())
            except Gone as problem:
                raise self._elsewhere(user, account.number, problem) from None
            except NeedsPerson as problem:
                if problem.hint.endswith("--replace-inactive"):
                    problem.hint = self._app.again("--replace-inactive")
                raise

    def _elsewhere(self, user: str, here: str, problem: Problem) -> Problem:
        """That they are not in that account, and where they are."""
        there = whereabouts(self._assembly.organization, self._settings.accounts, user, here)
        found = [each for each, has in there.items() if has]
        said = f"there is no user {user} in {here}"
        if found:
            hint = self._app.again("--account", found[0] if len(found) == 1 else "NUMBER", but=("account",))
            return Gone(f"{said}, but there is one in {join(found)}", hint)
        if not there and self._options["account"]:
            return problem
        missed = sum(has is None for has in there.values())
        unknown = f" ({missed} of them could not be checked)" if missed else ""
        if there:
            said = f"{said}, nor in any of {number(len(there), 'other account')}{unknown}"
        return Gone(said, self._app.again("--account", "NUMBER", but=("account",)))

    def _write_link(self, handed: HandoverResult) -> None:
        """A link is a secret: it goes into a file of its own, and nowhere else."""
        path = self._options["link_file"]
        if not path:
            return
        record = self._waiting.find(handed.account, handed.user)
        if record is None:
            raise Problem("the key was fetched in the meantime", fleet(self._app, "report"))
        write_private(path, f"{self._waiting.link(record)}\n".encode())
        self._app.say(
            f"anybody who has the link in {path} can fetch the key, for "
            f"{exact(self._settings.reissue.link_for)} at most, less if the credentials that signed it expire sooner: "
            "send it so that only the user can read it, and delete the file"
        )

    def _end(
        self, plan: ReissuePlan, handed: HandoverResult | None, told: Names, problems: Sequence[Problem], end: OldKeyEnd
    ) -> int:
        if self._options["as_json"]:
            off = stamp(end.off) if end.off else None
            self._app.json({**_handover_json(plan, handed, told, problems), "old_key_off": off})
        else:
            self._app.out("\n".join(_handover_lines(plan, handed, told)))
        for note in handed.notes if handed else ():
            warn(self._app, note)
        for problem in problems:
            warn(self._app, f"the owner was not notified: {problem.message}")
        return 1 if problems else 0

    # All of them

    def sweep(self) -> int:
        app, options, organization = self._app, self._options, self._assembly.organization
        audit = self._audit()
        tools = Sweeper(organization, self._waiting, self._settings, audit, self._assembly.now, apply=False)
        with app.waiting("checking handed-over keys"):
            found = list(sweep(tools))
        acts = [each for each in found if each.acts]
        if acts and not options["dry_run"]:
            for line in _cleanup_lines(acts, dry_run=True):
                app.complain(line)
            if not options["yes"] and not agreed(app, "Continue?"):
                return 4
            with app.waiting("deleting keys that were not fetched"):
                found = list(sweep(replace(tools, apply=True), [(each.account, each.user) for each in found]))
            close(app, audit, Counter(each.disposition.value for each in found))
        if options["as_json"]:
            app.json(_cleanup_json(found, dry_run=options["dry_run"]))
        else:
            app.out("\n".join(_cleanup_lines(found, dry_run=options["dry_run"])))
        return first_code(each.problem.code for each in found if each.problem)

    def _audit(self) -> AuditTrail:
        return self._assembly.audit("reissue", self._token, self._app.detail)


def _intent_lines(plan: ReissuePlan, settings: FleetSettings, now: datetime, end: OldKeyEnd) -> list[str]:
    """What would be done: the lines before the question."""
    secret, keep = settings.reissue.through == "secretsmanager", settings.reissue.keep
    where = "Secrets Manager" if secret else f"s3://{settings.reissue.bucket}"
    lines = [f"{plan.user.name} in {plan.request.account}"]
    off = f"{utc_day(end.off)}, or a few days later, whether it was fetched or not" if end.off else ""
    rest = [f"The old key will be deactivated on {off}."] if off else []
    if plan.waits and plan.record:
        waiting = f"A key, {mask(plan.record.key_id)}, created on {day(plan.record.at)}, is waiting in {where} already."
        return [*lines, waiting, *rest]
    if plan.discards:
        lines.append(f"Key {mask(plan.discards.key_id)}, created earlier and not handed over, will be deleted.")
    if plan.gives_up:
        lines.append(f"Key {mask(plan.gives_up.key_id)}, which is inactive, will be deleted to make room.")
    lines.append(
        f"A new key will be created, and will wait in {where} for {exact(keep)}, until {day(now + keep, now)}."
    )
    if secret:
        lines.append(f"Only {' and '.join(plan.readers)} can read it.")
    if plan.replaces:
        works = any(key.key_id == plan.replaces and key.active for key in plan.keys)
        state = f"keeps working until {plan.user.name} has the new one" if works else "is inactive"
        lines.append(f"It replaces {mask(plan.replaces)}, which {state}.")
    return [*lines, *rest]


def _handover_lines(plan: ReissuePlan, done: HandoverResult | None, told: Sequence[str]) -> list[str]:
    if done is None:
        return ["Dry run: nothing was changed."]
    lines = [f"deleted key {mask(key_id)}" for key_id in done.deleted]
    what = "is still waiting" if plan.waits else "is waiting"
    lines.append(f"Key {mask(done.key_id)} {what} for {done.user} until {day(done.until)}.")
    if told:
        return [*lines, f"Notified via {' and '.join(told)}."]
    return [*lines, f"Ask {done.user} to run:", f"  rotate-my-key adopt {done.place}"]


def _handover_json(
    plan: ReissuePlan, done: HandoverResult | None, told: Sequence[str], problems: Sequence[Problem]
) -> dict[str, Any]:
    return {
        "dry_run": done is None,
        "account": plan.request.account.number,
        "arn": plan.user.arn,
        "ending": plan.way.value,
        "key_id": done.key_id if done else plan.record.key_id if plan.waits and plan.record else None,
        "replaces": plan.replaces or None,
        "place": done.place if done else None,
        "until": stamp(done.until) if done else None,
        "deleted": list(done.deleted) if done else [key.key_id for key in (plan.discards, plan.gives_up) if key],
        "told": list(told),
        "notes": list(done.notes) if done else [],
        "problems": [problem_json(problem) for problem in problems],
    }


def _cleanup_lines(found: Sequence[CleanupResult], *, dry_run: bool) -> list[str]:
    lines = [f"{'would be ' if dry_run and each.acts else ''}{cleanup_line(each)}" for each in found]
    return lines or ["Nothing is waiting."]


def _cleanup_json(found: Sequence[CleanupResult], *, dry_run: bool) -> dict[str, Any]:
    rows = [
        {
            "account": each.account,
            "user": each.user,
            "key_id": each.key_id or None,
            "fate": each.disposition.value,
            "why": each.why,
            "problem": problem_json(each.problem),
        }
        for each in found
    ]
    return {"dry_run": dry_run, "handovers": rows}
