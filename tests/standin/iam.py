"""The calls of IAM and STS that the stand-in answers itself: moto would answer them for any key, at once, in one page.

Each takes the world, who signed and the parameters, and gives the result as the API reference describes it;
moto's serializer makes AWS's XML of it. Without UserName, IAM means the user whose long-term key signed.
Sources: IAM API reference, IAM User Guide ("IAM and AWS STS quotas"; "Tags for IAM resources": keys know no case).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from moto.core.serialize import SerializationContext, XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model
from moto.iam.models import Group as MotoGroup
from moto.iam.models import User as MotoUser

from .errors import Answer, Refused, no
from .protocols import cut, size
from .sessions import Session, Signer
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


def page(world: World, params: Params, items: Iterable[Any], name: Callable[[Any], str]) -> tuple[list[Any], Result]:
    """The page that was asked for, and what IAM says of the others."""
    wanted = params.get("MaxItems", "")
    if wanted and not (wanted.isdigit() and 1 <= int(wanted) <= 1000):
        raise no("invalid", f"1 validation error detected: Value '{wanted}' at 'maxItems' failed to satisfy constraint")
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
    return no(
        "invalid", f"1 validation error detected: Value '{text}' at '{where}' failed to satisfy constraint: {why}"
    )


def carry_out(action: str, service: str, world: World, signer: Signer, params: Params) -> Answer | None:
    """Do it and answer, or give None if it is not one of ours. Raises Refused."""
    function = _ACTIONS.get((service, action))
    return None if function is None else render(service, action, function(world, signer, params))


def render(service: str, action: str, result: Result) -> Answer:
    """A result as AWS's XML."""
    serializer = get_serializer_class(service, "query")(
        get_service_model(service).operation_model(action),
        SerializationContext(str(uuid.uuid4())),
        value_picker=XFormedAttributePicker(),
    )
    response = serializer.serialize(result)
    return Answer(response["status_code"], "text/xml", str(response["body"]).encode())


def _user(world: World, signer: Signer, params: Params) -> MotoUser | None:
    if params.get("UserName"):
        return world.user(params["UserName"])
    if signer.key_id is None:
        raise no("whom")
    return signer.user


def _get_caller_identity(world: World, signer: Signer, params: Params) -> Result:
    return {"UserId": signer.user_id or world.account, "Account": world.account, "Arn": signer.arn}


def _get_session_token(world: World, signer: Signer, params: Params) -> Result:
    if signer.key_id is None:
        raise no("session")
    mfa = _with_code(world, signer, params)
    seconds = _duration(params, 129600, default=43200)
    return {"Credentials": _temporary(world.open_session(signer.user, seconds, mfa=mfa))}


def _assume_role(world: World, signer: Signer, params: Params) -> Result:
    arn, name = _required(params, "RoleArn"), _required(params, "RoleSessionName")
    home = world.of_account((arn.split(":") + [""] * 5)[4])
    role = home.roles.get(arn) if home else None
    mfa = role is not None and (_with_code(world, signer, params) or signer.mfa)
    if role is None or home is None or not world.organization.is_open(role.account) or (role.demands_mfa and not mfa):
        raise no("role", signer.arn, arn)
    if not role.trusts_in(signer.principal, params.get("ExternalId", "")):
        raise no("role", signer.arn, arn)
    seconds = _duration(params, 43200, default=3600)
    if signer.role and seconds > 3600:
        raise no(
            "invalid",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        )
    session = home.open_session(signer.user, seconds, mfa=mfa, role=role, name=name)
    who = {"AssumedRoleId": f"{role.id}:{name}", "Arn": session.arn}
    return {"Credentials": _temporary(session), "AssumedRoleUser": who}


def _with_code(world: World, signer: Signer, params: Params) -> bool:
    """Whether the call came with the code of an MFA device, which is used up. Raises Refused."""
    serial, code = params.get("SerialNumber", ""), params.get("TokenCode", "")
    if not serial and not code:
        return False
    if not serial or not code:
        raise no("half a code")
    if len(code) != 6 or not code.isdigit():
        raise no(
            "invalid",
            "1 validation error detected: Value at 'tokenCode' failed to satisfy constraint: [\\d]*, length 6",
        )
    if not world.device(signer.user, serial).accepts(code):
        raise no("code")
    return True


def _duration(params: Params, longest: int, default: int) -> int:
    seconds = int(params.get("DurationSeconds", default))
    if not 900 <= seconds <= longest:
        raise no("invalid", "1 validation error detected: Value at 'durationSeconds' failed to satisfy constraint")
    return seconds


def _temporary(session: Session) -> Result:
    pair = session.pair
    return {
        "AccessKeyId": pair.key_id,
        "SecretAccessKey": pair.secret,
        "SessionToken": pair.token,
        "Expiration": session.until,
    }


def _list_mfa_devices(world: World, signer: Signer, params: Params) -> Result:
    user = _user(world, signer, params)
    name = user.name if user else None
    devices = [
        {"UserName": name, "SerialNumber": device.serial, "EnableDate": device.enabled}
        for device in world.devices[name or ""]
    ]
    return {"MFADevices": devices, "IsTruncated": False}


def _get_user(world: World, signer: Signer, params: Params) -> Result:
    user = _user(world, signer, params)
    if user is not None:
        return {"User": user}
    created = world.now().replace(year=2015)
    return {"User": {"Path": "/", "UserId": world.account, "Arn": world.arn(None), "CreateDate": created}}


def _list_access_keys(world: World, signer: Signer, params: Params) -> Result:
    user = _user(world, signer, params)
    name = user.name if user else None
    found, rest = page(world, params, world.listed(user), lambda key: world.serial(key.key_id))
    shown = [
        {"UserName": name, "AccessKeyId": key.key_id, "Status": key.status, "CreateDate": key.created} for key in found
    ]
    return {"AccessKeyMetadata": shown, **rest}


def _create_access_key(world: World, signer: Signer, params: Params) -> Result:
    user = _user(world, signer, params)
    key = world.create_key(user)
    return {
        "AccessKey": {
            "UserName": user.name if user else None,
            "AccessKeyId": key.id,
            "Status": key.status,
            "SecretAccessKey": key.pair.secret,
            "CreateDate": key.moto.create_date,
        }
    }


def _update_access_key(world: World, signer: Signer, params: Params) -> Result:
    key = world.key_of(_user(world, signer, params), _required(params, "AccessKeyId"))
    status = _required(params, "Status")
    if status not in ("Active", "Inactive"):
        raise no("invalid", f"Value '{status}' at 'status' failed to satisfy constraint: [Active, Inactive]")
    world.set_status(key, status)
    return {}


def _delete_access_key(world: World, signer: Signer, params: Params) -> Result:
    world.delete_key(world.key_of(_user(world, signer, params), _required(params, "AccessKeyId")))
    return {}


def _get_access_key_last_used(world: World, signer: Signer, params: Params) -> Result:
    key = world.key(_required(params, "AccessKeyId"))
    use = world.last_use(key)
    return {
        "UserName": key.user.name if key.user else None,
        "AccessKeyLastUsed": {"LastUsedDate": use.at, "ServiceName": use.service, "Region": use.region},
    }


def _required(params: Params, name: str) -> str:
    if not params.get(name):
        raise no("invalid", f"1 validation error detected: Value null at '{name}' failed to satisfy constraint")
    return params[name]


_ACTIONS: dict[tuple[str, str], Callable[[World, Signer, Params], Result]] = {
    ("sts", "GetCallerIdentity"): _get_caller_identity,
    ("sts", "GetSessionToken"): _get_session_token,
    ("sts", "AssumeRole"): _assume_role,
    ("iam", "ListMFADevices"): _list_mfa_devices,
    ("iam", "GetUser"): _get_user,
    ("iam", "ListUsers"): list_users,
    ("iam", "ListUserTags"): list_user_tags,
    ("iam", "TagUser"): tag_user,
    ("iam", "UntagUser"): untag_user,
    ("iam", "GetGroup"): get_group,
    ("iam", "GenerateCredentialReport"): lambda world, signer, params: world.reports.generate(),
    ("iam", "GetCredentialReport"): lambda world, signer, params: world.reports.get(),
    ("iam", "ListAccessKeys"): _list_access_keys,
    ("iam", "CreateAccessKey"): _create_access_key,
    ("iam", "UpdateAccessKey"): _update_access_key,
    ("iam", "DeleteAccessKey"): _delete_access_key,
    ("iam", "GetAccessKeyLastUsed"): _get_access_key_last_used,
}
