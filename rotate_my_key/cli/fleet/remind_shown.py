"""What `fleet remind` shows in a terminal: values become sentences."""

from __future__ import annotations

from collections.abc import Iterator

from ...fleet.alike import alike, some
from ...fleet.letters import Letter
from ...fleet.notice_plan import NoticePlan
from ...fleet.notices import Digest, Remark
from ...fleet.reminding import RemindResult
from ...words import join, number

_LISTED = 20  # owners by name; a company has hundreds


def question(outcome: RemindResult, plan: NoticePlan) -> str:
    """What is about to be sent."""
    lines = [_found(outcome.digest)]
    owners = [letter for letter, _ in outcome.letters if letter.planned and not letter.escalation]
    others = [letter for letter, _ in outcome.letters if letter.escalation]
    digests = [letter for letter, _ in outcome.letters if letter.planned is None]
    if owners:
        told = len({id(letter.planned) for letter in owners})
        lines.append(f"{number(told, 'owner')} will be told over {_over(owners)}")
    if plan.quiet:
        lines.append(f"{number(len(plan.quiet), 'owner')} told a short while ago and left in peace")
    if others:
        lines.append(f"{number(len(others), 'escalation')} over {_over(others)}")
    if digests:
        lines.append(f"the digest goes out over {_over(digests)}")
    return "\n".join(lines)


def _found(digest: Digest) -> str:
    counts = digest.counts
    found = f"{number(counts.accounts, 'account')}, {number(counts.users, 'user')}, {number(counts.keys, 'key')}"
    root = f"{counts.root:,} of root, " if counts.root else ""
    return f"{found}: {root}{digest.overdue:,} overdue, {digest.due:,} due"


def _over(letters: list[Letter]) -> str:
    return join(dict.fromkeys(letter.channel.name for letter in letters))


def preview(outcome: RemindResult, plan: NoticePlan) -> str:
    """Every message as it would go out."""
    parts = [_message(letter) for letter, _ in outcome.letters]
    for planned in plan.quiet:
        owner = planned.notice.owner
        parts.append(f"--- {owner.address or owner.name} was told a short while ago and is left in peace\n")
    return "\n".join([*parts, f"Nothing was sent. {_found(outcome.digest)}"])


def _message(letter: Letter) -> str:
    to = f" to {letter.message.to}" if letter.message.to else ""
    return f"--- over {letter.channel.name}{to}\nSubject: {letter.message.subject}\n\n{letter.message.text}"


def done(outcome: RemindResult, plan: NoticePlan) -> str:
    """What became of it."""
    digest = outcome.digest
    lines = [_found(digest)]
    for notice in digest.told[:_LISTED]:
        owner = notice.owner
        keys = number(len(notice.keys), "key")
        lines.append(f"  told {owner.address or owner.name} of {keys}, notice {notice.number}")
    if len(digest.told) > _LISTED:
        lines.append(f"  and told {number(len(digest.told) - _LISTED, 'other owner')}; --json names all")
    digests = [letter for letter, problem in outcome.letters if letter.planned is None and not problem]
    if digests:
        lines.append(f"  the digest went out over {_over(digests)}")
    if not outcome.letters:
        lines.append("Nothing was to be sent.")
    return "\n".join(lines)


def unreached(digest: Digest) -> Iterator[tuple[str, str]]:
    """Whose owners no channel can reach, and what to do about it. Root is nobody's by tag or name."""
    users = [row.user for row in digest.unaddressed if not row.root]
    if users:
        have = "user has" if len(users) == 1 else "users have"
        line = f"{len(users):,} {have} no address, so nobody is told of their keys: {some(users)}"
        yield line, "set tag, domain or mapping in [owners]; --json names all"
    roots = [row.account for row in digest.unaddressed if row.root]
    if roots:
        of = f"account {roots[0]}" if len(roots) == 1 else f"{len(roots):,} accounts ({some(roots)})"
        yield (
            f"root of {of} has no address, so nobody is told of its key",
            "add <root_account>,ADDRESS to the mapping of [owners]",
        )


def troubles(outcome: RemindResult) -> Iterator[tuple[str, str]]:
    """What did not work and what to do about it, the same fault of many as one."""
    digest = outcome.digest
    letters = (Remark(each.about, why, outcome.hints.get(why, "")) for each, why in outcome.letters if why)
    for same in alike(letters):
        whose = f"{len(same.abouts):,} messages ({some(same.abouts)})" if len(same.abouts) > 1 else same.abouts[0]
        yield f"{whose}: {same.text}", same.hint
    for same in alike(digest.forgotten):
        many = len(same.abouts) > 1
        whose = f"{len(same.abouts):,} users ({some(same.abouts)}) were" if many else f"{same.abouts[0]} was"
        yield f"{whose} told, and will be again by the next run: {same.text}", same.hint
    for same in alike(digest.notes):
        yield f"{some(same.abouts)}: {same.text}", same.hint
    for same in alike(digest.unsure):
        yield f"{some(same.abouts)} may be exempt: {same.text} could not be read", ""
