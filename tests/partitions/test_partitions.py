"""Which host is asked, and which region a signature is for: the profile's own partition, FIPS, and endpoints."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cli.conftest import Desk
from tests.laptop import sampled
from tests.standin import StandIn

MakeDesk = Callable[..., Desk]

FIPS = "\nuse_fips_endpoint = true"
# partition, settings, environment; host and region of IAM and of STS, without the partition's domain
WHERE: dict[str, tuple[str, str, dict[str, str], str, str]] = {
    "no region": ("aws", "", {}, "iam us-east-1", "sts.us-east-1 us-east-1"),
    "Europe": ("aws", "region = eu-west-1", {}, "iam us-east-1", "sts.eu-west-1 eu-west-1"),
    "GovCloud": (
        *("aws-us-gov", "region = us-gov-west-1", {}),
        *("iam.us-gov us-gov-west-1", "sts.us-gov-west-1 us-gov-west-1"),
    ),
    "GovCloud East": (
        *("aws-us-gov", "region = us-gov-east-1", {}),
        *("iam.us-gov us-gov-west-1", "sts.us-gov-east-1 us-gov-east-1"),
    ),
    "China": ("aws-cn", "region = cn-north-1", {}, "iam.cn-north-1 cn-north-1", "sts.cn-north-1 cn-north-1"),
    "China by the environment": (
        *("aws-cn", "", {"AWS_DEFAULT_REGION": "cn-northwest-1"}),
        *("iam.cn-north-1 cn-north-1", "sts.cn-northwest-1 cn-northwest-1"),
    ),
    "FIPS": ("aws", f"region = us-west-2{FIPS}", {}, "iam-fips us-east-1", "sts-fips.us-west-2 us-west-2"),
    "FIPS by the environment": (
        *("aws", "region = us-west-2", {"AWS_USE_FIPS_ENDPOINT": "true"}),
        *("iam-fips us-east-1", "sts-fips.us-west-2 us-west-2"),
    ),
    "FIPS in GovCloud": (
        *("aws-us-gov", f"region = us-gov-west-1{FIPS}", {}),
        *("iam.us-gov us-gov-west-1", "sts.us-gov-west-1 us-gov-west-1"),
    ),
}


@pytest.mark.parametrize("where", sampled(WHERE, "no region", "GovCloud East", "China by the environment", "FIPS"))
def test_a_whole_rotation(all_of_aws: MakeDesk, where: str) -> None:
    """Every call goes to these two hosts, over TLS, signed for these regions; the stand-in checks the signatures."""
    partition, settings, env, iam, sts = WHERE[where]
    desk = all_of_aws(partition, settings, **env)
    old = desk.held()
    done = desk.process("rotate", "--yes")
    assert done.code == 0, done.text
    assert list(desk.ids()) == [desk.held()] != [old]
    domain = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    for service, expected in (("iam", iam), ("sts", sts)):
        called = {f"{call.host} {call.region}" for call in desk.aws.calls if call.service == service}
        assert called == {expected.replace(" ", f".{domain} ")}
    assert "(not AWS)" not in done.text
    assert f"arn:{partition}:iam::{desk.aws.account}:user/alice" in desk.run("history", "--json").out


@pytest.mark.slow
@pytest.mark.parametrize("command", ["restore", "undo"])
def test_a_region_that_went_with_the_files(all_of_aws: MakeDesk, command: str) -> None:
    """Where only the profile said which partition it is, an unfinished rotation knows it by its user."""
    desk = all_of_aws("aws-us-gov", "region = us-gov-west-1")
    old = desk.held()
    assert desk.process("rotate", "--yes", "--keep-old", "7d").code == 0
    new = desk.held()
    desk.credentials.unlink()
    desk.config.unlink()
    done = desk.process(command, "--yes")
    assert done.code == 0, done.text
    assert desk.held() == (new if command == "restore" else old)


def test_mfa_in_china(all_of_aws: MakeDesk) -> None:
    """Device and session are the partition's own."""
    desk = all_of_aws("aws-cn", "region = cn-north-1")
    device = desk.aws.add_mfa("alice")
    desk.aws.demand_mfa()
    assert device.serial.startswith("arn:aws-cn:")
    assert desk.process("rotate", "--yes", "--mfa-code", device.code).code == 0


@pytest.mark.parametrize(
    ("partition", "region", "message", "hint"),
    [
        ("aws-cn", "eu-west-1", "account of aws-cn, and the region in force, eu-west-1, to aws", "cn-north-1"),
        ("aws-us-gov", "us-east-1", "account of aws-us-gov, and the region in force, us-east-1", "us-gov-west-1"),
        ("aws", "cn-north-1", "account of aws, and the region in force, cn-north-1, to aws-cn", "us-east-1"),
    ],
)
def test_a_region_of_another_partition(
    all_of_aws: MakeDesk, partition: str, region: str, message: str, hint: str
) -> None:
    """The key's ARN is compared with the region in force: one line, and nothing is changed."""
    desk = all_of_aws(partition, f"region = {region}")
    done = desk.process("rotate", "--yes")
    assert done.code == 1
    said, then = done.problem()
    assert message in said
    assert f"aws configure set region {hint}" in then
    assert desk.changes == []


@pytest.mark.slow
def test_a_refused_key_without_a_region(all_of_aws: MakeDesk) -> None:
    """A key of China without a region is looked up in the wrong place: `doctor` says where it was not looked up."""
    desk = all_of_aws("aws")
    desk.aws.set_status(desk.held(), "Inactive")
    said = desk.process("doctor").out
    assert "China and GovCloud not checked: no region is set, and their keys work only there" in said


# Endpoints


def _hosts(desk: Desk, service: str) -> set[str]:
    return {call.host for call in desk.aws.calls if call.service == service}


AWS = {"iam": "iam.amazonaws.com", "sts": "sts.eu-west-1.amazonaws.com"}


OF_IAM, OF_STS = "iam =\n  endpoint_url = {url}", "sts =\n  endpoint_url = {url}"
# settings, environment; the services that are redirected
SET: dict[str, tuple[str, dict[str, str], set[str]]] = {
    "AWS_ENDPOINT_URL": ("", {"AWS_ENDPOINT_URL": "{url}"}, {"iam", "sts"}),
    "AWS_ENDPOINT_URL_IAM": ("", {"AWS_ENDPOINT_URL_IAM": "{url}"}, {"iam"}),
    "AWS_ENDPOINT_URL_STS": ("", {"AWS_ENDPOINT_URL_STS": "{url}"}, {"sts"}),
    "endpoint_url": ("endpoint_url = {url}", {}, {"iam", "sts"}),
    "services": (f"services = mine\n[services mine]\n{OF_IAM}", {}, {"iam"}),
    "services, both": (f"services = mine\n[services mine]\n{OF_STS}\n{OF_IAM}", {}, {"iam", "sts"}),
    "told to ignore them": ("endpoint_url = {url}", {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, set()),
}


@pytest.mark.parametrize("how", sampled(SET, "AWS_ENDPOINT_URL_IAM", "services", "told to ignore them"))
def test_endpoints(all_of_aws: MakeDesk, running: StandIn, how: str) -> None:
    """As botocore reads them; an endpoint that is not AWS's is named in the question, the others are AWS's own."""
    settings, env, redirected = SET[how]
    settings = f"region = eu-west-1\n{settings.format(url=running.url)}"
    env = {name: value.format(url=running.url) for name, value in env.items()}
    desk = all_of_aws("aws", settings, **env)
    done = desk.process("rotate", "--yes")
    assert done.code == 0, done.text
    local = running.url.removeprefix("http://")
    for service, host in AWS.items():
        assert _hosts(desk, service) == {local if service in redirected else host}
    assert (f"Endpoint: {running.url} (not AWS)" in done.text) == bool(redirected)
