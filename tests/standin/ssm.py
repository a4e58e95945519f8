"""SSM's Parameter Store: texts and encrypted texts by name.

Source: SSM API reference (GetParameter, GetParameters, PutParameter).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from .cloud import Parameter, find
from .errors import Refused
from .rules import Call
from .sessions import Signer
from .world import World

Payload = Mapping[str, Any]
Result = dict[str, Any]


def get_parameter(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """GetParameter. Raises Refused (ParameterNotFound)."""
    parameter = named(world, call.region, str(payload.get("Name", "")))
    if parameter is None:
        raise Refused("ParameterNotFound", "", 400)
    return {"Parameter": _told(world, call, parameter, payload)}


def get_parameters(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """GetParameters: those there are, and the names of the others."""
    names = payload.get("Names") or []
    if not 1 <= len(names) <= 10:
        raise Refused("ValidationException", "1 validation error detected: 'names' has 1 to 10 members", 400)
    found = [(name, named(world, call.region, name)) for name in names]
    told = [_told(world, call, parameter, payload) for _, parameter in found if parameter]
    return {"Parameters": told, "InvalidParameters": [name for name, parameter in found if not parameter]}


def put_parameter(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """PutParameter. Raises Refused: ParameterAlreadyExists, ValidationException."""
    name, value, kind = (str(payload.get(key) or "") for key in ("Name", "Value", "Type"))
    old = named(world, call.region, name)
    if old and not payload.get("Overwrite"):
        raise Refused(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
            400,
        )
    if not name or not value or (not kind and not old) or len(value.encode()) > 4096:
        raise Refused("ValidationException", "1 validation error detected: name, type or value", 400)
    version, kms_key = old.version + 1 if old else 1, str(payload.get("KeyId") or "")
    kind = kind or (old.kind if old else "")
    world.cloud.parameters[call.region, name] = Parameter(name, value, kind, world.now(), version, kms_key)
    return {"Version": version, "Tier": "Standard"}


def named(world: World, region: str, name: str) -> Parameter | None:
    """A parameter by its name or its ARN."""
    if name.startswith("arn:"):
        *_, region, _, resource = name.split(":", 5)
        name = resource.removeprefix("parameter")
        return find(world.cloud.parameters, region, name) or find(world.cloud.parameters, region, name.lstrip("/"))
    return find(world.cloud.parameters, region, name)


def parameter_arn(world: World, region: str, name: str) -> str:
    """Its ARN: a name that begins with a slash brings the slash along."""
    if name.startswith("arn:"):
        return name
    slash = "" if name.startswith("/") else "/"
    return f"arn:{world.settings.partition}:ssm:{region}:{world.account}:parameter{slash}{name}"


def _told(world: World, call: Call, parameter: Parameter, payload: Payload) -> Result:
    value = parameter.value
    if parameter.kind == "SecureString" and not payload.get("WithDecryption"):
        value = base64.b64encode(b"\x01\x02\x02\x00" + hashlib.sha512(value.encode()).digest()).decode()
    told = {"Name": parameter.name, "Type": parameter.kind, "Value": value, "Version": parameter.version}
    arn = parameter_arn(world, call.region, parameter.name)
    return {**told, "LastModifiedDate": parameter.changed, "ARN": arn, "DataType": "text"}
