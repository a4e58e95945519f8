"""Turns values into sentences and into JSON; nothing else does. Pure: takes values, gives text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..core.errors import Interrupted, Problem
from ..core.model import AccessKey, LastUse, Place, PlaceKind
from ..core.plan import Step
from ..core.policy import Policy, Row, clock, day, in_words, join, mask, old, span, stamp, used, used_by
from ..rotation.ports import CommandResult, Did, Ending, Outcome

if TYPE_CHECKING:  # `fleet` shows problems, and knows no rotation
    from ..rotation.prepare import RotationPlan
    from ..rotation.run import Result

ShowPath = Callable[[str], str]
CANCELLED = "Cancelled. Nothing changed."


def last_used(use: LastUse | None, now: datetime) -> str:
    """`last used 3 hours ago by s3 in eu-west-1`."""
    return "last use unknown" if use is None else used(use.at, use.service, use.region, now)


def where(place: Place, show_path: ShowPath) -> str:
    """What holds the place, in words: a file's path, or the keyring."""
    return "the keyring" if place.kind is PlaceKind.KEYRING else show_path(place.path)


def names(places: Iterable[Place]) -> str:
    """The profiles of some places, each once."""
    return join(dict.fromkeys(place.profile for place in places))


def profiles(places: Iterable[Place]) -> str:
    """` (profiles default, work)`, behind a key; "" without any."""
    found = list(dict.fromkeys(place.profile for place in places))
    return f" (profile{'s' if len(found) > 1 else ''} {', '.join(found)})" if found else ""


def by_file(places: Iterable[Place], show_path: ShowPath) -> list[tuple[str, str]]:
    """Each file with the profiles in it."""
    files: dict[str, list[Place]] = {}
    for place in places:
        files.setdefault(where(place, show_path), []).append(place)
    return [(path, names(group)) for path, group in files.items()]


def header(plan: RotationPlan, policy: Policy, others: Row | None, foreign: Sequence[str] = ()) -> list[str]:
    """Who, which key, how old: the lines before the question. `others`: the last use by others."""
    who, key, now = plan.look.identity, plan.key, plan.look.now
    lines = [f"{who.user} in {who.account}, key {mask(key.key_id)}{profiles(plan.places)}"]
    age, limit = old(now - key.created), span(policy.max_age)
    limit = limit.removesuffix(" days") if age.endswith(" days old") and key.active else limit
    off = "" if key.active else ", inactive"
    lines.append(f"{age}, maximum age is {limit}{off}; {used_by(plan.look.use, others, now)}")
    if plan.recall:
        lines.append(f"{in_words(plan.recall.by, plan.recall.reason, now)}.")
    if plan.look.auth_profile:
        lines.append(f"IAM calls are signed with profile {plan.look.auth_profile}.")
    if foreign:
        lines.append(f"Endpoint: {join(foreign)} (not AWS)")
    second = plan.second
    if plan.merge and second and plan.draft:
        lines.append(
            f"{who.user} has two keys in profiles here: {names(plan.draft.places)} will be switched to "
            f"{mask(plan.draft.wanted or '')}, and {mask(plan.draft.unwanted)} will be deleted."
        )
    elif second and second.kept:
        works = f" and working until {clock(second.kept.switch_off_at, now)}" if second.key.active else ""
        lines.append(
            f"Key {mask(second.key.key_id)}, kept by an earlier rotation{works}, will be deleted to make room."
        )
    return lines


_DID = {
    Step.CREATE: "created a new key {key}",
    Step.PROVE: "key {key} works (verified in {seconds:.0f} s)",
    Step.DEACTIVATE: "deactivated the {which} key {key}",
    Step.DELETE: "deleted the {which} key {key}",
    Step.DISCARD: "deleted key {key}, whose secret never arrived",
    Step.MAKE_ROOM: "deleted the inactive key {key}",
    Step.SWITCH_ON: "made sure that key {key} is active",
}


def did_line(did: Did, show_path: ShowPath, *, back: bool = False) -> str:
    """What a step did; `back`: of a rotation that is taken back, where the new key goes."""
    if did.step in (Step.SWITCH, Step.RESTORE):
        done = "updated" if did.step is Step.SWITCH else "restored"
        return "; ".join(f"{path}: {done} {who}" for path, who in by_file(did.places, show_path))
    text = _DID.get(did.step, str(did.step.value))
    return text.format(key=mask(did.key_id), seconds=did.seconds, which="new" if back else "old")


_DOING = {
    Step.BEGIN: "checking that your files can be written",
    Step.LOOK: "checking your keys...",
    Step.CREATE: "creating a new key",
    Step.PROVE: "waiting for the new key to take effect (about 10 seconds, Ctrl-C is safe)",
    Step.SWITCH: "updating your profiles",
    Step.RESTORE: "updating your profiles",
    Step.FOLLOW: "updating other files that hold the key",
    Step.CHECK: "signing in with the key from the profile",
    Step.DEACTIVATE: "deactivating the old key",
    Step.DELETE: "deleting the old key",
    Step.DISCARD: "deleting a key whose secret never arrived",
    Step.MAKE_ROOM: "deleting the inactive key",
    Step.SWITCH_ON: "reactivating the key",
    Step.TAKE_BACK: "rolling back",
}


def doing(step: Step) -> str:
    """What goes on, for the spinner; "" for steps that take no time."""
    return _DOING.get(step, "")


_FORESEEN = {
    Step.CREATE: "create a new key",
    Step.PROVE: "verify it: three sign-ins in a row",
    Step.DEACTIVATE: "deactivate the old key",
    Step.DELETE: "delete the old key",
    Step.MAKE_ROOM: "delete the inactive key",
}


def foreseen(steps: Sequence[Step], plan: RotationPlan, show_path: ShowPath) -> list[str]:
    """The lines of `--dry-run`."""
    lines = []
    if plan.due and plan.second and not plan.merge and not plan.second.kept:
        lines.append(f"delete the inactive key {mask(plan.second.key.key_id)}, if you agree")
    for step in steps:
        if step is Step.SWITCH and plan.draft:
            lines += [f"update {place.profile} in {where(place, show_path)}" for place in plan.draft.places]
        elif step is Step.FOLLOW and plan.draft:
            lines += (
                ["update the other files that hold it, before the old key is deactivated"] if plan.draft.copies else []
            )
            lines += _commands(plan, holding=True)
        elif step in _FORESEEN:
            lines.append(_FORESEEN[step])
    return [*lines, *_commands(plan, holding=False)]


def _commands(plan: RotationPlan, *, holding: bool) -> list[str]:
    """The commands of [after_rotate] that would run before the old key goes, or at the end."""
    names = [hook.name for hook in plan.hooks if (hook.holds_old and not plan.leaked) == holding]
    when = "before the old key is deactivated" if holding else "at the end"
    return [f"run {join(names)} from [after_rotate], {when}"] if names else []


def result_line(result: Result, policy: Policy, now: datetime) -> str:
    """The last line for one key."""
    outcome = result.outcome
    assert outcome is not None
    due = f"due on {day(policy.due_at(outcome.created), now)}." if outcome.created else ""
    match outcome.ending:
        case Ending.FRESH:
            if outcome.created is None:
                return "Nothing to do."
            return f"Key {mask(outcome.old)} is fine ({old(now - outcome.created)}). {due[0].upper()}{due[1:]}"
        case Ending.EXEMPT:
            return "This user is tagged exempt. Use --force to rotate the key anyway."
        case Ending.ROTATED | Ending.MERGED | Ending.WAITING:
            return f"Done. Next rotation {due}" if due else "Done."
        case Ending.UNDONE:
            return f"Done. Key {mask(outcome.old)} is in use again."
        case Ending.REPLACED:
            return f"Nothing to do: key {mask(outcome.old)} has just been replaced."
        case Ending.DECLINED:
            return CANCELLED
        case _:
            return f"Gave up rotating key {mask(outcome.old)}. Nothing changed."


def kept_line(outcome: Outcome, now: datetime) -> str:
    """How long the old key works, and when it goes; "" if it is gone."""
    if outcome.until is None:
        return ""
    works = outcome.works_until
    if works and works == outcome.until:
        return f"old key {mask(outcome.old)} works until {clock(works, now)}; then it is deactivated and deleted"
    working = f"works until {clock(works, now)}, " if works else ""
    return f"old key {mask(outcome.old)} {working}stays inactive until {clock(outcome.until, now)} and is then deleted"


_COUNTED = {
    Ending.ROTATED: "rotated",
    Ending.MERGED: "merged",
    Ending.WAITING: "rotated",
    Ending.REPLACED: "replaced already",
    Ending.FRESH: "not due",
    Ending.EXEMPT: "exempt",
    Ending.DECLINED: "declined",
}


def summary(results: Sequence[Result]) -> str:
    """The last line for several keys: `5 keys: 3 rotated, 1 not due, 1 failed`."""
    words = [
        "failed" if each.problem or not each.outcome else _COUNTED.get(each.outcome.ending, each.outcome.ending.value)
        for each in results
    ]
    known = [word for word in dict.fromkeys([*_COUNTED.values(), *words]) if word in words and word != "failed"]
    known += ["failed"] if "failed" in words else []
    counts = ", ".join(f"{words.count(word)} {word}" for word in known)
    return f"{len(words)} key{'s' if len(words) != 1 else ''}: {counts}" if words else "no keys found"


def settled_line(result: Result) -> str:
    """What finishing an earlier run came to."""
    outcome = result.outcome
    assert outcome is not None
    match outcome.ending:
        case Ending.WAITING:
            return ""
        case Ending.ROTATED | Ending.MERGED:
            return f"finished the earlier rotation of key {mask(outcome.old)}{profiles(outcome.places)}"
        case Ending.TAKEN_BACK | Ending.UNDONE:
            return f"finished undoing the earlier rotation of key {mask(outcome.old)}"
        case _:
            if outcome.ended:
                return (
                    f"removed a leftover record of the rotation of key {mask(outcome.old)}, "
                    f"which ended on {day(outcome.ended)}"
                )
            return f"gave up the earlier rotation of key {mask(outcome.old)}: there is nothing left to finish"


def result_json(result: Result, policy: Policy) -> dict[str, Any]:
    """One key of `rotate --json`. Ids are whole; times are ISO 8601 in UTC."""
    outcome = result.outcome or Outcome(Ending.FRESH, result.key_id)
    problem = result.problem
    return {
        "profiles": list(result.profiles),
        "key_id": outcome.old or None,
        "new_key_id": outcome.new if outcome.new != outcome.old else None,
        "account": outcome.account or None,
        "arn": outcome.arn or None,
        "ending": "problem" if problem else outcome.ending.value,
        "places": [place.json() for place in outcome.places],
        "works_until": stamp(outcome.works_until),
        "kept_until": stamp(outcome.until),
        "next_due": stamp(policy.due_at(outcome.created)) if outcome.created and not problem else None,
        "steps": [step.value for step in outcome.steps],
        "problem": problem_json(problem) if problem else None,
    }


def problem_json(problem: Problem | Interrupted) -> dict[str, Any]:
    """A problem for `--json`; `code` is the exit code it stands for."""
    return {"message": problem.message, "hint": problem.hint, "code": problem.code}


def commands_json(results: Sequence[CommandResult]) -> list[dict[str, Any]]:
    """How the commands of [after_rotate] ended, for `--json`."""
    return [
        {
            "name": each.name,
            "exit_code": each.exit_code,
            "problem": problem_json(each.problem) if each.problem else None,
        }
        for each in results
    ]


def key_json(key: AccessKey) -> dict[str, Any]:
    """A key of AWS's list for `--json`."""
    return {"key_id": key.key_id, "status": key.status, "created": stamp(key.created)}
