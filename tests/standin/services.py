"""The services beside IAM and STS that the stand-in answers itself, each in a room of its own.

Each action takes the call, the account, who signed and what the request says, and gives what the API reference
describes. An action of theirs that is not here is refused, loudly: moto knows nothing of their state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import logs, protocols, s3, secretsmanager, ses, sns, ssm
from .errors import Answer, Refused
from .iam import render
from .rules import Call
from .sessions import Signer
from .world import World

Payload = Mapping[str, Any]
Result = dict[str, Any]
Action = Callable[[Call, World, Signer, Payload], Result | Answer]


def carry_out(call: Call, world: World, signer: Signer, payload: Payload) -> Answer | None:
    """Do it and answer, or give None if it is a service of moto's. Raises Refused."""
    actions = _SERVICES.get(call.service)
    if actions is None:
        return None
    action = actions.get(call.action)
    if action is None:
        raise Refused("UnknownOperationException", f"the stand-in has no {call.service}:{call.action}", 400)
    result = action(call, world, signer, payload)
    if isinstance(result, Answer):
        return result
    return (
        render(call.service, call.action, result)
        if call.protocol == "query"
        else protocols.result(call.protocol, result)
    )


def _list_accounts(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    return world.organization.list_accounts(world, payload)


def _describe_organization(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    return world.organization.describe()


_SERVICES: dict[str, dict[str, Action]] = {
    "organizations": {"ListAccounts": _list_accounts, "DescribeOrganization": _describe_organization},
    "ses": {
        "SendEmail": ses.send_email,
        "GetAccount": ses.get_account,
        "CreateEmailIdentity": ses.create_identity,
        "GetEmailIdentity": ses.get_identity,
    },
    "sns": {"CreateTopic": sns.create_topic, "ListTopics": sns.list_topics, "Publish": sns.publish},
    "ssm": {
        "GetParameter": ssm.get_parameter,
        "GetParameters": ssm.get_parameters,
        "PutParameter": ssm.put_parameter,
    },
    "secretsmanager": {
        "CreateSecret": secretsmanager.create,
        "PutSecretValue": secretsmanager.put_value,
        "GetSecretValue": secretsmanager.get_value,
        "DescribeSecret": secretsmanager.describe,
        "DeleteSecret": secretsmanager.delete,
        "PutResourcePolicy": secretsmanager.put_policy,
        "GetResourcePolicy": secretsmanager.get_policy,
        "TagResource": secretsmanager.tag,
        "ListSecrets": secretsmanager.list_all,
    },
    "s3": {
        "CreateBucket": s3.create_bucket,
        "HeadBucket": s3.head_bucket,
        "GetBucketLocation": s3.get_location,
        "ListObjectsV2": s3.list_objects,
        "PutObject": s3.put_object,
        "GetObject": s3.get_object,
        "HeadObject": s3.get_object,
        "DeleteObject": s3.delete_object,
    },
    "logs": {
        "CreateLogGroup": logs.create_group,
        "CreateLogStream": logs.create_stream,
        "PutLogEvents": logs.put_events,
    },
}
