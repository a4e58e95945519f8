"""The CloudFormation templates: sound, and with no right that the policies do not have.

`fleet template` as it is typed, and that its state machine and the function understand each other.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotate_my_key import policies
from rotate_my_key.core.errors import TryLater
from rotate_my_key.fleet.deploy import TemplateKind, template
from tests.cli.conftest import Desk
from tests.fleet.function.conftest import Lambda
from tests.standin import StandIn

FLEET = ("fleet-remind", "fleet-enforce", "fleet-reissue")
OWN = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}  # what any function needs to run
each_kind = pytest.mark.parametrize("kind", TemplateKind)
with_function = pytest.mark.parametrize("kind", [TemplateKind.FUNCTION, TemplateKind.MAP])


class _Loader(yaml.SafeLoader):
    """`!Ref X` is {"Ref": X}, `!Sub X` is {"Sub": X}; and so on."""


def _short_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {tag: loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {tag: loader.construct_sequence(node, deep=True)}


_Loader.add_multi_constructor("!", _short_form)


def read(kind: TemplateKind) -> dict[str, Any]:
    """The template as a value."""
    found: dict[str, Any] = yaml.load(template(kind), _Loader)  # noqa: S506 (it is a SafeLoader)
    return found


def resources(kind: TemplateKind, wanted: str) -> dict[str, dict[str, Any]]:
    """The resources of a type, by name."""
    return {name: each for name, each in read(kind)["Resources"].items() if each["Type"] == wanted}


def role_policies(kind: TemplateKind, role: str = "Role") -> dict[str, dict[str, Any]]:
    """The inline policies of a role by name, each with its statements and its condition."""
    return {
        each["Properties"]["PolicyName"]: each
        for each in resources(kind, "AWS::IAM::RolePolicy").values()
        if each["Properties"]["RoleName"] == {"Ref": role}
    }


def statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """Of an inline policy."""
    found: list[dict[str, Any]] = policy["Properties"]["PolicyDocument"]["Statement"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-west-1", "cn-north-1"])
def test_the_templates_pass_cfn_lint(tmp_path: Path, region: str) -> None:
    """Without an error, a warning or a remark, in each partition."""
    for kind in TemplateKind:
        (tmp_path / f"{kind.value}.yaml").write_text(template(kind))
    assert lint(tmp_path, region, *tmp_path.iterdir()) == (0, "")


def lint(home: Path, region: str, *files: Path) -> tuple[int, str]:
    """How cfn-lint ends, and what it says; remarks count too."""
    program = Path(sys.executable).with_name("cfn-lint")
    if sys.version_info >= (3, 15) and not program.exists():
        pytest.skip("cfn-lint is not for this Python yet")
    done = subprocess.run(
        [program, "--include-checks", "I", "--regions", region, "--", *files],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8"},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_the_state_machine_passes_cfn_lint(tmp_path: Path) -> None:
    """In the template its definition is a text with substitutions, closed to cfn-lint; here it is whole."""
    wrong = machine()
    wrong["States"]["Each"]["ItemProcessor"]["States"]["Account"]["Type"] = "Taks"
    files = {"good": machine(), "bad": wrong}
    for name, definition in files.items():
        properties = {"RoleArn": "arn:aws:iam::123456789012:role/x", "Definition": definition}
        resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
        (tmp_path / f"{name}.json").write_text(json.dumps({"Resources": {"Machine": resource}}))
    assert lint(tmp_path, "us-east-1", tmp_path / "good.json") == (0, "")
    assert "E3601" in lint(tmp_path, "us-east-1", tmp_path / "bad.json")[1]


@with_function
def test_the_role_of_the_function_has_the_printed_policies_and_nothing_else(kind: TemplateKind) -> None:
    """Word for word what `policy NAME` prints. Besides it may write its own log and its own dead letters, switch keys
    off where revoking is allowed, and put reports into one folder of one bucket, if there is one."""
    found = role_policies(kind)
    assert {name: statements(found[name]) for name in FLEET} == {name: policies.statements(name) for name in FLEET}
    assert set(found) == {
        *FLEET,
        "run",
        "fleet-revoke",
        "fleet-revoke-sign-in",
        "keep-reports",
        "other-role",
        "other-topics",
    }
    assert found["keep-reports"]["Condition"] == "Reporting"
    assert [(each["Action"], each["Resource"]) for each in statements(found["keep-reports"])] == [
        (["s3:PutObject"], {"Sub": "arn:${AWS::Partition}:s3:::${ReportBucket}/rotate-my-key/reports/*"})
    ]
    own = ({"GetAtt": "Logs.Arn"}, {"GetAtt": "DeadLetters.Arn"})
    assert {action for each in statements(found["run"]) for action in each["Action"]} == OWN
    assert all(each["Resource"] in own for each in statements(found["run"]))
    assert not set(read(kind)["Resources"]["Role"]["Properties"]) & {"ManagedPolicyArns", "Policies"}


@pytest.mark.parametrize("name", FLEET)
def test_the_role_in_member_accounts_has_the_part_about_users(name: str) -> None:
    """All `iam:` statements of the printed policy, those about secrets in which new keys wait, and no other."""
    secrets = ("HandOverBySecret", "FindWhatWasNotFetched")
    wanted = [
        each for each in policies.statements(name) if each["Action"][0].startswith("iam:") or each["Sid"] in secrets
    ]
    found = statements(role_policies(TemplateKind.MEMBER_ROLE)[name])
    assert found == wanted
    assert "secretsmanager:GetSecretValue" not in str(found)


@each_kind
def test_acting_is_off_until_it_is_asked_for(kind: TemplateKind) -> None:
    """Without parameters nobody may switch off, delete or make a key, and no schedule does."""
    found, value = role_policies(kind), read(kind)
    assert value["Parameters"]["Allow"]["Default"] == "read"
    order = value["Parameters"]["Allow"]["AllowedValues"]
    rises = [("Revoking", "revoke"), ("Enforcing", "enforce"), ("Reissuing", "reissue")]
    for condition, least in rises:
        holds = [allow for allow in order if true(value["Conditions"][condition], allow)]
        assert holds == order[order.index(least) :]
    assert found["fleet-revoke"]["Condition"] == "Revoking"
    assert [each["Action"] for each in statements(found["fleet-revoke"])] == [["iam:UpdateAccessKey"]]
    assert (found["fleet-revoke-sign-in"]["Condition"], value["Parameters"]["SignIn"]["Default"]) == (
        "EndingSignIn",
        "no",
    )
    (ends,) = statements(found["fleet-revoke-sign-in"])
    assert ends["Action"] in [each["Action"] for each in policies.statements("fleet-revoke")]
    assert (found["fleet-enforce"]["Condition"], found["fleet-reissue"]["Condition"]) == ("Enforcing", "Reissuing")
    assert "Condition" not in found["fleet-remind"]
    always = json.dumps(found["fleet-remind"])
    assert not re.search("AccessKey(?!s|LastUsed)", always)


def true(condition: Any, allow: str) -> bool:
    """Whether it holds for this value of Allow."""
    ((function, values),) = condition.items()
    found = [each if isinstance(each, str) or "Ref" in each else true(each, allow) for each in values]
    equal = [allow if each == {"Ref": "Allow"} else each for each in found]
    return {"Equals": lambda: equal[0] == equal[1], "Not": lambda: not found[0], "Or": lambda: any(found)}[function]()


def test_topics_and_roles_of_other_names() -> None:
    """One parameter each lets in those that there are already; without it nothing more is allowed."""
    found, defaults = role_policies(TemplateKind.FUNCTION), read(TemplateKind.FUNCTION)["Parameters"]
    role, topics = found["other-role"], found["other-topics"]
    assert (role["Condition"], topics["Condition"]) == ("HasOtherRole", "HasOtherTopics")
    assert statements(topics)[0]["Resource"] == {"Ref": "Topics"}
    assert statements(role)[0]["Resource"]["Sub"].endswith(":role/${MemberRole}")
    assert (defaults["MemberRole"]["Default"], defaults["Topics"]["Default"]) == (policies.ROLE, "")
    assert read(TemplateKind.MEMBER_ROLE)["Parameters"]["RoleName"]["Default"] == policies.ROLE


@each_kind
def test_it_fits(kind: TemplateKind) -> None:
    """All inline policies of a role have at most 10,240 characters, blanks not counted (IAM quotas). The template stays
    below the 51,200 bytes that CloudFormation takes without a bucket, and is ASCII."""
    documents = [each["Properties"]["PolicyDocument"] for each in role_policies(kind).values()]
    assert sum(len(json.dumps(each, separators=(",", ":"))) for each in documents) < 10_240
    assert len(template(kind).encode("ascii")) < 51_200


def test_a_member_account_trusts_the_roles_that_are_named_with_the_external_id() -> None:
    """The function's and that of people, who must act when it cannot; its name is the one that the policies have."""
    assert read(TemplateKind.MEMBER_ROLE)["Parameters"]["FleetRole"]["Type"] == "CommaDelimitedList"
    role = read(TemplateKind.MEMBER_ROLE)["Resources"]["Role"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"AWS": {"Ref": "FleetRole"}},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": {"Ref": "ExternalId"}}},
    }
    (entered,) = [each for each in policies.statements("fleet-report") if each["Action"] == ["sts:AssumeRole"]]
    assert role["RoleName"] == {"Ref": "RoleName"}
    assert entered["Resource"].endswith(f":role/{policies.ROLE}")


SCHEDULES = {"Remind": None, "Enforce": "Enforcing", "Sweep": "Reissuing", "Report": "Reporting"}  # if that holds


@with_function
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(kind: TemplateKind, name: str) -> None:
    """Each starts its command when two parameters say, and a start that fails ends in the queue. People are reminded on
    weekdays, unless told otherwise."""
    schedule = resources(kind, "AWS::Scheduler::Schedule")[f"{name}Runs"]
    properties, target = schedule["Properties"], schedule["Properties"]["Target"]
    assert schedule.get("Condition") == SCHEDULES[name]
    assert properties["ScheduleExpression"] == {"Ref": f"{name}Schedule"}
    assert properties["ScheduleExpressionTimezone"] == {"Ref": "TimeZone"}
    assert json.loads(target["Input"]) == {"command": name.lower()}
    assert target["Arn"] == ({"Ref": "Accounts"} if kind is TemplateKind.MAP else {"GetAtt": "Function.Arn"})
    assert target["DeadLetterConfig"] == {"Arn": {"GetAtt": "DeadLetters.Arn"}}
    assert read(kind)["Parameters"]["RemindSchedule"]["Default"] == "cron(0 10 ? * MON-FRI *)"


@with_function
def test_silence_is_an_alarm(kind: TemplateKind) -> None:
    """No run at all gives no data, and that is what the alarm is about; it outlasts a weekend. Every alarm reaches the
    topic, if one was named."""
    alarms, days = resources(kind, "AWS::CloudWatch::Alarm"), read(kind)["Parameters"]["SilentDays"]
    silent = alarms["Silent"]["Properties"]
    assert (silent["TreatMissingData"], silent["ComparisonOperator"]) == ("breaching", "LessThanThreshold")
    assert silent["MetricName"] == ("ExecutionsStarted" if kind is TemplateKind.MAP else "Invocations")
    assert (silent["EvaluationPeriods"], days["Default"]) == ({"Ref": "SilentDays"}, 4)
    assert silent["Period"] * days["MaxValue"] <= 7 * 86400  # CloudWatch's limit
    assert set(alarms) == {"Silent", "Failed", "GivenUp", "Incomplete"}
    for alarm in alarms.values():
        assert alarm["Properties"]["AlarmActions"]["If"][:2] == ["HasTopic", [{"Ref": "AlarmTopic"}]]


def test_one_run_at_a_time() -> None:
    """Two runs would each tell the same people; with the map each account is one run."""
    found = read(TemplateKind.FUNCTION)["Resources"]["Function"]["Properties"]["ReservedConcurrentExecutions"]
    assert found == {"If": ["Reserving", 1, {"Ref": "AWS::NoValue"}]}
    mapped = read(TemplateKind.MAP)["Resources"]["Function"]["Properties"]["ReservedConcurrentExecutions"]
    assert mapped == {"Ref": "MaxConcurrency"}


def test_the_function_is_the_handler() -> None:
    """The name in the template is a function of this package, and it reads the variables that the template sets."""
    properties = read(TemplateKind.FUNCTION)["Resources"]["Function"]["Properties"]
    module, _, name = properties["Handler"].rpartition(".")
    imported = __import__(module, fromlist=[name])
    assert callable(getattr(imported, name))
    assert list(properties["Environment"]["Variables"]) == [imported.SETTINGS, imported.ZONE, imported.REPORTS]
    assert properties["Environment"]["Variables"][imported.ZONE] == {"Ref": "TimeZone"}


def machine(concurrency: int = 7, tolerated: int = 5) -> dict[str, Any]:
    """The definition as Step Functions gets it."""
    text = read(TemplateKind.MAP)["Resources"]["Accounts"]["Properties"]["DefinitionString"]["Sub"]
    values = {
        "AWS::Partition": "aws",
        "Function.Arn": "arn:aws:lambda:eu-west-1:123456789012:function:fleet",
        "MaxConcurrency": str(concurrency),
        "ToleratedFailurePercentage": str(tolerated),
    }
    found: dict[str, Any] = json.loads(re.sub(r"\$\{([^}]+)\}", lambda found: values[found[1]], text))
    return found


def test_the_map_runs_the_same_function_for_each_account() -> None:
    """A list first, then a Distributed Map over it: each account is an execution with the command it began with. What
    passes by itself is tried again: throttled runs, and the function's own TryLater; all else fails at once."""
    states = machine()["States"]
    each = states["Each"]
    child = each["ItemProcessor"]["States"]["Account"]
    assert states["List"]["Parameters"]["Payload"] == {"command": "accounts"}
    assert each["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert (each["MaxConcurrency"], each["ToleratedFailurePercentage"]) == (7, 5)
    assert each["ItemSelector"] == {"command.$": "$.command", "account.$": "$$.Map.Item.Value"}
    assert child["Parameters"]["FunctionName"] == states["List"]["Parameters"]["FunctionName"]
    assert child["Parameters"]["Payload.$"] == "$"
    for state in (states["List"], child):
        (retry,) = state["Retry"]
        assert TryLater.__name__ in retry["ErrorEquals"]
        assert "States.ALL" not in retry["ErrorEquals"]


def test_the_machine_may_start_itself_and_the_function_only() -> None:
    """A Distributed Map starts executions of its own machine (Step Functions, "IAM policies for Distributed Map")."""
    (policy,) = role_policies(TemplateKind.MAP, "MachineRole").values()
    actions = {action: each["Resource"] for each in statements(policy) for action in each["Action"]}
    assert set(actions) == {
        *("lambda:InvokeFunction", "states:StartExecution", "states:DescribeExecution", "states:StopExecution")
    }
    assert actions["lambda:InvokeFunction"] == {"GetAtt": "Function.Arn"}
    assert all(resource != "*" for resource in actions.values())


def test_the_command_prints_the_template_and_nothing_else(desk: Desk) -> None:
    """So that `> fleet.yaml` is all there is to do; nobody is asked, and AWS is not called. Two at once are refused."""
    options = {"": TemplateKind.FUNCTION, "--map": TemplateKind.MAP, "--member-role": TemplateKind.MEMBER_ROLE}
    for option, kind in options.items():
        done = desk.run("fleet", "template", *option.split())
        assert (done.code, done.out, done.err) == (0, template(kind), "")
    done = desk.run("fleet", "template", "--map", "--member-role")
    assert (done.code, done.out) == (2, "")
    assert done.problem() == ("--map and --member-role are two templates", "rotate-my-key fleet template --member-role")
    assert desk.aws.calls == []


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
