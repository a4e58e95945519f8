"""S3, path-style: buckets and objects, and links that were signed beforehand.

Source: S3 API reference. Objects are private: rights.py says who may read, signature.py reads presigned URLs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

from . import rights
from .cloud import Object
from .errors import Answer, Refused
from .protocols import cut, size
from .rules import Call
from .sessions import Signer
from .world import World

Payload = Mapping[str, Any]
_XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"


def create_bucket(call: Call, world: World, signer: Signer, payload: Payload) -> Answer:
    """CreateBucket; names are the whole world's."""
    name = payload["Bucket"]
    owner = _owner(world, name)
    if owner and owner is not world:
        raise Refused("BucketAlreadyExists", "The requested bucket name is not available.", 409)
    if owner and call.region != "us-east-1":
        raise Refused("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded.", 409)
    world.cloud.buckets.setdefault(name, {})
    return Answer(200, "application/xml", b"", headers={"Location": f"/{name}"})


def head_bucket(call: Call, world: World, signer: Signer, payload: Payload) -> Answer:
    """HeadBucket."""
    _bucket(world, payload)
    return Answer(200, "application/xml", b"", headers={"x-amz-bucket-region": call.region})


def get_location(call: Call, world: World, signer: Signer, payload: Payload) -> Answer:
    """GetBucketLocation: every bucket is where it is asked for."""
    _bucket(world, payload)
    where = "" if call.region == "us-east-1" else call.region
    return _xml(f'<LocationConstraint xmlns="{_XMLNS}">{where}</LocationConstraint>')


def put_object(call: Call, world: World, signer: Signer, payload: Payload) -> Answer:
    """PutObject, encrypted as asked for, else with S3's own key."""
    bucket, headers = _bucket(world, payload), payload["Headers"]
    if headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        raise Refused("NotImplemented", "the stand-in takes no body in chunks", 501)
    prefix = "x-amz-meta-"
    made = Object(
        payload["Body"],
        world.now(),
        headers.get("content-type", "binary/octet-stream"),
        headers.get("x-amz-server-side-encryption", "AES256"),
        headers.get("x-amz-server-side-encryption-aws-kms-key-id", ""),
        headers.get("x-amz-tagging", ""),
        {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)},
    )
    bucket[payload["Key"]] = made
    return Answer(200, "application/xml", b"", headers={"ETag": _etag(made), **_encryption(made)})


def get_object(call: Call, world: World, signer: Signer, payload: Payload) -> Answer:
    """GetObject and HeadObject. What is not there is AccessDenied for those who may not list the bucket."""
    bucket, key = _bucket(world, payload), payload["Key"]
    if key not in bucket:
        if not rights.may(world, call, signer, "s3:ListBucket", bucket_arn(world, payload["Bucket"])):
            raise Refused("AccessDenied", "Access Denied", 403)
        raise Refused("NoSuchKey", "The specified key does not exist.", 404)
    found = bucket[key]
    headers = {"ETag": _etag(found), "Last-Modified": format_datetime(found.at, usegmt=True), **_encryption(found)}
    meta = {f"x-amz-meta-{name}": value for name, value in found.metadata.items()}
    return Answer(200, found.kind, found.body, headers={**headers, **meta})


def delete_object(call: Call, world: World, signer: Signer, payload: Payload) -> Answer:
    """DeleteObject; what is not there is no error."""
    _bucket(world, payload).pop(payload["Key"], None)
    return Answer(204, "application/xml", b"")


def list_objects(call: Call, world: World, signer: Signer, payload: Payload) -> Answer:
    """ListObjectsV2, without delimiters."""
    if payload.get("delimiter"):
        raise Refused("NotImplemented", "the stand-in lists without delimiters", 501)
    bucket, prefix = _bucket(world, payload), payload.get("prefix", "")
    after = payload.get("start-after", "")
    shown = [(key, each) for key, each in bucket.items() if key.startswith(prefix) and key > after]
    count = size(payload.get("max-keys"), 1000, 1000, world.settings.page_size)
    page, token = cut(shown, lambda pair: pair[0], payload.get("continuation-token", ""), count)
    listed = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>{_iso(each.at)}</LastModified><ETag>{escape(_etag(each))}"
        f"</ETag><Size>{len(each.body)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for key, each in page
    )
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return _xml(
        f'<ListBucketResult xmlns="{_XMLNS}"><Name>{escape(payload["Bucket"])}</Name><Prefix>{escape(prefix)}</Prefix>'
        f"<KeyCount>{len(page)}</KeyCount><MaxKeys>{count}</MaxKeys><IsTruncated>{str(bool(token)).lower()}"
        f"</IsTruncated>{listed}{more}</ListBucketResult>"
    )


def bucket_arn(world: World, bucket: str, key: str | None = None) -> str:
    """Of a bucket, or of an object in it."""
    return f"arn:{world.settings.partition}:s3:::{bucket}" + ("" if key is None else f"/{key}")


def _owner(world: World, bucket: str) -> World | None:
    return next((each for each in world.organization.worlds.values() if bucket in each.cloud.buckets), None)


def _bucket(world: World, payload: Payload) -> dict[str, Object]:
    owner = _owner(world, payload["Bucket"])
    if owner is None:
        raise Refused("NoSuchBucket", "The specified bucket does not exist", 404)
    if owner is not world:
        raise Refused("AccessDenied", "Access Denied", 403)
    return owner.cloud.buckets[payload["Bucket"]]


def _etag(each: Object) -> str:
    return f'"{hashlib.md5(each.body, usedforsecurity=False).hexdigest()}"'


def _encryption(each: Object) -> dict[str, str]:
    name = "x-amz-server-side-encryption"
    return {name: each.encryption, **({f"{name}-aws-kms-key-id": each.kms_key} if each.kms_key else {})}


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.000Z}"


def _xml(body: str) -> Answer:
    return Answer(200, "application/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode())
