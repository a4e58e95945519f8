"""The CloudFormation templates: text files beside this module, with the least policies filled in.

What a role may do is not written a second time: it is read from `policies/`, where a test needs every action of it.
The files are Jinja2 with `<< >>` and `##`, since YAML, CloudFormation and Step Functions use the usual signs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import jinja2

from .. import __version__, policies

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cloudformation")
# Name of the schedule, the function's command, the condition under which it is there.
_SCHEDULES = (("Remind", "remind", ""), ("Enforce", "enforce", "Enforcing"), ("Sweep", "sweep", "Reissuing"))
# What Step Functions tries again: a busy Lambda, and what the function itself says will pass (errors.TryLater).
_RETRY = {
    "ErrorEquals": [
        "Lambda.TooManyRequestsException",
        "Lambda.ServiceException",
        "Lambda.SdkClientException",
        "TryLater",
    ],
    "IntervalSeconds": 10,
    "MaxAttempts": 6,
    "BackoffRate": 2,
    "JitterStrategy": "FULL",
}
_PLAIN = re.compile(r"[A-Za-z][\w:./-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}  # YAML 1.1 reads more than text in these


class TemplateKind(Enum):
    """Which template: the function alone, with a state machine over all accounts, or the role in a member account."""

    FUNCTION = "function"
    MAP = "map"
    MEMBER_ROLE = "member-role"


def template(kind: TemplateKind) -> str:
    """A template as YAML, for `aws cloudformation deploy`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER, encoding="ascii"),
        variable_start_string="<<",
        variable_end_string=">>",
        line_statement_prefix="##",
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  it is YAML, and nothing of it comes from outside
    )
    name = "member-role.yaml" if kind is TemplateKind.MEMBER_ROLE else "fleet.yaml"
    return environment.get_template(name).render(
        version=__version__,
        map=kind is TemplateKind.MAP,
        role=policies.ROLE,
        retry=json.dumps(_RETRY),
        schedules=_SCHEDULES,
        statements=lambda policy, indent: _yaml(policies.statements(policy), indent),
        member=lambda policy, indent: _yaml(policies.member(policy), indent),
    )


def _yaml(value: Any, indent: int) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    """A value of JSON as the lines of a YAML block."""
    match value:
        case dict():
            for name, each in value.items():
                if isinstance(each, str):
                    yield f"{_scalar(name)}: {_scalar(each)}"
                else:
                    yield f"{_scalar(name)}:"
                    yield from (f"  {line}" for line in _lines(each))
        case list():
            for each in value:
                first, *rest = _lines(each)
                yield f"- {first}"
                yield from (f"  {line}" for line in rest)
        case _:
            yield _scalar(value)


def _scalar(text: str) -> str:
    """Plain where YAML 1.1 takes it for text; else in quotes, which JSON and YAML share."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text)
