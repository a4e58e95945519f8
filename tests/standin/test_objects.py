"""S3: objects in buckets, lists in pages, and links that were signed beforehand."""

import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError

import pytest

from rotate_my_key.core.model import Credentials
from tests.standin import StandIn

Client = Callable[..., Any]
Refusal = Callable[..., tuple[str, int, str]]
NAMES = ["plain", "a/b/c.json", "a key with blanks", "ümläut/ß", "plus+and&more=~!*'()", "%41", "a//b", "x?y#z"]


@pytest.fixture
def s3(aws: StandIn, client: Client) -> Any:
    """A client that signs as alice; there is a bucket."""
    aws.add_bucket("bucket")
    return client("s3", aws.add_key("alice"))


def get(url: str) -> tuple[int, str]:
    """Status and body of a GET without any header of ours."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("name", NAMES)
def test_an_object_from_beginning_to_end(aws: StandIn, s3: Any, refusal: Refusal, name: str) -> None:
    """Put, got, found in the list, deleted, whatever its name."""
    s3.put_object(Bucket="bucket", Key=name, Body=b"the body", ContentType="text/plain", Metadata={"a": "b"})
    answer = s3.get_object(Bucket="bucket", Key=name)
    assert (answer["Body"].read(), answer["ContentType"], answer["Metadata"]) == (b"the body", "text/plain", {"a": "b"})
    assert s3.head_object(Bucket="bucket", Key=name)["ContentLength"] == 8
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="bucket")["Contents"]] == [name]
    assert list(aws.objects("bucket")) == [name]
    s3.delete_object(Bucket="bucket", Key=name)
    s3.delete_object(Bucket="bucket", Key=name)
    assert refusal(s3.get_object, Bucket="bucket", Key=name)[:2] == ("NoSuchKey", 404)
    assert "the body" not in repr(aws.calls)
    assert [call.action for call in aws.calls][:4] == ["PutObject", "GetObject", "HeadObject", "ListObjectsV2"]


def test_it_is_encrypted(aws: StandIn, s3: Any) -> None:
    """As asked for, else with S3's own key."""
    s3.put_object(Bucket="bucket", Key="a", Body=b"")
    key = "arn:aws:kms:eu-west-1:111122223333:key/1"
    s3.put_object(Bucket="bucket", Key="b", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    shown = {name: (each.encryption, each.kms_key) for name, each in aws.objects("bucket").items()}
    assert shown == {"a": ("AES256", ""), "b": ("aws:kms", key)}
    assert s3.get_object(Bucket="bucket", Key="b")["SSEKMSKeyId"] == key


def test_lists_come_in_pages(aws: StandIn, s3: Any) -> None:
    """A thousand at most, by prefix, in the order of names."""
    for number in range(5):
        s3.put_object(Bucket="bucket", Key=f"a/{number}", Body=b"")
    s3.put_object(Bucket="bucket", Key="b", Body=b"")
    aws.settings.page_size = 2
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix="a/")
    assert [[each["Key"] for each in page["Contents"]] for page in pages] == [["a/0", "a/1"], ["a/2", "a/3"], ["a/4"]]
    assert s3.list_objects_v2(Bucket="bucket", Prefix="c")["KeyCount"] == 0


def test_buckets(aws: StandIn, s3: Any, client: Client, refusal: Refusal) -> None:
    """One that is not there, one of another account, one that is made."""
    aws.add_account("shop").add_bucket("theirs")
    assert refusal(s3.list_objects_v2, Bucket="nobodys")[:2] == ("NoSuchBucket", 404)
    assert refusal(s3.put_object, Bucket="theirs", Key="x", Body=b"")[:2] == ("AccessDenied", 403)
    s3.create_bucket(Bucket="new", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.head_bucket(Bucket="new")
    assert refusal(s3.create_bucket, Bucket="theirs")[:2] == ("BucketAlreadyExists", 409)
    assert refusal(s3.create_bucket, Bucket="new")[:2] == ("BucketAlreadyOwnedByYou", 409)


def test_what_is_not_understood_is_refused(s3: Any, refusal: Refusal) -> None:
    """Loudly: a test must not pass because the stand-in took one thing for another."""
    assert refusal(s3.get_bucket_versioning, Bucket="bucket")[0] == "UnknownOperationException"
    assert refusal(s3.list_objects_v2, Bucket="bucket", Delimiter="/")[0] == "NotImplemented"


def test_s3_says_no_in_its_own_words(aws: StandIn, s3: Any, client: Client, refusal: Refusal) -> None:
    """Names and statuses differ from IAM's."""
    unknown = client("s3", Credentials("AKIAIOSFODNN7EXAMPLE", "x"))
    assert refusal(unknown.list_objects_v2, Bucket="bucket")[:2] == ("InvalidAccessKeyId", 403)
    aws.fault("GetObject", "throttle")
    assert refusal(s3.get_object, Bucket="bucket", Key="x")[:2] == ("SlowDown", 503)
    aws.deny("GetObject")
    assert refusal(s3.get_object, Bucket="bucket", Key="x")[:2] == ("AccessDenied", 403)


# Presigned URLs


@pytest.fixture
def link(s3: Any) -> Callable[..., str]:
    """A presigned URL of an object: `link("name", seconds)`."""

    def make(name: str = "a key/ü+~&.json", seconds: int = 60) -> str:
        s3.put_object(Bucket="bucket", Key=name, Body=b"the body")
        url: str = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": name}, ExpiresIn=seconds)
        return url

    return make


@pytest.mark.parametrize("name", NAMES)
def test_a_link_needs_no_key(aws: StandIn, link: Callable[..., str], name: str) -> None:
    """Whoever has it may read; it is recorded as a call of its signer's, without the signature."""
    url = link(name)
    assert get(url) == (200, "the body")
    call = aws.calls[-1]
    assert (call.action, call.service, call.outcome, call.params["Key"]) == ("GetObject", "s3", "OK", name)
    assert url.rpartition("=")[2] not in repr(aws.calls)


def test_a_link_expires(aws: StandIn, link: Callable[..., str]) -> None:
    """To the second, by the server's clock."""
    url = link(seconds=60)
    aws.settings.clock_offset = 50
    assert get(url)[0] == 200
    aws.settings.clock_offset = 61
    status, body = get(url)
    assert (status, "<Code>AccessDenied</Code><Message>Request has expired" in body) == (403, True)


def test_a_link_is_good_for_one_thing(aws: StandIn, link: Callable[..., str]) -> None:
    """Not for another object, a longer time, another method or a longer life than a week."""
    url = link("one")
    link("two")
    for changed in (url.replace("/one", "/two"), url.replace("Expires=60", "Expires=600")):
        status, body = get(changed)
        assert (status, "SignatureDoesNotMatch" in body) == (403, True)
    put = urllib.request.Request(url, b"x", method="PUT")  # noqa: S310
    with pytest.raises(HTTPError, match="403"):
        urllib.request.urlopen(put, timeout=5)  # noqa: S310
    assert "AuthorizationQueryParametersError" in get(url.replace("Expires=60", "Expires=604801"))[1]


def test_a_link_ends_with_who_signed_it(aws: StandIn, link: Callable[..., str], client: Client) -> None:
    """With the key, and with the session: however long it was to live."""
    url = link()
    session = aws.role_session(aws.add_role("fleet"))
    params = {"Bucket": "bucket", "Key": "a key/ü+~&.json"}
    short = client("s3", session).generate_presigned_url("get_object", params, ExpiresIn=3600)
    assert get(short) == (200, "the body")
    aws.end_sessions()
    assert "ExpiredToken" in get(short)[1]
    aws.set_status(aws.keys("alice")[0].key_id, "Inactive")
    assert "InvalidAccessKeyId" in get(url)[1]


def test_links_of_the_old_kind_and_no_signature(aws: StandIn, s3: Any, link: Callable[..., str]) -> None:
    """S3 takes version 4 alone in every region that is not old; nothing is public."""
    url = link("one").partition("?")[0]
    assert get(f"{url}?AWSAccessKeyId=AKIA&Signature=x&Expires=9999999999")[0] == 400
    assert get(url)[0] == 403
