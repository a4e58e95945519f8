"""Lists of users and groups in AWS's pages, and the limits of tags."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.standin import StandIn

Client = Callable[..., Any]
Refusal = Callable[..., tuple[str, int, str]]


@pytest.fixture
def iam(aws: StandIn, client: Client) -> Any:
    """A client that signs as alice."""
    return client("iam", aws.add_key("alice"))


def test_users_come_by_the_hundred(aws: StandIn, iam: Any) -> None:
    """Or by what is asked for, up to a thousand; each once."""
    for number in range(249):
        aws.add_user(f"user-{number}", path="/people/" if number % 2 else "/bots/")
    pages = [page["Users"] for page in iam.get_paginator("list_users").paginate()]
    assert [len(page) for page in pages] == [100, 100, 50]
    assert len({user["UserName"] for page in pages for user in page}) == 250
    assert len(iam.list_users(MaxItems=1000)["Users"]) == 250
    assert {user["Path"] for user in iam.list_users(PathPrefix="/bots/", MaxItems=200)["Users"]} == {"/bots/"}


def test_no_page_is_longer_than_the_settings_say(aws: StandIn, iam: Any) -> None:
    """Whatever is asked for: AWS may give fewer, and only the marker tells that there is more."""
    aws.add_user("bob")
    aws.settings.page_size = 1
    first = iam.list_users(MaxItems=1000)
    assert (len(first["Users"]), first["IsTruncated"]) == (1, True)
    last = iam.list_users(MaxItems=1000, Marker=first["Marker"])
    assert ([user["UserName"] for user in last["Users"]], last["IsTruncated"]) == (["bob"], False)


def test_a_list_may_change_between_two_pages(aws: StandIn, iam: Any) -> None:
    """A marker stands behind a name: who goes or comes before it moves nobody."""
    for name in ("b", "c", "d", "e"):
        aws.add_user(name)
    aws.settings.page_size = 2
    first = iam.list_users()
    aws.delete_user("b")
    aws.add_user("aaron")
    second = iam.list_users(Marker=first["Marker"])
    assert [user["UserName"] for user in second["Users"]] == ["c", "d"]


def test_a_marker_that_is_none(iam: Any, refusal: Refusal) -> None:
    """It is refused, not taken for the beginning."""
    for marker in ("1", "5", "bm9uZQ==", "ü"):
        assert refusal(iam.list_users, Marker=marker)[:2] == ("InvalidInput", 400)


def test_the_last_sign_in_is_listed(aws: StandIn, iam: Any) -> None:
    """Only for who has a password and used it."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    aws.add_user("bob", password=True, signed_in=at)
    aws.add_user("carol", password=True)
    users = {user["UserName"]: user.get("PasswordLastUsed") for user in iam.list_users()["Users"]}
    assert users == {"alice": None, "bob": at, "carol": None}
    assert iam.get_user(UserName="bob")["User"]["PasswordLastUsed"] == at
    assert iam.get_login_profile(UserName="carol")


def test_the_members_of_a_group(aws: StandIn, iam: Any, refusal: Refusal) -> None:
    """In pages too; and the groups of a user."""
    for number in range(5):
        aws.add_user(f"u{number}", groups=["break-glass", f"g{number}"])
    aws.settings.page_size = 2
    pages = list(iam.get_paginator("get_group").paginate(GroupName="break-glass"))
    assert [len(page["Users"]) for page in pages] == [2, 2, 1]
    assert {page["Group"]["GroupName"] for page in pages} == {"break-glass"}
    assert [group["GroupName"] for group in iam.list_groups_for_user(UserName="u3")["Groups"]] == ["break-glass", "g3"]
    assert refusal(iam.get_group, GroupName="nobody")[:2] == ("NoSuchEntity", 404)
    aws.delete_user("u0")
    aws.settings.page_size = 100
    assert len(iam.get_group(GroupName="break-glass")["Users"]) == 4


# Tags


def tag(key: str, value: str = "x") -> list[dict[str, str]]:
    """One tag, as the call wants it."""
    return [{"Key": key, "Value": value}]


def test_tags(aws: StandIn, iam: Any) -> None:
    """Set, changed, listed in pages, taken away; GetUser shows the same."""
    iam.tag_user(UserName="alice", Tags=[*tag("owner", "a@example.com"), *tag("team", "Ümläut 1 _.:/=+-@")])
    iam.tag_user(UserName="alice", Tags=tag("owner", ""))
    aws.settings.page_size = 1
    pages = list(iam.get_paginator("list_user_tags").paginate(UserName="alice"))
    assert [page["Tags"] for page in pages] == [tag("owner", ""), tag("team", "Ümläut 1 _.:/=+-@")]
    assert {each["Key"] for each in iam.get_user()["User"]["Tags"]} == {"owner", "team"}
    iam.untag_user(UserName="alice", TagKeys=["team", "nobody"])
    assert aws.tags("alice") == {"owner": ""}


def test_the_keys_of_tags_know_no_case(aws: StandIn, iam: Any, refusal: Refusal) -> None:
    """The new spelling replaces the old; twice in one call is an error."""
    iam.tag_user(UserName="alice", Tags=tag("Owner", "a"))
    iam.tag_user(UserName="alice", Tags=tag("owner", "b"))
    assert aws.tags("alice") == {"owner": "b"}
    assert refusal(iam.tag_user, UserName="alice", Tags=[*tag("a"), *tag("A")])[0] == "InvalidInput"
    iam.untag_user(UserName="alice", TagKeys=["OWNER"])
    assert aws.tags("alice") == {}


def test_fifty_tags_and_no_more(aws: StandIn, iam: Any, refusal: Refusal) -> None:
    """The 51st is refused with 409; those that are there can still be changed."""
    aws.set_tags("alice", {f"tag-{number}": "x" for number in range(50)})
    assert refusal(iam.tag_user, UserName="alice", Tags=tag("one-more"))[:2] == ("LimitExceeded", 409)
    iam.tag_user(UserName="alice", Tags=tag("tag-7", "y"))
    assert (len(aws.tags("alice")), aws.tags("alice")["tag-7"]) == (50, "y")


@pytest.mark.parametrize(
    "value", ["x" * 257, "a;b", "a,b", "a{b}", "a|b", '"a"', "a\x00b", "a\tb", "a\nb", "a*b", "a#b", "(a)"], ids=repr
)
def test_what_a_value_may_not_be(iam: Any, refusal: Refusal, value: str) -> None:
    """Too long, or with a character that IAM does not take."""
    assert refusal(iam.tag_user, UserName="alice", Tags=tag("a", value))[:2] == ("ValidationError", 400)


def test_tagging_who_is_not_there(iam: Any, refusal: Refusal) -> None:
    """NoSuchEntity for all three calls."""
    assert refusal(iam.tag_user, UserName="nobody", Tags=tag("a"))[0] == "NoSuchEntity"
    assert refusal(iam.untag_user, UserName="nobody", TagKeys=["a"])[0] == "NoSuchEntity"
    assert refusal(iam.list_user_tags, UserName="nobody")[0] == "NoSuchEntity"


def test_many_users_are_made_and_served_fast(aws: StandIn, iam: Any) -> None:
    """Two thousand in less than five seconds on a busy machine: no test shall fear a company."""
    import time

    begin = time.monotonic()
    for number in range(2000):
        aws.add_user(f"u{number}", tags={"owner": "a@example.com"})
        aws.add_key(f"u{number}", timedelta(days=number % 400))
    iam.generate_credential_report()
    iam.generate_credential_report()
    assert iam.get_credential_report()["Content"].count(b"\n") == 2002
    assert time.monotonic() - begin < 5
