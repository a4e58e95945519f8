"""Whose keys they are, and who is left alone. Pure: tags, groups and the text of the mapping file are handed in.

- The first rule that gives an address decides; if none does, the first that gives a name. Root is nobody's by tag or
  name.
- IAM compares user names and the tag keys of users without regard to case (IAM User Guide, "Tags for IAM resources",
  and CreateUser), so it is done here too.
- What could not be read is said by `unreadable`: whoever acts on a user must ask, for "" from `exempt` is then no
  answer.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping

from ..errors import WrongUsage
from ..settings.fleet import Exempt, Owners
from .model import FleetUser, Owner

Addresses = Mapping[str, str]  # by `user` or `account/user` in lower case: see read_mapping
Members = Mapping[str, frozenset[str]]  # user names by group; a group that could not be read is missing

ROOT = "<root_account>"  # the credential report's word, and how the mapping file names root
_ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\"\\]+@[^\s@,;:<>()\[\]\"\\]+")
_WHO = re.compile(rf"(?:\d{{12}}/)?(?:[\w+=,.@-]{{1,64}}|{ROOT})")  # IAM API reference, User: UserName
_FORM = "a line is user,address or account/user,address; put a name with a comma in double quotes"


def read_mapping(text: str, where: str) -> dict[str, str]:
    """The mapping file: CSV with `user,address` or `account/user,address`; `#` begins a comment.

    Blank lines and a head `user,address` are passed over; root is `<root_account>`. Raises WrongUsage naming `where`
    and the line.
    """
    found: dict[str, str] = {}
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="")
    kept = ("\n" if line.lstrip().startswith("#") else line for line in lines)
    rows = csv.reader(kept, strict=True, skipinitialspace=True)
    try:
        for cells in rows:
            row = [cell.strip() for cell in cells]
            if any(row) and [cell.lower() for cell in row] != ["user", "address"]:
                _add(found, row, f"{where}, line {rows.line_num}")
    except csv.Error as error:
        raise WrongUsage(f"{where}, line {rows.line_num}: {error}", _FORM) from None
    return found


def _add(found: dict[str, str], row: list[str], where: str) -> None:
    if len(row) != 2:
        raise WrongUsage(f"{where}: {len(row)} values where there must be two", _FORM)
    who, address = row
    if not _WHO.fullmatch(who):
        raise WrongUsage(f"{where}: {who!r} is no user name", _FORM)
    if not address or not address.isprintable():
        raise WrongUsage(f"{where}: {who} has no address that could be used", _FORM)
    if found.setdefault(who.lower(), address) != address:
        raise WrongUsage(f"{where}: {who} has another address further up", "keep one of the two lines")


def owner_of(user: FleetUser, owners: Owners, mapping: Addresses) -> Owner:
    """Whom to tell of a user's keys; its address is "" if none is known."""
    found = [owner for rule in owners.by if rule in _RULES for owner in _RULES[rule](user, owners, mapping)]
    unknown = Owner("root" if user.is_root else user.name)
    return next((owner for owner in found if owner.address), next(iter(found), unknown))


def _by_mapping(user: FleetUser, owners: Owners, mapping: Addresses) -> Iterator[Owner]:
    name = (ROOT if user.is_root else user.name).lower()
    said = mapping.get(f"{user.account}/{name}") or mapping.get(name)
    if said:
        yield Owner(said, said, "mapping")


def _by_tag(user: FleetUser, owners: Owners, mapping: Addresses) -> Iterator[Owner]:
    said = _tag(user.tags or {}, owners.tag)
    if said and not user.is_root:
        yield Owner(said, _address(said, owners.domain), f"tag {owners.tag}")


def _by_name(user: FleetUser, owners: Owners, mapping: Addresses) -> Iterator[Owner]:
    if not user.is_root:
        yield Owner(user.name, _address(user.name, owners.domain), "user name")


_RULES: Mapping[str, Callable[[FleetUser, Owners, Addresses], Iterator[Owner]]] = {
    "mapping": _by_mapping,
    "tag": _by_tag,
    "name": _by_name,
}


def _address(text: str, domain: str) -> str:
    """The text if it is a mail address, else one in `domain`; "" if that cannot be one."""
    made = text if "@" in text or not domain else f"{text}@{domain.removeprefix('@')}"
    return made if _ADDRESS.fullmatch(made) and made.isprintable() else ""


def _tag(tags: Mapping[str, str], key: str) -> str | None:
    """A tag's value without blanks around it; None if there is no such tag."""
    return next((value.strip() for name, value in tags.items() if name.lower() == key.lower()), None)


def exempt(user: FleetUser, rules: Exempt, members: Members | None) -> str:
    """Why a user is left alone, such as `tag rotate-my-key=exempt`, or "". Root never is.

    `members` are the users of the groups in `rules`. "" is an answer only if `unreadable` has nothing to say.
    """
    return "" if user.is_root else next(_reasons(user, rules, members), "")


def _reasons(user: FleetUser, rules: Exempt, members: Members | None) -> Iterator[str]:
    yield from (f"tag {rule}" for rule in rules.tags if _has(user.tags or {}, rule))
    yield from (f"path {path}" for path in rules.paths if user.path.startswith(f"/{path.lstrip('/')}"))
    yield from (f"name {pattern}" for pattern in rules.names if _matches(user.name, pattern))
    groups = user.groups or frozenset()
    yield from (
        f"group {each}" for each in rules.groups if each in groups or user.name in (members or {}).get(each, ())
    )
    if rules.never_signed_in and user.password is False and user.signed_in is None:
        yield "never signed in"


def _has(tags: Mapping[str, str], rule: str) -> bool:
    """Whether a rule `KEY=VALUE` or `KEY` holds; the value as the laptop compares it: without regard to case."""
    key, sign, value = rule.partition("=")
    said = _tag(tags, key.strip())
    return said is not None and (not sign or said.lower() == value.strip().lower())


def _matches(name: str, pattern: str) -> bool:
    """`*` and `?` only: a bracket means nothing special."""
    parts = ({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern)
    return bool(re.fullmatch("".join(parts), name, re.IGNORECASE | re.DOTALL))


def unreadable(user: FleetUser, rules: Exempt, members: Members | None) -> str:
    """What keeps us from knowing whether a user is exempt, such as `the tags of alice`; "" if it is known.

    It is known once one rule holds, whatever else could not be read.
    """
    if user.is_root or exempt(user, rules, members):
        return ""
    if rules.tags and user.tags is None:
        return f"the tags of {user.name}"
    missing = [] if user.groups is not None else [each for each in rules.groups if each not in (members or {})]
    if missing:
        return f"the members of group {missing[0]}"
    if rules.never_signed_in and user.password is None and user.signed_in is None:
        return f"whether {user.name} has a password"
    return ""
