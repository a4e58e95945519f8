"""What holds of the fleet's fakes holds of AWS: the same cases against `fakes.py` and, over HTTP, the real adapters.

The fakes of what hands keys over, and Secrets Manager and S3 over HTTP: the same cases.
"""

from __future__ import annotations

import csv
import json
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rotate_my_key.aws.client import Aws
from rotate_my_key.aws.delivery import S3, SecretsManager
from rotate_my_key.aws.services import AwsCloud
from rotate_my_key.core.errors import Denied, Gone, NoRoom, NotAllowed, TryLater
from rotate_my_key.core.model import LastUse
from rotate_my_key.fleet.accounts import AccountDirectory, AwsOrganization
from rotate_my_key.fleet.assembly import Assembly, FleetSigner
from rotate_my_key.fleet.model import AwsAccount
from rotate_my_key.fleet.revoke import older_sessions
from rotate_my_key.settings.fleet import Accounts, FleetSettings
from tests.standin import StandIn

from .fakes import BEGINNING, HEAD, NOW, FakeDirectory, FakeOrganization
from .reissue.world import FakeObjects, FakeSecrets, Points

DAY = timedelta(days=1)
USED = LastUse(datetime(2026, 11, 1, 12, 0, tzinfo=UTC), "s3", "eu-west-1")
UNKNOWN = "AKIAIOSFODNN7EXAMPLE"
# The verbs that may be denied: their actions, and what each is called with.
VERBS: dict[str, tuple[str, tuple[object, ...]]] = {
    "request_report": ("GenerateCredentialReport", ()),
    "report": ("GetCredentialReport", ()),
    "members": ("GetGroup", ("bots",)),
    "find": ("GetUser", ("bob",)),
    "keys": ("ListAccessKeys", ("bob",)),
    "create": ("CreateAccessKey", ("bob",)),
    "tag": ("TagUser", ("bob", "a", "b")),
    "untag": ("UntagUser", ("bob", "a")),
    "set_active": ("UpdateAccessKey", ("bob", UNKNOWN, True)),
    "delete": ("DeleteAccessKey", ("bob", UNKNOWN)),
    "groups_of": ("ListGroupsForUser", ("bob",)),
    "has_password": ("GetLoginProfile", ("bob",)),
    "delete_password": ("DeleteLoginProfile", ("bob",)),
    "has_policy": ("GetUserPolicy", ("bob", "x")),
    "put_policy": ("PutUserPolicy", ("bob", "x", older_sessions(NOW))),
    "delete_policy": ("DeleteUserPolicy", ("bob", "x")),
}
LOOKING = {"users": "ListUsers", "tags": "ListUserTags", "last_use": "GetAccessKeyLastUsed"}
ACTIONS = {**LOOKING, **{verb: action for verb, (action, _) in VERBS.items()}}


class Fake:
    """The fakes, and the verbs to set them up."""

    def __init__(self) -> None:
        self.fake = FakeDirectory()
        self.directory: AccountDirectory = self.fake
        self.organization: AwsOrganization = FakeOrganization(self.fake)
        self.number = self.fake.account.number

    def user(self, name: str, path: str = "/", **tags: str) -> None:
        """Add a user."""
        self.fake.user(name, path=path, **tags)

    def key(self, name: str, age: float, status: str = "Active", use: LastUse | None = None) -> str:
        """Add a key; gives its id."""
        return self.fake.key(name, age, status, use or LastUse(None))

    def join(self, name: str, group: str) -> None:
        """Put a user into a group."""
        self.fake.everybody[name].groups.add(group)

    def deny(self, verb: str) -> None:
        """Deny what a verb calls."""
        self.fake.broken[verb] = Denied("no", action=f"iam:{ACTIONS[verb]}")

    def delay(self) -> None:
        """The report is not ready at once."""
        self.fake.waits = 2


class Real:
    """The adapters over HTTP, and the same verbs; `me` is who signs."""

    def __init__(self, standin: StandIn, aws: Aws) -> None:
        self.standin = standin
        standin.settings.page_size = 2  # each list has pages
        self.organization: AwsOrganization = Assembly(aws, FleetSigner(), FleetSettings()).organization
        self.number = standin.account
        self.directory: AccountDirectory = self.organization.directory(AwsAccount(self.number))

    def user(self, name: str, path: str = "/", **tags: str) -> None:
        """Add a user, with a password."""
        self.standin.add_user(name, path, tags, password=True)

    def key(self, name: str, age: float, status: str = "Active", use: LastUse | None = None) -> str:
        """Add a key; gives its id."""
        return self.standin.add_key(name, age * DAY, status, use).key_id

    def join(self, name: str, group: str) -> None:
        """Put a user into a group."""
        self.standin.add_group(group, [name])

    def deny(self, verb: str) -> None:
        """Deny what a verb calls."""
        self.standin.deny(ACTIONS[verb])

    def delay(self) -> None:
        """The report is not ready at once."""
        self.standin.settings.report_polls = 1


World = Fake | Real


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
def signed_in(running: StandIn, nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in is empty but for who signs, by the environment."""
    running.reset()
    running.add_user("me")
    pair = running.add_key("me")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", pair.key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", pair.secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


@pytest.fixture(params=["fake", "AWS"])
def world(request: pytest.FixtureRequest, running: StandIn, aws: Aws, signed_in: None) -> World:
    """Each of the two, with bob in it."""
    made: World = Fake() if request.param == "fake" else Real(running, aws)
    made.user("bob", "/staff/eu/", owner="bob@example.com")
    return made


# Looking


def test_users_come_without_what_they_cost_more_calls(world: World) -> None:
    """Keys, tags, groups and passwords are unknown, not absent. One is found by name, whatever the path, with tags;
    none is not unknown. The account is told by the directory, and by who signs."""
    assert world.directory.account.number == world.organization.me().account == world.number
    world.user("eve")
    users = {user.name: user for user in world.directory.users() if user.name != "me"}
    bob = users["bob"]
    assert sorted(users) == ["bob", "eve"]
    assert (bob.account, bob.arn) == (world.number, f"arn:aws:iam::{world.number}:user/staff/eu/bob")
    assert (bob.path, bob.is_root) == ("/staff/eu/", False)
    assert bob.created is not None and bob.created.tzinfo is not None
    assert (bob.keys, bob.tags, bob.groups, bob.password, bob.signed_in) == ((), None, None, None, None)
    bob = world.directory.find("bob")
    assert (bob.path, bob.tags, bob.groups) == ("/staff/eu/", {"owner": "bob@example.com"}, None)
    assert (world.directory.tags("bob"), world.directory.tags("eve")) == ({"owner": "bob@example.com"}, {})


def test_keys_are_listed_with_status_age_and_last_use(world: World) -> None:
    """As IAM lists them, active or not; when, where and by what they were used; never is not unknown. A key that is not
    there may just have been deleted."""
    old, young = world.key("bob", 98, use=USED), world.key("bob", 3, "Inactive")
    found = {key.key_id: key for key in world.directory.keys("bob")}
    assert {key_id: key.active for key_id, key in found.items()} == {old: True, young: False}
    assert abs(found[young].created - found[old].created - 95 * DAY) < timedelta(minutes=1)
    never = world.directory.last_use(young)
    assert world.directory.last_use(old) == USED
    assert never is not None and never.at is None
    assert world.directory.last_use(UNKNOWN) is None


def test_members_of_a_group(world: World) -> None:
    """By their names."""
    world.user("eve")
    world.join("bob", "bots")
    assert (world.directory.members("bots"), world.directory.groups_of("bob")) == ({"bob"}, {"bots"})
    with pytest.raises(Gone):
        world.directory.members("nix")


def test_the_credential_report(world: World) -> None:
    """While it is not ready asking says no, and fetching says later. Its columns are AWS's; root comes first; the id of
    a key is nowhere."""
    key_id = world.key("bob", 98, use=USED)
    world.delay()
    assert not world.directory.request_report()
    with pytest.raises(TryLater):
        world.directory.report()
    while not world.directory.request_report():
        pass
    text, at = world.directory.report()
    rows = {row["user"]: row for row in csv.DictReader(text.splitlines())}
    assert text.splitlines()[0].startswith(HEAD)
    assert next(iter(rows)) == "<root_account>"
    assert (rows["bob"]["access_key_1_active"], rows["bob"]["access_key_2_active"]) == ("true", "false")
    assert rows["bob"]["access_key_1_last_used_service"] == "s3"
    assert key_id not in text
    assert at.tzinfo is not None


# Changing


def test_a_tag_is_set_changed_and_taken_off(world: World) -> None:
    """The others stay. A user has fifty at most, but one that is there may be changed."""
    world.directory.tag("bob", "rotate-my-key-fleet", "1 ABCD2345:n2")
    world.directory.tag("bob", "rotate-my-key-fleet", "1 ABCD2345:n3")
    assert world.directory.tags("bob") == {"owner": "bob@example.com", "rotate-my-key-fleet": "1 ABCD2345:n3"}
    world.directory.untag("bob", "rotate-my-key-fleet")
    world.directory.untag("bob", "rotate-my-key-fleet")
    assert world.directory.tags("bob") == {"owner": "bob@example.com"}
    world.user("full", "/", **{f"t{number}": "x" for number in range(50)})
    world.directory.tag("full", "t1", "y")
    with pytest.raises(NotAllowed):
        world.directory.tag("full", "more", "x")


def test_a_key_is_made_switched_off_on_and_deleted(world: World) -> None:
    """The pair, and what a list says of it; there is no room for a third. Each act may be repeated but the last."""
    directory = world.directory
    pair, key = directory.create("bob")
    assert (key.key_id, key.active, bool(pair.secret), pair.token) == (pair.key_id, True, True, None)
    for active in (False, False, True, True):
        directory.set_active("bob", key.key_id, active)
        assert [(each.key_id, each.active) for each in directory.keys("bob")] == [(key.key_id, active)]
    directory.create("bob")
    with pytest.raises(NoRoom):
        directory.create("bob")
    directory.delete("bob", key.key_id)
    assert len(directory.keys("bob")) == 1
    with pytest.raises(Gone):
        directory.delete("bob", key.key_id)


def test_passwords_and_policies(world: World) -> None:
    """There or not, and taken away once."""
    directory, policy = world.directory, older_sessions(NOW)
    assert (directory.has_password("bob"), directory.has_policy("bob", "x")) == (True, False)
    for _ in range(2):
        directory.put_policy("bob", "x", policy)
    assert directory.has_policy("bob", "x")
    for verb, arguments in (("delete_password", ("bob",)), ("delete_policy", ("bob", "x"))):
        getattr(directory, verb)(*arguments)
        with pytest.raises(Gone):
            getattr(directory, verb)(*arguments)
    assert (directory.has_password("bob"), directory.has_policy("bob", "x")) == (False, False)
    assert (directory.has_password("nix"), directory.has_policy("nix", "x")) == (False, False)


# What is refused


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_denied(world: World, verb: str) -> None:
    """The action is told. What asks of a user who is not there is Gone, but for a yes or no."""
    action, arguments = VERBS[verb]
    if "bob" in arguments and verb not in ("has_password", "has_policy"):
        with pytest.raises(Gone):
            getattr(world.directory, verb)("nix", *arguments[1:])
    key_id = world.key("bob", 98)
    world.join("bob", "bots")
    world.deny(verb)
    with pytest.raises(Denied) as caught:
        getattr(world.directory, verb)(*(key_id if each == UNKNOWN else each for each in arguments))
    assert caught.value.action == f"iam:{action}"


def test_what_is_denied_of_a_list(world: World) -> None:
    """When its first is wanted. Tags and last uses are unknown then, and no error: a survey goes on."""
    key_id = world.key("bob", 98, use=USED)
    with pytest.raises(Gone):
        world.directory.tags("nix")
    for verb in LOOKING:
        world.deny(verb)
    with pytest.raises(Denied):
        list(world.directory.users())
    assert world.directory.tags("bob") is None
    assert world.directory.last_use(key_id) is None


# The organization


def test_the_accounts_of_an_organization(running: StandIn, signed_in: None, aws: Aws) -> None:
    """Those that are open, with their names; each has a directory."""
    fakes = FakeOrganization(FakeDirectory("111111111111", "main"), FakeDirectory("222222222222", "shop"))
    running.add_account("shop", "222222222222").add_role("fleet")
    running.add_account("closed", "333333333333", "SUSPENDED")
    settings = FleetSettings(accounts=Accounts(role="fleet"))
    for organization in (fakes, Assembly(aws, FleetSigner(), settings).organization):
        found: dict[str, AwsAccount] = {account.number: account for account in organization.accounts()}
        assert organization.me().account in found
        assert found["222222222222"].name == "shop"
        assert len(found) == 2
        directory: AccountDirectory = organization.directory(found["222222222222"])
        assert directory.account == found["222222222222"]
        assert list(directory.users()) == []


@pytest.mark.parametrize("verb", sorted(BEGINNING))
def test_nothing_begins_that_may_not(world: World, verb: str) -> None:
    """As when a function's time is up: whoever looks is stopped before anything is sent. What was begun is ended: a key
    that was switched off is written down, however late it is."""

    def begin(account: AwsAccount) -> None:
        raise TryLater(f"no time for {account.number}")

    key_id, directory = world.key("bob", 98), world.organization.directory(AwsAccount(world.number))
    directory.keys("bob")
    world.organization.begin = begin
    with pytest.raises(TryLater, match=world.number):
        # ListUsers gives its pages as they are asked for
        next(iter(getattr(directory, verb)(*VERBS.get(verb, ("", ()))[1])))
    directory.set_active("bob", key_id, False)
    directory.tag("bob", "rotate-my-key-fleet", "1")
    assert directory.tags("bob") == {"owner": "bob@example.com", "rotate-my-key-fleet": "1"}


READER = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "*", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [READER]})


@pytest.fixture
def cloud(running: StandIn, aws: Aws, signed_in: None) -> AwsCloud:
    """The real services, with a bucket."""
    running.settings.secret_deletion = 0
    running.add_bucket("keys")
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


def test_a_secret_is_put_listed_read_described_and_deleted(secrets: SecretsManager) -> None:
    """Its ARN ends with six letters that AWS makes up. Replaced, value and tags, it stays the same secret. It is listed
    by how its name begins. Deleted again, or one that never was: no error, and the name is free at once."""
    first = secrets.put("k/bob", "old", POLICY, {"for": "bob"})
    assert re.fullmatch(r"arn:aws:secretsmanager:[\w-]+:\d{12}:secret:k/bob-\w{6}", first)
    for value in ("old", "new"):
        assert secrets.put("k/bob", value, POLICY, {"for": f"bob {value}"}) == first
        assert secrets.get("k/bob") == value
        changed, tags = secrets.about("k/bob") or (now(), {})
        assert abs(now() - changed) < timedelta(minutes=1)
        assert tags == {"for": f"bob {value}"}
    for name in ("k/eve", "other"):
        secrets.put(name, "value", POLICY, {"for": name})
    assert {name: tags for name, _, tags in secrets.names("k/")} == {
        "k/bob": {"for": "bob new"},
        "k/eve": {"for": "k/eve"},
    }
    for name in ("k/bob", "k/bob", "k/never"):
        secrets.delete(name)
    assert secrets.about("k/bob") is None
    with pytest.raises(Gone):
        secrets.get("k/bob")
    secrets.put("k/bob", "new", POLICY, {})
    assert secrets.get("k/bob") == "new"


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
    """One that is not there is no error for delete. A link names bucket, object and time; nothing is sent for it."""
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
    link = objects.link("keys", "k/bob.json", 600)
    assert "keys" in link and "k/bob.json?" in link and "X-Amz-Expires=600" in link
