"""Which key an SDK uses here, and what in the profile files makes another program use another one."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from ..errors import NeedsPerson, Problem, TryLater, mask
from ..files.replace import Snapshot, foresee, snapshot
from ..model import Place
from ..profiles.file import KEY_ID, Kind, facts, quote
from ..profiles.places import ProfileFiles
from ..profiles.which import Active, find_active
from . import remedies
from .computer import Computer
from .environment import FILES, KEYS, PROFILES
from .finding import Finding, Level, Where

# What aws-vault and awsume follow to another profile's key, and SDKs do not.
_OTHERS_WORDS = ("include_profile", "parent_profile")
# Ways in that need no key in a file: nothing is wrong with them, there is just nothing to rotate.
_KEYLESS = (Kind.SSO, Kind.LOGIN, Kind.PROCESS, Kind.WEB_IDENTITY, Kind.ROLE)


def find(computer: Computer) -> tuple[Active | None, list[Finding]]:
    """The key in force; with keys in the environment or two profile names, the one that would be without them."""
    if isinstance(computer.profiles, Problem):
        return None, [remedies.finding(computer, Level.BROKEN, "unreadable-file", computer.profiles)]
    env = _without_the_wrong(computer)
    found = []
    try:
        active = find_active(env, computer.profile, computer.files, keyring=computer.keyring)
    except NeedsPerson as mixed:
        found.append(remedies.finding(computer, Level.BROKEN, "mixed-profile", mixed))
        try:
            active = find_active(env, computer.profile, computer.files, mixed=True)
        except Problem as problem:
            return None, [*found, _refusal(computer, problem)]
        active = replace(active, warnings=tuple(text for text in active.warnings if text != mixed.message))
    except TryLater as problem:
        return None, [remedies.finding(computer, Level.BROKEN, "keyring", problem)]
    except Problem as problem:
        return None, [_refusal(computer, problem)]
    return active, [*found, *(_doubt(computer, text) for text in active.warnings)]


def _without_the_wrong(computer: Computer) -> Mapping[str, str]:
    """The environment as it will be once the findings of `environment.py` are dealt with."""
    values = {computer.env.get(name) for name in PROFILES} - {None, ""}
    wrong = {*KEYS, *FILES, *(name for name in PROFILES if not computer.env.get(name))}
    if len(values) > 1:
        wrong.add(PROFILES[1])
    return {name: value for name, value in computer.env.items() if name not in wrong}


def _refusal(computer: Computer, problem: Problem) -> Finding:
    """Why there is no key to rotate, told apart by what the profile holds."""
    assert not isinstance(computer.profiles, Problem)
    name = computer.name
    if command := computer.put_back(name):
        return Finding(Level.BROKEN, "no-key", problem.message, command)
    if name not in computer.profiles.merged:
        return _misspelt(computer, name) or remedies.finding(computer, Level.BROKEN, "no-profile", problem)
    fact = next(fact for fact in facts(computer.profiles) if fact.profile == name)
    code, level = "unusable-key", Level.BROKEN
    where = computer.locate(problem.message)
    if "which SDKs do not know" in problem.message:
        return remedies.finding(computer, level, "misspelt-setting", problem, where=where)
    if fact.kind is Kind.NONE and not fact.note:
        merged = computer.profiles.merged
        other = next(filter(None, (merged[name].get(each) for each in _OTHERS_WORDS)), "")
        remedy = f"rotate-my-key adopt -p {quote(name)}"
        remedy = f"rotate-my-key rotate -p {quote(other)}" if other in merged else remedy
        return _misspelt(computer, name) or Finding(level, "no-key", problem.message, remedy)
    if fact.kind in _KEYLESS and (fact.kind is not Kind.ROLE or not fact.source):
        code, level = "nothing-to-rotate", Level.ADVICE
    elif fact.kind is Kind.SESSION:
        code, level = "session", Level.WARNING
    return remedies.finding(computer, level, code, problem, "rotate-my-key status", _section(computer, name))


def _misspelt(computer: Computer, name: str) -> Finding | None:
    """`[ default ]`: for botocore the blanks are a part of the name, for others they are not."""
    for file in computer.read_files:
        for section in file.sections:
            if section != section.strip() and section.strip() in (name, f"profile {name}"):
                message = f"[{section}] in {computer.show(file.path)} is not read: its brackets have blanks inside"
                where = Where(file.path)
                return Finding(Level.BROKEN, "misspelt-section", message, remedies.edit(computer, where), where)
    return None


def _section(computer: Computer, name: str) -> Where:
    """Where the profile's key stands, or else the file with its section."""
    assert not isinstance(computer.profiles, Problem)
    places = [
        Where(f.path, f.line_of(s, KEY_ID) if KEY_ID in f.sections[s] else None)
        for f, s in computer.profiles.sections_of(name)
    ]
    return max(places, key=lambda where: where.line is not None, default=Where())


def _doubt(computer: Computer, text: str) -> Finding:
    """Where another program may use another key; botocore does not."""
    where = computer.locate(text)
    return Finding(Level.WARNING, "other-key", text, remedies.edit(computer, where), where)


def check(computer: Computer, active: Active) -> Iterator[Finding]:
    """Whether every place of the key can be changed, as a rotation does it."""
    files, pair = ProfileFiles(*computer.files_named), active.pair
    good = []
    for holding in files.search([pair.key_id]):
        if holding.pair != pair:
            yield _other_secret(computer, holding.place, pair.key_id)
            continue
        try:
            files.check([holding.place], pair)
        except Problem as problem:
            yield remedies.finding(computer, Level.BROKEN, "uneditable", problem)
        else:
            good.append(holding.place)
    for text in files.check(good, pair):
        where = computer.locate(text)
        yield Finding(Level.WARNING, "sdks-differ", text, remedies.edit(computer, where), where)
    for path in dict.fromkeys(place.path for place in good):
        yield from _writable(computer, path)


def _other_secret(computer: Computer, place: Place, key_id: str) -> Finding:
    where = computer.locate(place.path)
    what = f"profile {place.profile} in {computer.show(place.path)}"
    message = f"{what} has the id of key {mask(key_id)} and another secret, or a token"
    return Finding(Level.WARNING, "other-secret", message, remedies.edit(computer, where), where)


def dead(computer: Computer, gone: Collection[str]) -> Iterator[Finding]:
    """Keys that this tool has deleted and that something here still holds: an old file came back, or a shell is old."""
    variable = KEYS[0]
    if computer.env.get(variable) in gone:
        message = f"{variable} is a key that was replaced here and is deleted"
        names = [name for name in (variable, "AWS_SECRET_ACCESS_KEY") if name in computer.env]
        yield Finding(Level.BROKEN, "dead-key", message, remedies.unset(computer, *names), computer.origin(variable))
    for holding in computer.holding(gone) if gone else ():
        if holding.pair:
            where = computer.locate(holding.place.path)
            what = f"{holding.place.profile} in {computer.show(holding.place.path)}"
            message = f"{what} holds key {mask(holding.pair.key_id)}, which was replaced here and is deleted"
            yield Finding(Level.WARNING, "dead-key", message, remedies.edit(computer, where), where)


def _writable(computer: Computer, path: str) -> Iterator[Finding]:
    where = Where(path)
    try:
        found = snapshot(path)
        reason = foresee(found) if found else None
    except Problem as problem:
        remedy = f"chmod u+w {computer.word(os.path.dirname(path))} {computer.word(path)}"
        if problem.hint.startswith("lsattr"):
            remedy = f"sudo chattr -i {computer.word(path)}"
        remedy = remedies.mount(computer, path) or remedy
        yield Finding(Level.BROKEN, "unwritable", problem.message, remedy, where)
        return
    if found and reason:
        message = f"{computer.show(path)} can only be written in place, since {reason}: an SDK may meet it half-written"
        yield Finding(Level.WARNING, "in-place", message, _replaceable(computer, found), where)


def _replaceable(computer: Computer, found: Snapshot) -> str:
    """What makes it a file with one name in a folder of this person's."""
    folder, word = os.path.dirname(found.path), computer.word(found.path)
    if found.status.st_nlink > 1:
        return f"cp -p {word} {word}.new && mv {word}.new {word}"
    if not os.access(folder, os.W_OK):
        return f"chmod u+w {computer.word(folder)}"
    return f"findmnt -T {word}"
