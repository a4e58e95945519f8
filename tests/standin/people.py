"""Users, their tags and their groups: what IAM lists of them in pages, and where it draws the line.

Sources: IAM API reference (ListUsers, TagUser, Tag, GetGroup), IAM User Guide ("IAM and AWS STS quotas", "Tags for IAM
resources": the keys of tags know no case).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from moto.iam.models import Group as MotoGroup
from moto.iam.models import User as MotoUser

from .errors import Refused, invalid
from .pages import cut, size
from .sessions import Signer
from .world import World

Params = Mapping[str, str]
Result = dict[str, Any]
_MOST_TAGS = 50
# \p{L}\p{Z}\p{N}_.:/=+\-@ of the API reference: letters, blanks (no tab, no line break) and digits of any script.
_TEXT = re.compile("(?:[^\\W_]|[ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000_.:/=+\\-@])*")


def list_users(world: World, signer: Signer, params: Params) -> Result:
    """ListUsers. The last use of the password is in it, tags are not."""
    prefix = params.get("PathPrefix", "/")
    users = [user for user in world.iam.users.values() if user.path.startswith(prefix)]
    found, rest = page(world, params, users, lambda user: str(user.name))
    return {"Users": [_told(world, user) for user in found], **rest}


def list_user_tags(world: World, signer: Signer, params: Params) -> Result:
    """ListUserTags."""
    tags = world.tags(world.user(params.get("UserName", "")))
    found, rest = page(world, params, tags.items(), lambda tag: tag[0])
    return {"Tags": [{"Key": key, "Value": value} for key, value in found], **rest}


def tag_user(world: World, signer: Signer, params: Params) -> Result:
    """TagUser. Raises Refused: ValidationError, InvalidInput, LimitExceeded, NoSuchEntity."""
    given = tags_in(params)
    check_tags(given)
    user = world.user(params.get("UserName", ""))
    tags = world.tags(user)
    same = {key.lower(): key for key in tags}
    new = {key.lower() for key, _ in given} - same.keys()
    if len(tags) + len(new) > _MOST_TAGS:
        raise Refused("LimitExceeded", "Cannot exceed quota for TagsPerUser: 50", 409)
    old = [same[key.lower()] for key, _ in given if key.lower() in same]
    world.iam.tagger.untag_resource_using_names(user.arn, old)
    world.iam.tagger.tag_resource(user.arn, [{"Key": key, "Value": value} for key, value in given])
    return {}


def untag_user(world: World, signer: Signer, params: Params) -> Result:
    """UntagUser; a tag that is not there is no error."""
    user = world.user(params.get("UserName", ""))
    named = {value.lower() for name, value in params.items() if name.startswith("TagKeys.member.")}
    world.iam.tagger.untag_resource_using_names(user.arn, [key for key in world.tags(user) if key.lower() in named])
    return {}


def get_group(world: World, signer: Signer, params: Params) -> Result:
    """GetGroup: the group and its users."""
    group = world.group(params.get("GroupName", ""))
    found, rest = page(world, params, group.users, lambda user: str(user.name))
    return {"Group": _group(group), "Users": [_told(world, user) for user in found], **rest}


def list_groups_for_user(world: World, signer: Signer, params: Params) -> Result:
    """ListGroupsForUser."""
    user = world.user(params.get("UserName", ""))
    groups = [group for group in world.iam.groups.values() if user in group.users]
    found, rest = page(world, params, groups, lambda group: str(group.name))
    return {"Groups": [_group(group) for group in found], **rest}


def page(world: World, params: Params, items: Iterable[Any], name: Callable[[Any], str]) -> tuple[list[Any], Result]:
    """The page that was asked for, and what IAM says of the others."""
    wanted = params.get("MaxItems", "")
    if wanted and not (wanted.isdigit() and 1 <= int(wanted) <= 1000):
        raise invalid(f"1 validation error detected: Value '{wanted}' at 'maxItems' failed to satisfy constraint")
    count = size(wanted, 100, 1000, world.settings.page_size)
    found, token = cut(items, name, params.get("Marker", ""), count)
    return found, {"IsTruncated": bool(token), **({"Marker": token} if token else {})}


def _told(world: World, user: MotoUser) -> Result:
    told = {"Path": user.path, "UserName": user.name, "UserId": user.id, "Arn": user.arn}
    last: datetime | None = user.password_last_used
    return {**told, "CreateDate": user.create_date, **({"PasswordLastUsed": last} if last else {})}


def _group(group: MotoGroup) -> Result:
    told = {"Path": group.path, "GroupName": group.name, "GroupId": group.id, "Arn": group.arn}
    return {**told, "CreateDate": group.create_date}


def tags_in(params: Params) -> list[tuple[str, str]]:
    """The tags of a call: `Tags.member.1.Key` and the like."""
    numbers = [name.split(".")[2] for name in params if re.fullmatch(r"Tags\.member\.\d+\.Key", name)]
    return [(params[f"Tags.member.{n}.Key"], params.get(f"Tags.member.{n}.Value", "")) for n in numbers]


def check_tags(tags: list[tuple[str, str]]) -> None:
    """Raises Refused: ValidationError, InvalidInput."""
    for number, (key, value) in enumerate(tags, 1):
        _check(f"tags.{number}.member.key", key, 1, 128)
        _check(f"tags.{number}.member.value", value, 0, 256)
    if len({key.lower() for key, _ in tags}) < len(tags):
        raise Refused("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.", 400)


def _check(where: str, text: str, least: int, most: int) -> None:
    if not least <= len(text) <= most:
        limit = f"less than or equal to {most}" if len(text) > most else f"greater than or equal to {least}"
        raise _wrong(where, text, f"Member must have length {limit}")
    if not _TEXT.fullmatch(text):
        sign = "*" if least == 0 else "+"
        pattern = rf"[\p{{L}}\p{{Z}}\p{{N}}_.:/=+\-@]{sign}"
        raise _wrong(where, text, f"Member must satisfy regular expression pattern: {pattern}")


def _wrong(where: str, text: str, why: str) -> Refused:
    return invalid(f"1 validation error detected: Value '{text}' at '{where}' failed to satisfy constraint: {why}")
