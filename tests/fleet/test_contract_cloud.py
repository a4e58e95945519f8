"""The fakes of what hands keys over, and Secrets Manager and S3 over HTTP: the same cases."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rotate_my_key.aws.client import Aws
from rotate_my_key.aws.delivery import S3, SecretsManager
from rotate_my_key.aws.services import AwsCloud
from rotate_my_key.core.errors import Gone
from rotate_my_key.fleet.assembly import Assembly, FleetSigner
from rotate_my_key.settings.fleet import FleetSettings
from tests.standin import StandIn

from .reissue.world import FakeObjects, FakeSecrets, Points

READER = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "*", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [READER]})


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    """A stand-in that runs as long as the tests."""
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="module")
def aws(running: StandIn) -> Iterator[Aws]:
    """All of AWS; nobody waits."""
    made = Aws(
        os.environ,
        version="1",
        clock=lambda: datetime.now(UTC),
        sleep=lambda seconds: None,
        monotonic=time.monotonic,
        endpoint_url=running.url,
    )
    yield made
    made.close()


@pytest.fixture
def cloud(running: StandIn, aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> AwsCloud:
    """The real services, with a bucket."""
    running.reset()
    running.settings.secret_deletion = 0
    running.add_user("me")
    running.add_bucket("keys")
    pair = running.add_key("me")
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/credentials")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", pair.key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", pair.secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return Assembly(aws, FleetSigner(), FleetSettings()).cloud


def now() -> datetime:
    """The clock of the fakes."""
    return datetime.now(UTC)


@pytest.fixture(params=["fake", "AWS"])
def secrets(request: pytest.FixtureRequest, cloud: AwsCloud) -> SecretsManager:
    """Each of the two."""
    return FakeSecrets(Points(), now) if request.param == "fake" else cloud.secrets()


@pytest.fixture(params=["fake", "AWS"])
def objects(request: pytest.FixtureRequest, cloud: AwsCloud) -> S3:
    """Each of the two."""
    return FakeObjects(Points(), now) if request.param == "fake" else cloud.objects()


def test_a_secret_is_put_read_and_described(secrets: SecretsManager) -> None:
    """Its ARN ends with six letters that AWS makes up."""
    arn = secrets.put("k/bob", "value", POLICY, {"for": "bob"})
    assert arn.split(":")[2:3] + arn.split(":")[5:6] == ["secretsmanager", "secret"]
    assert arn.split(":")[6].startswith("k/bob-")
    assert secrets.get("k/bob") == "value"
    changed, tags = secrets.about("k/bob") or (now(), {})
    assert abs(now() - changed) < timedelta(minutes=1)
    assert tags == {"for": "bob"}


def test_a_secret_is_replaced(secrets: SecretsManager) -> None:
    """Value and tags; it stays the same secret."""
    first = secrets.put("k/bob", "old", POLICY, {"for": "bob"})
    assert secrets.put("k/bob", "new", POLICY, {"for": "bob again"}) == first
    assert secrets.get("k/bob") == "new"
    found = secrets.about("k/bob")
    assert found
    assert found[1] == {"for": "bob again"}


def test_a_secret_is_deleted_at_once(secrets: SecretsManager) -> None:
    """Again, or one that never was: no error. Its name is free."""
    secrets.put("k/bob", "value", POLICY, {})
    for name in ("k/bob", "k/bob", "k/never"):
        secrets.delete(name)
    assert secrets.about("k/bob") is None
    with pytest.raises(Gone):
        secrets.get("k/bob")
    secrets.put("k/bob", "new", POLICY, {})
    assert secrets.get("k/bob") == "new"


def test_secrets_are_listed(secrets: SecretsManager) -> None:
    """Those whose names begin so."""
    for name in ("k/bob", "k/eve", "other"):
        secrets.put(name, "value", POLICY, {"for": name})
    assert {name: tags for name, _, tags in secrets.names("k/")} == {
        "k/bob": {"for": "k/bob"},
        "k/eve": {"for": "k/eve"},
    }


def test_a_secret_without_a_value(cloud: AwsCloud, running: StandIn) -> None:
    """A run that was killed leaves one: it is there, and there is nothing to read."""
    fake = FakeSecrets(Points(), now)
    fake.put("k/bob", "", POLICY, {"for": "bob"})
    running.add_secret("k/bob", None, {"for": "bob"}, region="eu-west-1")
    for secrets in (fake, cloud.secrets()):
        found = secrets.about("k/bob")
        assert found
        assert found[1] == {"for": "bob"}
        with pytest.raises(Gone):
            secrets.get("k/bob")


def test_an_object_is_put_read_listed_and_deleted(objects: S3) -> None:
    """One that is not there is no error for delete."""
    objects.put("keys", "k/bob.json", b"{}")
    objects.put("keys", "k/bob.json", b"{1}")
    objects.put("keys", "other", b"")
    assert objects.get("keys", "k/bob.json") == b"{1}"
    ((name, at),) = objects.names("keys", "k/")
    assert name == "k/bob.json"
    assert abs(now() - at) < timedelta(minutes=1)
    for _ in range(2):
        objects.delete("keys", "k/bob.json")
    with pytest.raises(Gone):
        objects.get("keys", "k/bob.json")


def test_a_link_names_bucket_object_and_time(objects: S3) -> None:
    """Nothing is sent for it."""
    link = objects.link("keys", "k/bob.json", 600)
    assert "keys" in link
    assert "k/bob.json?" in link
    assert "X-Amz-Expires=600" in link
