"""Where secrets are kept and handed over: Secrets Manager, SSM's SecureString parameters, S3, and S3's presigned links.

- Secrets Manager: secretsmanager: CreateSecret, PutResourcePolicy, PutSecretValue, TagResource, GetSecretValue,
  DescribeSecret, DeleteSecret, ListSecrets. SSM: ssm:GetParameter. S3: s3: PutObject, GetObject, DeleteObject,
  ListBucket; botocore follows a bucket to its region by itself. With a KMS key of one's own kms:GenerateDataKey and
  kms:Decrypt too.
- A presigned link is a secret: it stands in no message. It is fetched without credentials, from S3's hosts or the
  endpoint that is set; a link to somewhere else is not followed, nor is a redirection.

Every verb raises kinds of `Problem` and nothing else; no message holds a secret."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.awsrequest import AWSRequest, AWSResponse

from ..core.errors import Gone, NotAllowed, Problem, TryLater, WrongUsage
from .account_calls import AccountCalls, Exists, Leaving, gone
from .calls import RetryPolicy, always, read_nothing
from .client import FALLBACK_REGION, Aws, Transport, is_page
from .connections import check_url
from .errors import FAILURES, FailedRequest, NotAws, translate


class Service:
    """One service in one region of one account. Safe to share between threads."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls


_SECRET, _PARAMETER = "secretsmanager:", "ssm:"


class NamedSecrets(Service):
    """Secrets that settings name and never hold: `secretsmanager:NAME` or `ssm:NAME` (a SecureString)."""

    def secret(self, name: str) -> str:
        """The value. Raises Denied, Gone, TryLater, and WrongUsage for a parameter that is no SecureString, which
        everybody who may list could read. No message has the value."""
        if name.startswith(_SECRET):
            return secret_value(self._calls, name.removeprefix(_SECRET))
        kind, value = self._parameter(name.removeprefix(_PARAMETER))
        if kind != "SecureString":
            raise WrongUsage(
                f"the parameter {name} is a {kind}, not a SecureString",
                f"aws ssm put-parameter --type SecureString --name {name.removeprefix(_PARAMETER)} --value ...",
            )
        return value

    def text(self, name: str) -> str:
        """An SSM parameter that is no secret, such as settings (`ssm:NAME` or `NAME`)."""
        return self._parameter(name.removeprefix(_PARAMETER))[1]

    def _parameter(self, name: str) -> tuple[str, str]:
        def read(answer: Mapping[str, Any]) -> tuple[str, str]:
            return str(answer["Parameter"]["Type"]), str(answer["Parameter"]["Value"])

        params = {"Name": name, "WithDecryption": True}
        with gone(f"there is no SSM parameter {name}", "aws ssm describe-parameters"):
            return self._calls.at(_region_of(name)).call("ssm:GetParameter", read, params)


def secret_value(calls: AccountCalls, name: str) -> str:
    """GetSecretValue, by name or ARN. Raises Gone, Denied."""
    with gone(f"there is no secret {name}, or it has no value", "aws secretsmanager list-secrets"):
        return calls.at(_region_of(name)).call("secretsmanager:GetSecretValue", _value, {"SecretId": name})


def _region_of(name: str) -> str:
    """An ARN says where it is."""
    return name.split(":")[3] if name.startswith("arn:") and name.count(":") >= 5 else ""


def _value(answer: Mapping[str, Any]) -> str:
    """Put there as text or as bytes."""
    return str(answer["SecretString"]) if "SecretString" in answer else bytes(answer["SecretBinary"]).decode()


_DELETING = 60.0  # seconds; a deletion without a recovery window is done in the background

Described = tuple[datetime, Mapping[str, str]]


class SecretsManager(Service):
    """A way to hand something over."""

    def put(self, name: str, value: str, policy: str, tags: Mapping[str, str], kms_key: str = "") -> str:
        """Make or replace a secret with its resource policy (JSON), the policy before the value; gives its ARN. A
        secret that exists gets its tags last: they tell that the value is stored. One with another KMS key is made
        anew. A new secret that could not be finished is removed again."""
        made = self._created(name, tags, kms_key)
        named = {"SecretId": made or name}
        try:
            # BlockPublicPolicy: Secrets Manager itself refuses a policy that lets everybody read.
            self._calls.call(
                "secretsmanager:PutResourcePolicy",
                read_nothing,
                {**named, "ResourcePolicy": policy, "BlockPublicPolicy": True},
            )
            stored = {**named, **_token(), "SecretString": value}
            arn = self._calls.call("secretsmanager:PutSecretValue", _arn, stored)
            if not made:
                self._calls.call("secretsmanager:TagResource", read_nothing, {**named, "Tags": _pairs(tags)})
        except Problem:
            if made:
                with suppress(Problem):  # the first problem is told; a secret without a value harms nobody
                    self.delete(made)
            raise
        return arn

    def _created(self, name: str, tags: Mapping[str, str], kms_key: str) -> str:
        """CreateSecret without a value; "" if one of this name is there, be it by an earlier attempt whose answer was
        lost."""
        params: dict[str, Any] = {"Name": name, **_token(), "Tags": _pairs(tags)}
        if kms_key:
            params["KmsKeyId"] = kms_key
        retry = self._calls.retry
        until = retry.monotonic() + _DELETING
        while True:
            try:
                return self._calls.call("secretsmanager:CreateSecret", _arn, params)
            except Exists:
                if not kms_key or self._has_key(name, kms_key):
                    return ""
                self.delete(name)
            except Leaving:
                pass
            pause = 4 * retry.poll()
            if retry.monotonic() + pause > until:
                raise NotAllowed(
                    f"the secret {name} is about to be deleted, and until then its name is taken",
                    f"aws secretsmanager delete-secret --force-delete-without-recovery --secret-id {name}",
                )
            retry.sleep(pause)

    def _has_key(self, name: str, kms_key: str) -> bool:
        """Whether a secret has this KMS key; each may be named by an id, an alias or its ARN."""
        try:
            return self._calls.call(
                "secretsmanager:DescribeSecret",
                lambda answer: str(answer.get("KmsKeyId", "")).rpartition("/")[2] == kms_key.rpartition("/")[2],
                {"SecretId": name},
            )
        except Gone:
            return False

    def get(self, name: str) -> str:
        """The value, by name or ARN. Raises Denied, Gone."""
        return secret_value(self._calls, name)

    def about(self, name: str) -> Described | None:
        """DescribeSecret: time of the last change and tags; None if it is not there, or is being deleted."""
        try:
            return self._calls.call("secretsmanager:DescribeSecret", _described, {"SecretId": name})
        except Gone:
            return None

    def delete(self, name: str) -> None:
        """At once, without a recovery window. One that is not there is no error."""
        params = {"SecretId": name, "ForceDeleteWithoutRecovery": True}
        with suppress(Gone, Leaving):
            self._calls.call("secretsmanager:DeleteSecret", read_nothing, params)

    def names(self, prefix: str) -> Iterator[tuple[str, datetime, Mapping[str, str]]]:
        """Name, time of the last change and tags of those that begin so, all pages. It lags by minutes."""
        params = {"Filters": [{"Key": "name", "Values": [prefix]}], "MaxResults": 100}
        found = self._calls.pages("secretsmanager:ListSecrets", _listed_secrets, params, "NextToken")
        return (each for each in found if each[0].startswith(prefix))


def _token() -> dict[str, str]:
    """With the same token a repeated PutSecretValue makes no second version."""
    return {"ClientRequestToken": str(uuid.uuid4())}


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def _arn(answer: Mapping[str, Any]) -> str:
    return str(answer["ARN"])


def _entry(entry: Mapping[str, Any]) -> Described:
    """A secret that was never changed has only a day of birth."""
    changed: datetime = entry.get("LastChangedDate") or entry["CreatedDate"]
    return changed.astimezone(UTC), {tag["Key"]: tag["Value"] for tag in entry.get("Tags", ())}


def _described(answer: Mapping[str, Any]) -> Described | None:
    return None if answer.get("DeletedDate") else _entry(answer)


def _listed_secrets(answer: Mapping[str, Any]) -> tuple[list[tuple[str, datetime, Mapping[str, str]]], str | None]:
    entries = [(str(entry["Name"]), *_entry(entry)) for entry in answer["SecretList"]]
    return entries, answer.get("NextToken") or None


_WEEK = 7 * 24 * 3600  # seconds; no signature of version 4 is good for longer


class S3(Service):
    """A way to hand something over."""

    def put(self, bucket: str, name: str, body: bytes, kms_key: str = "") -> None:
        """PutObject, encrypted at rest. Without a key of one's own S3 encrypts with its own (AES256)."""
        params: dict[str, Any] = {"Bucket": bucket, "Key": name, "Body": body}
        if kms_key:
            params |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
        else:
            params["ServerSideEncryption"] = "AES256"
        with gone(f"there is no bucket {bucket}", "aws s3 ls"):
            self._calls.call("s3:PutObject", read_nothing, params)

    def get(self, bucket: str, name: str) -> bytes:
        """GetObject. Raises Gone, Denied."""
        with gone(f"there is no s3://{bucket}/{name}", f"aws s3 ls s3://{bucket}/"):
            params = {"Bucket": bucket, "Key": name}
            return self._calls.call("s3:GetObject", lambda answer: bytes(answer["Body"].read()), params)

    def delete(self, bucket: str, name: str) -> None:
        """DeleteObject. One that is not there is no error: S3 says yes. Raises Gone if there is no such bucket."""
        with gone(f"there is no bucket {bucket}", "aws s3 ls"):
            self._calls.call("s3:DeleteObject", read_nothing, {"Bucket": bucket, "Key": name})

    def names(self, bucket: str, prefix: str) -> Iterator[tuple[str, datetime]]:
        """ListObjectsV2, all pages: name and time of the last change. Raises Gone if there is no such bucket."""
        params = {"Bucket": bucket, "Prefix": prefix}
        with gone(f"there is no bucket {bucket}", "aws s3 ls"):
            yield from self._calls.pages("s3:ListObjectsV2", _listed_objects, params, "ContinuationToken")

    def link(self, bucket: str, name: str, seconds: int) -> str:
        """A presigned URL for GetObject. It is a secret: whoever has it may read. No call is made. At most a week; one
        that a role or a session signs ends with its credentials, if sooner."""
        return self._calls.presign("get_object", min(seconds, _WEEK), Bucket=bucket, Key=name)


def _listed_objects(answer: Mapping[str, Any]) -> tuple[list[tuple[str, datetime]], str | None]:
    entries = [(str(entry["Key"]), entry["LastModified"].astimezone(UTC)) for entry in answer.get("Contents", ())]
    return entries, answer.get("NextContinuationToken") or None


_ASK = "ask IT for a new one"
_S3 = re.compile(
    r"(?:[\w.-]+\.)?s3(?:[.-][\w-]+)*\.(?:amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)"
)
_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")

# S3's codes (S3 API reference, "Error responses") for a URL that is signed.
_WHY = {
    "ExpiredToken": "the link has expired: the sign-in that made it has ended",
    "InvalidToken": "the link has expired: the sign-in that made it has ended",
    "InvalidAccessKeyId": "the link has expired: the key that signed it is gone",
    "SignatureDoesNotMatch": "the link is incomplete: it was cut off or changed on its way",
    "AuthorizationQueryParametersError": "the link is incomplete: it was cut off or changed on its way",
}


def fetch(aws: Aws, url: str, most: int, tell: Callable[[str], None]) -> bytes:
    """What the link leads to, at most so many bytes. `tell` is called with a host that is not AWS's own, before
    anything is sent there. Raises Problem for what is no such link, NotAllowed for one that has expired, Gone,
    TryLater."""
    transport = aws.transport(None, wide=True)
    _check(url, transport, tell)
    request = AWSRequest(method="GET", url=url, headers={"Accept-Encoding": "identity"}).prepare()
    pool = transport.pool_to(url)

    def send() -> AWSResponse:
        with pool.borrow() as connection:
            answer = connection.send(request)
            page = is_page(answer.content)
        if answer.status_code >= 500 or page:
            raise NotAws(answer.status_code, page=page)
        return answer

    try:
        answer = RetryPolicy(aws.sleep, aws.monotonic).run(send, again=always)
    except FAILURES as error:
        failure = error
    else:
        return _presigned_body(answer, most)
    finally:
        pool.close()
    parts = urlsplit(url)
    sent = FailedRequest("s3:GetObject", "", f"{parts.scheme}://{parts.netloc}", transport.region, timedelta(0))
    problem = translate(failure, sent)
    kind = TryLater if isinstance(problem, TryLater) else Problem
    raise kind(problem.message, problem.hint)


def _check(url: str, transport: Transport, tell: Callable[[str], None]) -> None:
    parts = urlsplit(url)
    check_url(url)
    if not {"X-Amz-Signature", "Signature"} & parse_qs(parts.query).keys():
        raise Problem("this is not a link that S3 has signed", "copy the whole of it, or ask IT for a new one")
    if _S3.fullmatch(parts.hostname or "") and parts.scheme == "https":
        return
    ours = urlsplit(transport.at(transport.region or FALLBACK_REGION).url("s3"))
    if (parts.scheme, parts.netloc) != (ours.scheme, ours.netloc):
        raise Problem(f"the link leads to {parts.hostname}, which is not S3; nothing was sent there", _ASK)
    tell(f"{parts.scheme}://{parts.netloc}")


def _presigned_body(answer: AWSResponse, most: int) -> bytes:
    body: bytes = answer.content
    if answer.status_code == 200:
        if len(body) > most:
            raise Problem("what the link leads to is too large for a key", _ASK)
        return body
    found = _CODE.search(body)
    code = found[1].decode() if found else ""
    if answer.status_code == 404:
        raise Gone("what the link leads to is not there any more: fetched, replaced, or not fetched in time", _ASK)
    if b"expired" in body.lower() and code == "AccessDenied":
        raise NotAllowed("the link has expired", _ASK)
    if code in _WHY:
        raise NotAllowed(_WHY[code], _ASK)
    if answer.status_code in (401, 403):
        raise NotAllowed("S3 does not allow it: what the link leads to is gone, or its signer may not read it", _ASK)
    raise Problem(f"S3 answers {code or 'nothing'} (HTTP {answer.status_code})", _ASK)
