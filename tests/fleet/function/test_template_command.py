"""`fleet template` as it is typed, and that its state machine and the function understand each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rotate_my_key.fleet.deploy import TemplateKind, template
from tests.cli.conftest import Desk
from tests.fleet.function.conftest import Lambda
from tests.fleet.test_template import machine
from tests.standin import StandIn


@pytest.mark.parametrize(
    ("words", "kind"),
    [([], TemplateKind.FUNCTION), (["--map"], TemplateKind.MAP), (["--member-role"], TemplateKind.MEMBER_ROLE)],
)
def test_the_command_prints_the_template_and_nothing_else(desk: Desk, words: list[str], kind: TemplateKind) -> None:
    """So that `> fleet.yaml` is all there is to do; nobody is asked, and AWS is not called."""
    done = desk.run("fleet", "template", *words)
    assert (done.code, done.out, done.err) == (0, template(kind), "")
    assert desk.aws.calls == []


def test_two_templates_at_once_are_refused(desk: Desk) -> None:
    """Exit 2, and the hint is one of the two."""
    done = desk.run("fleet", "template", "--map", "--member-role")
    assert (done.code, done.out) == (2, "")
    assert done.problem() == ("--map and --member-role are two templates", "rotate-my-key fleet template --member-role")


def at(path: str, value: Any) -> Any:
    """What a path like `$.Payload.left` picks."""
    for name in path.split(".")[1:]:
        value = value[name]
    return value


@pytest.mark.slow
def test_the_state_machine_and_the_function_understand_each_other(
    function: Lambda, aws: StandIn, settings: Callable[[str], None]
) -> None:
    """Walked by hand: the function takes what the definition passes, and gives what it picks from the answers."""
    settings("[accounts]\nrole = rotate-my-key-fleet\nexternal_id = x1")
    for name in ("prod", "test"):
        aws.add_account(name).add_role("rotate-my-key-fleet", external_id="x1")
    states = machine()["States"]
    listed = function.invoke(states["List"]["Parameters"]["Payload"]).answers[0][1]
    numbers = at(states["List"]["ResultSelector"]["numbers.$"], {"Payload": listed})
    assert len(numbers) == 3
    chosen = {"$.command": "report", "$$.Map.Item.Value": None}
    selector = {name.removesuffix(".$"): path for name, path in states["Each"]["ItemSelector"].items()}
    events = [{name: chosen[path] or number for name, path in selector.items()} for number in numbers]
    answers = function.invoke(*events).answers
    child = states["Each"]["ItemProcessor"]["States"]["Account"]
    assert [at(child["OutputPath"], {"Payload": answer[1]}) for answer in answers] == [[], [], []]
    assert len(json.dumps(numbers)) / len(numbers) * 15_000 < 256 * 1024  # docs/it/lambda.md
