"""The words of a hand-over: slips, names, who may read, what is delivered."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotate_my_key.aws.services import AwsCloud
from rotate_my_key.core.errors import Problem, TryLater, WrongUsage
from rotate_my_key.core.model import AccessKey, Credentials, Identity
from rotate_my_key.fleet.handover import (
    HandoverRecord,
    decode,
    encode,
    finder,
    made_then,
    place_name,
    place_of,
    readers,
    reading_policy,
    secret_name,
    secret_place,
    waiting,
)
from rotate_my_key.settings.fleet import FleetSettings, ReissueSettings
from rotate_my_key.state.transit import Delivered, read_delivery, reservation, write_delivery
from tests.fleet.fakes import FakeOrganization

from .world import ACCOUNT, Company

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
ALICE = "arn:aws:iam::123456789012:user/team/alice"
SLIP = HandoverRecord("123456789012", "alice", AT, "run1", ("AKIAOLD0000000000001",), "AKIAOLD0000000000001")
PAIR = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
DELIVERED = Delivered(PAIR, Identity("123456789012", ALICE), AT, "AKIAOLD0000000000001", "work")

FULL = HandoverRecord("1" * 12, "a", AT, "0123456789abcdef", ("AKIA" + "A" * 16, "AKIA" + "B" * 16), "AKIA" + "A" * 16)
SLIPS = [
    pytest.param(SLIP, id="reserved"),
    pytest.param(HandoverRecord("123456789012", "alice", AT, "r"), id="a user without keys"),
    pytest.param(
        HandoverRecord(
            *(FULL.account, FULL.user, AT, FULL.run, FULL.had, FULL.replaces, "AKIA" + "C" * 16),
            spot="ap-southeast-1/AbCdEf",
        ),
        id="stored",
    ),
]


@pytest.mark.parametrize("record", SLIPS)
def test_a_slip_fits_a_tag_and_is_read_back(record: HandoverRecord) -> None:
    """At most 256 characters of those that a tag may have."""
    text = encode(record)
    assert re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{1,256}", text)
    assert decode(text, record.account, record.user) == record


@pytest.mark.parametrize("text", ["", "hello", "2 at=2026-11-25T12:00:00Z run=x", "1 at=yesterday run=x", "1 run=x"])
def test_what_is_no_slip_is_left_alone(text: str) -> None:
    """Somebody else's tag, or a newer version's."""
    assert decode(text, "123456789012", "alice") is None


NAMES = ["alice", "a+b=c,d.e@f-g_h", "bob-abcdef", "x" * 64]


@pytest.mark.parametrize("name", NAMES)
def test_every_user_name_gives_a_name_and_back(name: str) -> None:
    """Whatever IAM allows in it; never one that ends like an ARN: a hyphen and six characters."""
    assert place_of(place_name("123456789012", name)) == ("123456789012", name)
    secret = secret_name("rotate-my-key/", "123456789012", name)
    assert re.fullmatch(r"[A-Za-z0-9/_+=.@-]{1,512}", secret)
    assert not re.search(r"-.{6}$", secret)
    assert secret_place("rotate-my-key/", secret) == ("123456789012", name)


@pytest.mark.parametrize("name", ["rotate-my-key/telegram", "rotate-my-key/123456789012/a b/handover", "x/handover"])
def test_other_secrets_are_no_hand_over(name: str) -> None:
    """Channel URLs stand under the same prefix."""
    assert secret_place("rotate-my-key/", name) is None


def key(key_id: str, seconds: float) -> AccessKey:
    """One that was made so long after the slip."""
    return AccessKey(key_id, "Active", AT + timedelta(seconds=seconds))


OURS = [
    pytest.param([key("NEW", 3)], "NEW", id="one that is new"),
    pytest.param([key("AKIAOLD0000000000001", 3)], None, id="one that was there"),
    pytest.param([key("NEW", 3), key("NEWER", 4)], None, id="two are new: one is somebody's"),
    pytest.param([key("NEW", -60)], None, id="made before"),
    pytest.param([key("NEW", 60)], None, id="made later"),
]


@pytest.mark.parametrize(("keys", "found"), OURS)
def test_the_key_of_a_lost_answer(keys: list[AccessKey], found: str | None) -> None:
    """Exactly one, unknown before, of that very time."""
    made = made_then(SLIP, keys)
    assert (made.key_id if made else None) == found
    assert made_then(replace(SLIP, key_id="AKIAX"), keys) is None  # it is stored: another new key is somebody else's


# Who may read


def test_only_the_user_reads() -> None:
    """He is allowed by name, and everybody but him is denied, wildcards and admins included; a role of his own, by its
    ARN, may read too."""
    allow, deny = json.loads(reading_policy(readers(ALICE, "", "alice")))["Statement"]
    assert allow["Principal"] == {"AWS": [ALICE]}
    assert set(allow["Action"]) == {"secretsmanager:GetSecretValue", "secretsmanager:DeleteSecret"}
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", ["secretsmanager:GetSecretValue"])
    assert deny["Condition"] == {"ArnNotLike": {"aws:PrincipalArn": [ALICE]}}
    arns = readers(ALICE, "arn:aws:iam::123456789012:role/people/{user}", "alice")
    allow, deny = json.loads(reading_policy(arns))["Statement"]
    assert allow["Principal"]["AWS"] == [ALICE, "arn:aws:iam::123456789012:role/people/alice"]
    assert deny["Condition"]["ArnNotLike"]["aws:PrincipalArn"] == list(arns)


def test_of_a_shared_role_only_his_session_reads() -> None:
    """The role's ARN is in aws:PrincipalArn, the session's name in aws:userid: both must be his."""
    session = "arn:aws:sts::123456789012:assumed-role/Developer/{user}@example.com"
    allow, deny, others = json.loads(reading_policy(readers(ALICE, session, "alice")))["Statement"]
    assert allow["Principal"]["AWS"][1] == "arn:aws:sts::123456789012:assumed-role/Developer/alice@example.com"
    roles = ["arn:aws:iam::123456789012:role/Developer", "arn:aws:iam::123456789012:role/*/Developer"]
    assert deny["Condition"]["ArnNotLike"]["aws:PrincipalArn"] == [ALICE, *roles]
    assert others["Condition"]["ArnLike"]["aws:PrincipalArn"] == roles
    assert others["Condition"]["StringNotLike"] == {"aws:userid": "*:alice@example.com"}
    assert others["Effect"] == "Deny"


def test_a_role_with_a_wildcard_is_no_principal() -> None:
    """SSO roles have random names: the account is the principal, the condition says which role."""
    arns = readers(ALICE, "arn:aws:iam::123456789012:role/aws-reserved/*/AWSReservedSSO_Dev_*", "alice")
    allow, like, _ = json.loads(reading_policy(arns))["Statement"]
    assert allow["Principal"] == {"AWS": [ALICE]}
    assert like["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert like["Condition"]["ArnLike"]["aws:PrincipalArn"] == [arns[1]]


@pytest.mark.parametrize(
    "reader", ["*", "alice", "arn:aws:iam::123456789012:user/bob", "arn:aws:iam::123456789012:root"]
)
def test_other_readers_are_refused(reader: str) -> None:
    """A wildcard, another user, a whole account."""
    with pytest.raises(WrongUsage, match="not the ARN of a role or of a role session"):
        readers(ALICE, reader, "alice")


def test_a_session_with_a_wildcard_is_told_by_its_end() -> None:
    """Where people sign in with names of their own the account is the principal, the conditions say who."""
    arns = readers(ALICE, "arn:aws:sts::123456789012:assumed-role/Sso_?/{user}", "alice")
    _, like, _, others = json.loads(reading_policy(arns))["Statement"]
    assert like["Condition"]["StringLike"] == {"aws:userid": "*:alice"}
    assert others["Condition"]["StringNotLike"] == {"aws:userid": "*:alice"}


# Places


def test_a_message_goes_without_the_place_that_cannot_be_known() -> None:
    """It still says that a key waits."""

    class Nobody(FakeOrganization):
        def me(self) -> Identity:
            raise TryLater("cannot reach AWS", "try again")

    settings, cloud = FleetSettings(reissue=ReissueSettings(enabled=True)), AwsCloud(None)  # type: ignore[arg-type]
    cloud.secrets = lambda region="": None  # type: ignore[method-assign,assignment,return-value]
    assert finder(cloud, Nobody(), settings)("123456789012", "alice") == ""  # type: ignore[arg-type]


def test_a_bucket_must_be_named() -> None:
    """In the settings that were read."""
    settings = FleetSettings(reissue=ReissueSettings(enabled=True, through="s3"))
    with pytest.raises(WrongUsage, match=r"reissue\.bucket is not set") as caught:
        waiting(None, None, settings)  # type: ignore[arg-type]
    assert caught.value.hint == "set bucket under [reissue] in fleet.ini"


def test_a_secret_has_no_link() -> None:
    """The hint is what fetches it."""
    company = Company("secretsmanager")
    company.world.user("alice", 98)
    company.reissue()
    record = company.waiting.find(ACCOUNT.number, "alice")
    assert record
    with pytest.raises(WrongUsage, match=r"links need reissue\.through = s3") as caught:
        company.waiting.link(record)
    assert caught.value.hint.startswith("rotate-my-key adopt secretsmanager:arn:aws:secretsmanager:eu-west-1:")


@pytest.mark.parametrize("through", ["secretsmanager", "s3"])
def test_what_others_keep_there_is_no_handover(through: str) -> None:
    """A secret of that name without the record, another secret, another object."""
    company = Company(through)
    company.world.user("alice", 98)
    company.reissue()
    company.secrets.put("rotate-my-key/123456789012/bob/handover", "x", "", {})
    company.secrets.put("rotate-my-key/other", "x", "", {"rotate-my-key-handover": "1"})
    company.objects.put("handover", "rotate-my-key/123456789012/bob/notes", b"x")
    assert list(company.waiting.everybody()) == [(ACCOUNT.number, "alice")]


def test_what_goes_while_it_is_read_is_gone() -> None:
    """The bucket's list is older than the object."""
    company = Company("s3")
    company.world.user("alice", 98)
    company.reissue()
    names = [*company.objects.names("handover", "")]
    company.objects.held.clear()
    company.objects.names = lambda bucket, prefix: iter(names)  # type: ignore[method-assign]
    assert company.waiting.find(ACCOUNT.number, "alice") is None


# What is delivered


def test_a_delivery_is_read_back() -> None:
    """And shows no secret where it is printed."""
    assert read_delivery(write_delivery(DELIVERED)) == DELIVERED
    assert PAIR.secret not in repr(DELIVERED)


def changed(**values: object) -> str:
    """A delivery that somebody has changed."""
    return json.dumps({**json.loads(write_delivery(DELIVERED)), **values})


BAD = [
    pytest.param(reservation(), "is not there yet", id="reserved only"),
    pytest.param("", "does not come from", id="nothing"),
    pytest.param("[" * 100_000, "does not come from", id="deep"),
    pytest.param('{"kind": "x"}', "does not come from", id="something else"),
    pytest.param(changed(version=2), "cannot read what IT stored", id="newer"),
    pytest.param(changed(user="bob"), "does not come from", id="another name than the ARN's"),
    pytest.param(changed(account="999999999999"), "does not come from", id="another account than the ARN's"),
    pytest.param(changed(arn="arn:aws:iam::123456789012:root"), "does not come from", id="root"),
    pytest.param(changed(key_id="ASIAIOSFODNN7EXAMPLE"), "does not come from", id="a session"),
    pytest.param(changed(secret="short"), "does not come from", id="half a secret"),
    pytest.param(changed(secret=["x"]), "does not come from", id="no text"),
    pytest.param(changed(replaces=PAIR.key_id), "does not come from", id="replaces itself"),
    pytest.param(changed(profile="a\x1b[2J"), "does not come from", id="signs for a terminal"),
    pytest.param(changed(made="2026-11-25"), "does not come from", id="no time"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_what_was_tampered_with_is_refused(text: str, words: str) -> None:
    """In one line, which tells nothing of what was there."""
    with pytest.raises(Problem, match=words) as caught:
        read_delivery(text)
    assert PAIR.secret not in str(caught.value)
    assert caught.value.__context__ is None or PAIR.secret not in repr(caught.value.__context__)
