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
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ...core.errors import Gone, NeedsPerson, Problem, WrongUsage, mask
from ...core.policy import format_duration
from ...core.words import day, join, number
from ..app import App
from .common import again, agreed, close, fleet_options, open_fleet, problem_json, stamp, warn

if TYPE_CHECKING:
    from ...fleet.audit import AuditTrail
    from ...fleet.cleanup import CleanupResult, Whereabouts
    from ...fleet.handover import HandoverStore
    from ...fleet.reissue import HandoverResult, ReissuePlan
    from ...settings.fleet import FleetSettings


def intent_lines(plan: ReissuePlan, settings: FleetSettings, now: datetime) -> list[str]:
    """What would be done: the lines before the question."""
    where = "Secrets Manager" if settings.reissue.through == "secretsmanager" else f"s3://{settings.reissue.bucket}"
    lines = [f"{plan.user.name} in {plan.request.account}"]
    if plan.waits and plan.record:
        return [*lines, f"A key, {mask(plan.record.key_id)}, made on {day(plan.record.at)}, waits in {where} already."]
    if plan.discards:
        lines.append(f"Key {mask(plan.discards.key_id)}, made earlier and not handed over, is deleted.")
    if plan.gives_up:
        lines.append(f"Key {mask(plan.gives_up.key_id)}, which is switched off, is deleted to make room.")
    keep = settings.reissue.keep
    lines.append(f"A new key is made, and waits in {where} for {_exact(keep)}, until {day(now + keep, now)}.")
    if settings.reissue.through == "secretsmanager":
        lines.append(f"It can be read by {' and '.join(plan.readers)}, and by nobody else.")
    if plan.replaces:
        lines.append(f"It is to replace {mask(plan.replaces)}, which is not touched before {plan.user.name} has it.")
    return lines


def elsewhere_text(user: str, number_: str, there: Whereabouts) -> str:
    """That he is not in that account, and where he is; "" if nowhere else was looked."""
    said = f"there is no user {user} in {number_}"
    if there.found:
        return f"{said}, but there is one in {join(there.found)}"
    unknown = f" ({there.unknown} of them could not be asked)" if there.unknown else ""
    return f"{said}, nor in any of {number(there.looked, 'other account')}{unknown}" if there.looked else ""


def _exact(duration: timedelta) -> str:
    """`7 days`, `36 hours`: in the largest unit that leaves no rest."""
    text = format_duration(duration)
    return number(int(text[:-1]), {"d": "day", "h": "hour", "m": "minute", "s": "second"}[text[-1]])


def question_text(plan: ReissuePlan) -> str:
    """Asked once."""
    return "Tell the owner again?" if plan.waits else "Make it now?"


def link_text(path: str, settings: FleetSettings) -> str:
    """Where the link is, and for how long it may be good."""
    span = _exact(settings.reissue.link_for)
    return (
        f"{path} holds a link that whoever has it can fetch the key with, for {span} at most, "
        "less if the credentials that signed it end sooner: "
        "send it by a way that only the user can read, and delete the file"
    )


def handover_lines(plan: ReissuePlan, done: HandoverResult | None, told: Sequence[str]) -> list[str]:
    """The result."""
    if done is None:
        return ["Nothing was changed: a dry run."]
    lines = [f"deleted key {mask(key_id)}" for key_id in done.deleted]
    what = "still waits" if plan.waits else "waits"
    lines.append(f"Key {mask(done.key_id)} {what} for {done.user} until {day(done.until)}.")
    lines.append(f"Told by {' and '.join(told)}." if told else f"Tell {done.user} to type:")
    return lines if told else [*lines, f"  rotate-my-key adopt {done.place}"]


def handover_json(
    plan: ReissuePlan, done: HandoverResult | None, told: Sequence[str], problems: Sequence[Problem]
) -> dict[str, Any]:
    """`fleet reissue USER --json`."""
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


# The sweep


def cleanup_lines(found: Sequence[CleanupResult], *, dry_run: bool) -> list[str]:
    """The result: a line each."""
    from ...fleet.cleanup import cleanup_line

    if not found:
        return ["Nothing is waiting."]
    return [f"{'would be ' if dry_run and each.acts else ''}{cleanup_line(each)}" for each in found]


def cleanup_json(found: Sequence[CleanupResult], *, dry_run: bool) -> dict[str, Any]:
    """`fleet reissue --sweep --json`."""
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


@click.command("reissue")
@click.argument("user", required=False, metavar="[USER]")
@click.option("--account", metavar="NUMBER", help="The user's account (default: the caller's own).")
@click.option("--for-profile", metavar="NAME", default="", help="The profile that the user should put it in.")
@click.option("--replace-inactive", is_flag=True, help="Delete a key of his that is switched off, to make room.")
@click.option("--renew", is_flag=True, help="Replace a key that waits already and was never used.")
@click.option("--link-file", metavar="FILE", help="With S3: write a link to fetch it with into this file (0600).")
@click.option("--sweep", is_flag=True, help="Delete what was not fetched in time.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; no secret is in it.")
@fleet_options
@click.pass_obj
def command(app: App, /, user: str | None, **options: Any) -> int:
    """Make a key for USER, and put it where only he can fetch it.

    He takes it with rotate-my-key adopt, which puts it in place of the old one and rotates it at once. His old key is
    not touched here. Off unless the settings say so.
    """
    if bool(user) == options["sweep"]:
        raise WrongUsage("name one user, or --sweep", "rotate-my-key fleet reissue USER")
    return _Command(app, options).sweep() if user is None else _Command(app, options).reissue(user)


class _Command:
    """One call of the command."""

    def __init__(self, app: App, options: dict[str, Any]) -> None:
        from ...fleet.handover import waiting

        self._app = app
        self._options = options
        self._settings, self._assembly = open_fleet(app)
        self._me = self._assembly.organization.me()
        self._waiting: HandoverStore = waiting(
            self._assembly.cloud, self._me, self._settings.reissue, self._settings.where
        )
        self._token = os.urandom(4).hex()

    # One user

    def reissue(self, user: str) -> int:
        plan = self._plan(user)
        for line in intent_lines(plan, self._settings, self._assembly.now()):
            self._app.complain(line)
        if self._options["dry_run"]:
            return self._end(plan, None, (), ())
        if not self._options["yes"] and not agreed(self._app, question_text(plan)):
            return 4
        handed = self._hand_over(plan)
        self._write_link(handed)
        told, problems = self._tell(plan, handed)
        return self._end(plan, handed, told, problems)

    def _plan(self, user: str) -> ReissuePlan:
        from ...fleet.model import AwsAccount
        from ...fleet.reissue import ReissueRequest, plan_reissue

        account = AwsAccount(self._options["account"] or self._me.account)
        request = ReissueRequest(
            account, user, self._options["for_profile"], self._options["replace_inactive"], self._options["renew"]
        )
        if not re.fullmatch(r"\d{12}", account.number):
            raise WrongUsage(f"{account.number!r} is no account", "--account 123456789012")
        if self._options["link_file"] and self._settings.reissue.through != "s3":
            raise WrongUsage(
                "there is a link only where reissue.through is s3", "leave --link-file out: adopt fetches it by name"
            )
        directory = self._assembly.organization.directory(account)
        with self._app.waiting("asking AWS"):
            try:
                return plan_reissue(request, directory, self._waiting, self._settings, self._assembly.now())
            except Gone as problem:
                raise self._elsewhere(user, account.number, problem) from None
            except NeedsPerson as problem:
                if problem.hint.endswith("--replace-inactive"):
                    problem.hint = again(self._app, "--replace-inactive")
                raise

    def _elsewhere(self, user: str, number: str, problem: Problem) -> Problem:
        from ...fleet.cleanup import whereabouts

        there = whereabouts(self._assembly.organization, self._settings.accounts, user, number)
        found = elsewhere_text(user, number, there)
        if not found:
            hint = again(self._app, "--account", "NUMBER", but=("account",))
            return Gone(f"there is no user {user} in {number}", hint) if not self._options["account"] else problem
        which = there.found[0] if len(there.found) == 1 else "NUMBER"
        return Gone(found, again(self._app, "--account", which, but=("account",)))

    def _hand_over(self, plan: ReissuePlan) -> HandoverResult:
        from ...fleet.reissue import ReissueContext, hand_over

        directory = self._assembly.organization.directory(plan.request.account)
        audit = self._audit()
        now = self._assembly.now
        context = ReissueContext(self._waiting, self._settings, audit, self._token, now, time.sleep)
        with self._app.waiting("making the key and its place"):
            handed = hand_over(plan, directory, context)
        close(self._app, audit, {plan.way.value: 1})
        return handed

    def _write_link(self, handed: HandoverResult) -> None:
        """A link is a secret: it goes into a file of its own, and nowhere else."""
        from ...files.private import write_private

        path = self._options["link_file"]
        if not path:
            return
        record = self._waiting.find(handed.account, handed.user)
        if record is None:
            raise Problem("what was handed over was fetched in the meantime", "rotate-my-key fleet report")
        write_private(path, f"{self._waiting.link(record)}\n".encode())
        self._app.say(link_text(path, self._settings))

    def _tell(self, plan: ReissuePlan, handed: HandoverResult) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
        """That he cannot be told is said: the key waits all the same."""
        from ...fleet.reissue import tell

        settings = self._settings
        try:
            with self._app.waiting("telling the owner"):
                return tell(
                    handed, plan.user, plan.request.account, settings, self._assembly.cloud, self._assembly.now()
                )
        except Problem as problem:
            return (), (problem,)

    def _end(
        self, plan: ReissuePlan, handed: HandoverResult | None, told: tuple[str, ...], problems: tuple[Problem, ...]
    ) -> int:
        if self._options["as_json"]:
            self._app.json(handover_json(plan, handed, told, problems))
        else:
            self._app.out("\n".join(handover_lines(plan, handed, told)))
        for note in handed.notes if handed else ():
            warn(self._app, note)
        for problem in problems:
            warn(self._app, f"the owner was not told: {problem.message}")
        return 1 if problems else 0

    # All of them

    def sweep(self) -> int:
        from ...fleet.cleanup import Sweeper, sweep
        from ...fleet.survey import first_code

        audit = self._audit()
        tools = Sweeper(
            self._assembly.organization, self._waiting, self._settings, audit, self._assembly.now, apply=False
        )
        with self._app.waiting("looking at what was handed over"):
            found = list(sweep(tools))
        acts = [each for each in found if each.acts]
        if acts and not self._options["dry_run"]:
            for line in cleanup_lines(acts, dry_run=True):
                self._app.complain(line)
            if not self._options["yes"] and not agreed(self._app, "Do it?"):
                return 4
            with self._app.waiting("deleting what was not fetched"):
                places = [(each.account, each.user) for each in found]
                found = list(sweep(replace(tools, apply=True), places))
            close(self._app, audit, Counter(each.disposition.value for each in found))
        if self._options["as_json"]:
            self._app.json(cleanup_json(found, dry_run=self._options["dry_run"]))
        else:
            self._app.out("\n".join(cleanup_lines(found, dry_run=self._options["dry_run"])))
        return first_code(each.problem.code for each in found if each.problem)

    def _audit(self) -> AuditTrail:
        from ...fleet.audit import TextSink

        return self._assembly.audit("reissue", self._token, TextSink(self._app.detail))
