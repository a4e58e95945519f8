"""The calls that the stand-in answers itself, because moto would answer them for any key and at once.

Each takes the world, the key that signed and the parameters, and gives the result as the API reference describes it;
moto's serializer makes AWS's XML of it. Without UserName, IAM means the user whose key signed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from moto.core.serialize import SerializationContext, XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model
from moto.iam.models import User as MotoUser

from .errors import Answer, invalid
from .world import Key, World

Params = Mapping[str, str]
Result = dict[str, Any]


def carry_out(action: str, service: str, world: World, signer: Key, params: Params) -> Answer | None:
    """Do it and answer, or give None if it is not one of ours. Raises Refused."""
    function = _ACTIONS.get((service, action))
    return None if function is None else _render(service, action, function(world, signer, params))


def _render(service: str, action: str, result: Result) -> Answer:
    serializer = get_serializer_class(service, "query")(
        get_service_model(service).operation_model(action),
        SerializationContext(str(uuid.uuid4())),
        value_picker=XFormedAttributePicker(),
    )
    response = serializer.serialize(result)
    return Answer(response["status_code"], "text/xml", str(response["body"]).encode())


def _user(world: World, signer: Key, params: Params) -> MotoUser | None:
    return world.user(params["UserName"]) if params.get("UserName") else signer.user


def _get_caller_identity(world: World, signer: Key, params: Params) -> Result:
    user_id = signer.user.id if signer.user else world.account
    return {"UserId": user_id, "Account": world.account, "Arn": world.arn(signer)}


def _get_user(world: World, signer: Key, params: Params) -> Result:
    user = _user(world, signer, params)
    if user is not None:
        return {"User": user}
    created = world.now().replace(year=2015)
    return {"User": {"Path": "/", "UserId": world.account, "Arn": world.root_arn, "CreateDate": created}}


def _list_access_keys(world: World, signer: Key, params: Params) -> Result:
    user = _user(world, signer, params)
    name = user.name if user else None
    start = int(params.get("Marker", "0"))
    end = start + min(int(params.get("MaxItems", "100")), world.settings.page_size)
    keys = world.listed(user)
    shown = [
        {"UserName": name, "AccessKeyId": key.key_id, "Status": key.status, "CreateDate": key.created}
        for key in keys[start:end]
    ]
    more = end < len(keys)
    return {"AccessKeyMetadata": shown, "IsTruncated": more, "Marker": str(end) if more else None}


def _create_access_key(world: World, signer: Key, params: Params) -> Result:
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


def _update_access_key(world: World, signer: Key, params: Params) -> Result:
    key = world.key_of(_user(world, signer, params), _required(params, "AccessKeyId"))
    status = _required(params, "Status")
    if status not in ("Active", "Inactive"):
        raise invalid(f"Value '{status}' at 'status' failed to satisfy constraint: [Active, Inactive]")
    world.set_status(key, status)
    return {}


def _delete_access_key(world: World, signer: Key, params: Params) -> Result:
    world.delete_key(world.key_of(_user(world, signer, params), _required(params, "AccessKeyId")))
    return {}


def _get_access_key_last_used(world: World, signer: Key, params: Params) -> Result:
    key = world.key(_required(params, "AccessKeyId"))
    use = world.last_use(key)
    return {
        "UserName": key.user.name if key.user else None,
        "AccessKeyLastUsed": {"LastUsedDate": use.at, "ServiceName": use.service, "Region": use.region},
    }


def _required(params: Params, name: str) -> str:
    if not params.get(name):
        raise invalid(f"1 validation error detected: Value null at '{name}' failed to satisfy constraint")
    return params[name]


_ACTIONS: dict[tuple[str, str], Callable[[World, Key, Params], Result]] = {
    ("sts", "GetCallerIdentity"): _get_caller_identity,
    ("iam", "GetUser"): _get_user,
    ("iam", "ListAccessKeys"): _list_access_keys,
    ("iam", "CreateAccessKey"): _create_access_key,
    ("iam", "UpdateAccessKey"): _update_access_key,
    ("iam", "DeleteAccessKey"): _delete_access_key,
    ("iam", "GetAccessKeyLastUsed"): _get_access_key_last_used,
}
