"""Which AWS is meant: regions, partitions, endpoints; what profiles share; and what time it is there."""

import os
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.aws.client import AwsClock
from rotate_my_key.aws.connections import is_own
from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials
from tests.standin import StandIn

SERVICES = "services = mine\n[services mine]\niam =\n  endpoint_url = https://iam.corp.example\n"


def configure(text: str) -> None:
    """Write the config file."""
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(text)


OWN = ("sts.us-east-1.amazonaws.com", "iam.amazonaws.com", "aws")
CORP = ("aws.corp.example",) * 2 + ("https://aws.corp.example",)
LOOKS_LIKE, SOMEBODYS = "evil.iam.amazonaws.com.example", "x.execute-api.us-east-1.amazonaws.com"
VPC = "vpce-1-a.sts.eu-west-1.vpce.amazonaws.com"
LOCAL = "http://127.0.0.1:4566"
# what the profile says, the environment; the hosts of STS and IAM, and what the note calls them
ENDPOINTS: dict[str, tuple[str, dict[str, str], str, str, str]] = {
    "no region anywhere": ("", {}, *OWN),
    "a region": ("region = eu-west-1", {}, "sts.eu-west-1.amazonaws.com", "iam.amazonaws.com", "aws"),
    "China": (
        *("region = cn-north-1", {}, "sts.cn-north-1.amazonaws.com.cn", "iam.cn-north-1.amazonaws.com.cn", "aws-cn"),
    ),
    "GovCloud": (
        *("region = us-gov-west-1", {}, "sts.us-gov-west-1.amazonaws.com", "iam.us-gov.amazonaws.com", "aws-us-gov"),
    ),
    "FIPS": (
        *("region = us-east-1\nuse_fips_endpoint = true", {}),
        *("sts-fips.us-east-1.amazonaws.com", "iam-fips.amazonaws.com", "aws"),
    ),
    "the old global STS": (
        *("region = eu-west-1\nsts_regional_endpoints = legacy", {}),
        *("sts.amazonaws.com", "iam.amazonaws.com", "aws"),
    ),
    "a VPC's own endpoint is AWS's": (
        *("region = eu-west-1", {"AWS_ENDPOINT_URL_STS": f"https://{VPC}"}, VPC, "iam.amazonaws.com", "aws"),
    ),
    "an endpoint in the profile": ("endpoint_url = https://aws.corp.example", {}, *CORP),
    "the environment goes before the profile": (
        *("endpoint_url = https://aws.corp.example", {"AWS_ENDPOINT_URL": LOCAL}, LOCAL, LOCAL, LOCAL),
    ),
    "a services section": (SERVICES, {}, OWN[0], "iam.corp.example", "https://iam.corp.example"),
    "ignored endpoints": (SERVICES, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, *OWN),
    "a host that only looks like AWS's": (
        *("", {"AWS_ENDPOINT_URL": f"https://{LOOKS_LIKE}"}, LOOKS_LIKE, LOOKS_LIKE, f"https://{LOOKS_LIKE}"),
    ),
    "somebody's program on AWS is not AWS": (
        *("", {"AWS_ENDPOINT_URL": f"https://{SOMEBODYS}"}, SOMEBODYS, SOMEBODYS, f"https://{SOMEBODYS}"),
    ),
}


@pytest.mark.parametrize(("config", "environ", "sts", "iam", "endpoint"), ENDPOINTS.values(), ids=ENDPOINTS)
def test_endpoints(
    make_aws: Any, monkeypatch: Any, config: str, environ: dict[str, str], sts: str, iam: str, endpoint: str
) -> None:
    """As botocore resolves them from profile and environment."""
    configure(f"[profile work]\n{config}\n")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    transport = make_aws().transport("work")
    urls = [host if "://" in host else f"https://{host}" for host in (sts, iam)]
    assert [transport.url("sts"), transport.url("iam")] == urls
    assert transport.endpoint == endpoint
    assert transport.foreign == (() if endpoint.startswith("aws") else (endpoint,))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("endpoint_url = http://aws.corp.example", "not encrypted"),
        ("endpoint_url = http://127.0.0.1.corp.example", "not encrypted"),
        ("endpoint_url = nonsense", "cannot be used"),
        ("region = eu west", "not a region's name: eu west"),
        ("services = absent", "value of services in profile work cannot be used"),
        ("account_id_endpoint_mode = x", "value of account_id_endpoint_mode in profile work"),
        ("sts_regional_endpoints = x", "value of sts_regional_endpoints in profile work"),
        ("request_checksum_calculation = x", "value of request_checksum_calculation in profile work"),
        ("ca_bundle = /no/such/bundle.pem\nendpoint_url = https://127.0.0.1:9", "CA bundle /no/such/bundle.pem"),
    ],
)
def test_settings_that_cannot_be_used(make_aws: Any, config: str, said: str) -> None:
    """Refused before anything is sent."""
    configure(f"[profile work]\n{config}\n")
    with pytest.raises(Problem, match=said):
        IamAccount(make_aws(), "work").identify(Credentials("AKIAEXAMPLE", "x"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_STS_REGIONAL_ENDPOINTS", "x"),
        ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "x"),
        ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "x"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "x"),
        ("AWS_RESPONSE_CHECKSUM_VALIDATION", "x"),
        ("AWS_DEFAULT_REGION", "eu west"),
        ("AWS_ENDPOINT_URL", "x y"),
        ("AWS_ENDPOINT_URL_STS", "nonsense"),
        ("AWS_CA_BUNDLE", ""),
        ("REQUESTS_CA_BUNDLE", ""),
        ("SSLKEYLOGFILE", "/no/such/folder/keys"),
        ("SSLKEYLOGFILE", "/"),
    ],
)
def test_a_variable_that_cannot_be_used(make_aws: Any, monkeypatch: Any, name: str, value: str) -> None:
    """It is named, with the command that takes it away; other settings are not blamed."""
    configure("[profile work]\nregion = eu-west-1\n" if name != "AWS_DEFAULT_REGION" else "[profile work]\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv(name, value)
    with pytest.raises(Problem) as caught:
        IamAccount(make_aws(), "work").identify(Credentials("AKIAEXAMPLE", "x"))
    assert caught.value.hint == f"unset {name}"


NO_MATTER = """AWS_MAX_ATTEMPTS AWS_RETRY_MODE AWS_DEFAULTS_MODE AWS_USE_FIPS_ENDPOINT AWS_USE_DUALSTACK_ENDPOINT
AWS_METADATA_SERVICE_TIMEOUT AWS_METADATA_SERVICE_NUM_ATTEMPTS AWS_IGNORE_CONFIGURED_ENDPOINT_URLS
AWS_SIGV4A_SIGNING_REGION_SET AWS_AUTH_SCHEME_PREFERENCE AWS_DISABLE_REQUEST_COMPRESSION AWS_DATA_PATH"""


@pytest.mark.parametrize("name", NO_MATTER.split())
def test_a_variable_that_is_no_matter_here(make_aws: Any, monkeypatch: Any, name: str) -> None:
    """Odd or not, nothing that is sent depends on it."""
    monkeypatch.setenv(name, "odd")
    assert make_aws().transport(None).url("iam") == "https://iam.amazonaws.com"


def test_a_key_log_that_nobody_reads(make_aws: Any, monkeypatch: Any, tmp_path: Path) -> None:
    """A pipe in its place is not waited for."""
    os.mkfifo(tmp_path / "keys")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    with pytest.raises(Problem, match="SSLKEYLOGFILE"):
        make_aws().transport(None)


@pytest.mark.parametrize(
    ("profile", "config", "said"),
    [("absent", "[profile work]\n", "no such profile: absent"), ("work", "[profile work\n", "cannot be read")],
)
def test_files_that_cannot_be_used(make_aws: Any, profile: str, config: str, said: str) -> None:
    """No such profile; not an INI file."""
    configure(config)
    with pytest.raises(Problem, match=said):
        make_aws().transport(profile)


def test_profiles_with_equal_settings_share_all(make_aws: Any) -> None:
    """Whose key it is makes no difference, where it is sent does."""
    configure(
        "[profile a]\nregion = eu-west-1\naws_access_key_id = AKIA1\naws_secret_access_key = x\noutput = json\n"
        "[profile b]\nregion = eu-west-1\naws_access_key_id = AKIA2\naws_secret_access_key = y\n"
        "[profile c]\nregion = eu-west-2\n"
    )
    aws = make_aws()
    assert aws.transport("a") is aws.transport("b")
    assert aws.transport("a") is not aws.transport("c")


def test_the_files_are_read_before_threads_share_a_transport(make_aws: Any, monkeypatch: Any, tmp_path: Path) -> None:
    """Also where AWS_CA_BUNDLE gives no reason to: botocore would read them when the first thread asks for the region,
    and the next one would find half of the profiles meanwhile."""
    (bundle := tmp_path / "ca.pem").touch()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    configure("[profile a]\nregion = eu-west-1\n[profile b]\nregion = eu-west-2\n")
    aws = make_aws()
    transports = [aws.transport(profile) for profile in "ab"]
    configure("")
    assert [each.region for each in transports] == ["eu-west-1", "eu-west-2"]


def test_the_environments_profile(make_aws: Any, monkeypatch: Any) -> None:
    """No profile means the one that AWS_PROFILE names."""
    configure("[profile work]\nregion = eu-west-3\n")
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert make_aws().transport(None).region == "eu-west-3"


def test_other_files_than_the_environments(make_aws: Any, tmp_path: Path) -> None:
    """The files are handed in."""
    other = tmp_path / "other"
    other.write_text("[profile work]\nregion = eu-west-3\n")
    assert make_aws(config_file=str(other)).transport("work").region == "eu-west-3"


def test_credentials_are_never_looked_for(make_aws: Any, standin: StandIn, pair: Credentials, tmp_path: Path) -> None:
    """Not even by a profile whose process would give some, or where only the metadata service is left to ask."""
    told = tmp_path / "told"
    configure(f"[default]\ndefaults_mode = auto\n[profile work]\ncredential_process = touch {told}\n")
    for profile in ("work", None):
        IamAccount(make_aws(standin.url), profile).look([pair])
    assert not told.exists()
    assert {call.key_id for call in standin.calls} == {pair.key_id}


def test_the_user_agent_names_us(account: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """So that IT finds our calls in CloudTrail."""
    account.identify(pair)
    assert standin.calls[0].user_agent.endswith("rotate-my-key/1.2.3")


def test_many_keys_share_connections(make_aws: Any, standin: StandIn) -> None:
    """Eight workers with forty users: each call is signed by its own key, and few connections are opened."""
    aws = make_aws(standin.url)
    pairs = []
    for number in range(40):
        standin.add_user(f"user{number}")
        pairs.append(standin.add_key(f"user{number}", timedelta(days=number)))
    seen: dict[str, str] = {}
    todo = iter(pairs)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                pair = next(todo, None)
            if pair is None:
                return
            account = IamAccount(aws, proof_interval=timedelta(0))
            look = account.look([pair])
            account.prove(pair, 3)
            seen[pair.key_id] = look.identity.user
            assert [key.key_id for key in account.keys()] == [pair.key_id]  # noqa: SIM118 - no dict

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert seen == {pair.key_id: f"user{number}" for number, pair in enumerate(pairs)}
    assert standin.connections <= 8 * 3 + 8 * 3


IN_IRELAND = ("sns", "ssm", "secretsmanager", "s3", "logs")
FLEETS: dict[str, tuple[str, dict[str, str]]] = {
    "a region": (
        "region = eu-west-1",
        {service: f"{service}.eu-west-1.amazonaws.com" for service in IN_IRELAND}
        | {"organizations": "organizations.us-east-1.amazonaws.com", "sesv2": "email.eu-west-1.amazonaws.com"},
    ),
    "China": ("region = cn-north-1", {"s3": "s3.cn-north-1.amazonaws.com.cn"}),
    "FIPS": (
        "region = us-east-1\nuse_fips_endpoint = true",
        {service: f"{host}-fips.us-east-1.amazonaws.com" for service, host in (("sesv2", "email"), ("s3",) * 2)}
        | {"logs": "logs-fips.us-east-1.amazonaws.com"},
    ),
    "dual stack": (
        "region = us-east-1\nuse_dualstack_endpoint = true",
        {"secretsmanager": "secretsmanager.us-east-1.api.aws", "s3": "s3.dualstack.us-east-1.amazonaws.com"},
    ),
}


@pytest.mark.parametrize(("config", "hosts"), FLEETS.values(), ids=FLEETS)
def test_the_fleets_endpoints_are_awss_own(make_aws: Any, config: str, hosts: dict[str, str]) -> None:
    """Nobody is warned of them."""
    configure(f"[profile work]\n{config}\n")
    transport = make_aws().transport("work", wide=True)
    urls = {service: transport.url(service) for service in hosts}
    assert urls == {service: f"https://{host}" for service, host in hosts.items()}
    assert all(is_own(url, service) for service, url in urls.items())


@pytest.mark.parametrize(
    ("service", "url", "own"),
    [
        ("s3", "https://bucket.vpce-1a-2b.s3.eu-west-1.vpce.amazonaws.com", True),
        ("ssm", "https://vpce-1a-2b.ssm.eu-west-1.vpce.amazonaws.com", True),
        ("sesv2", "https://sesv2.eu-west-1.amazonaws.com", False),
        ("s3", "https://mine.s3.eu-west-1.amazonaws.com", False),  # somebody's bucket
        ("s3", "https://minio.corp.example", False),
        ("sns", "https://sns.eu-west-1.amazonaws.com.example", False),
        ("logs", "https://eu-west-1.amazonaws.com", False),
    ],
)
def test_whose_an_endpoint_is(service: str, url: str, own: bool) -> None:
    """A bucket's own host is not S3's; whoever owns it would get what is sent."""
    assert is_own(url, service) is own


def test_another_region_is_another_client_of_the_same_link(make_aws: Any) -> None:
    """One client a service and region, however often it is asked for."""
    configure("[profile work]\nregion = eu-west-1\n")
    transport = make_aws().transport("work", wide=True)
    there = transport.at("us-west-2")
    assert there.url("sns") == "https://sns.us-west-2.amazonaws.com"
    assert transport.at("us-west-2").client("sns") is there.client("sns")
    assert transport.at("") is transport.at("eu-west-1") is transport


def test_buckets_are_paths_elsewhere_than_at_aws(make_aws: Any, monkeypatch: Any) -> None:
    """At AWS they are hosts, those of the region: a URL for the global host may be sent elsewhere for a day."""
    configure("[profile work]\nregion = eu-west-1\n")
    pair = Credentials("AKIAEXAMPLE", "x")
    args = {"Bucket": "keys", "Key": "k"}
    transport = make_aws().transport("work", wide=True)
    assert transport.presign(pair, "get_object", 60, **args).startswith("https://keys.s3.eu-west-1.amazonaws.com/k?")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://minio.corp.example")
    transport = make_aws().transport("work", wide=True)
    assert transport.presign(pair, "get_object", 60, **args).startswith("https://minio.corp.example/keys/k?")


NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


class Clocks:
    """AWS's clock as we learn it; `here` is this computer's."""

    def __init__(self) -> None:
        self.here = NOW
        self.aws = AwsClock(lambda: self.here)

    def hear(self, date: str | datetime, *, took: float = 0.0, accepted: bool = True) -> timedelta:
        """An answer comes, `took` seconds after it was asked for; gives how far AWS's clock is from ours then."""
        asked = self.here
        self.here += timedelta(seconds=took)
        text = date if isinstance(date, str) else format_datetime(date, usegmt=True)
        self.aws.heard(text, asked, accepted=accepted)
        return self.aws.now() - self.here


@pytest.mark.parametrize("seconds", [0, 1, 3])
def test_a_date_within_the_call_changes_nothing(seconds: int) -> None:
    """It was written at some time between request and answer, and has whole seconds."""
    assert Clocks().hear(NOW + timedelta(seconds=seconds), took=3.5) == timedelta(0)


@pytest.mark.parametrize(("minutes", "off"), [(10, 600), (-10, -599), (15, 900), (-15, -899)])
def test_a_clock_that_aws_bears(minutes: int, off: int) -> None:
    """Ours is corrected."""
    assert Clocks().hear(NOW + timedelta(minutes=minutes)) == timedelta(seconds=off)


def test_a_laptop_that_slept_before_the_answer_was_read() -> None:
    """The answer waited for hours in the socket: AWS's time has gone on."""
    clocks = Clocks()
    clocks.hear(NOW + timedelta(minutes=5))
    assert clocks.hear(NOW + timedelta(minutes=5), took=5 * 3600) == timedelta(0)


def test_a_laptop_that_slept_between_two_calls() -> None:
    """Nothing is the matter: both clocks went on."""
    clocks = Clocks()
    clocks.hear(NOW)
    clocks.here += timedelta(hours=7)
    assert clocks.hear(NOW + timedelta(hours=7)) == timedelta(0)


@pytest.mark.parametrize(
    "date",
    [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Tue, 99 Foo 2026 99:99:99 +99:99",
        "Wed, 02 Sep 2026 12:00:00 GMT",
        "",
        "-",
        " ",
        ",,,",
        "\x00",
    ],
)
@pytest.mark.parametrize("accepted", [True, False])
def test_a_date_that_cannot_be(date: str, accepted: bool) -> None:
    """No key's age is reckoned by it: AWS would not have taken, and does not take, what is signed at our time."""
    clocks = Clocks()
    clocks.hear(NOW + timedelta(seconds=90))
    assert abs(clocks.hear(date, accepted=accepted)) <= timedelta(seconds=90)


def test_minus_zero_is_utc() -> None:
    """RFC 5322 writes so where the zone is not known; RFC 9110 knows no other than UTC."""
    assert Clocks().hear("Tue, 01 Sep 2026 12:05:00 -0000") == timedelta(minutes=5)


def test_our_own_clock_is_wrong() -> None:
    """AWS refuses what we sign: by how much we are off is known, to be said."""
    clocks = Clocks()
    clocks.hear(NOW + timedelta(days=90), accepted=False)
    assert clocks.aws.offset == timedelta(days=90)
    assert clocks.aws.now() == NOW
