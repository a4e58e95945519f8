"""The least boto3 script that rotates a key: what people write by hand. `same` makes the very calls that we make."""

import configparser
import os
import sys
import time

import boto3

path = os.path.expanduser("~/.aws/credentials")
parser = configparser.RawConfigParser()
parser.read(path)
old = parser["default"]["aws_access_key_id"]
sts, iam = boto3.client("sts"), boto3.client("iam")
user = sts.get_caller_identity()["Arn"].rsplit("/", 1)[-1]
if "same" in sys.argv:
    iam.get_user(UserName=user)
    iam.get_access_key_last_used(AccessKeyId=old)
iam.list_access_keys(UserName=user)
new = iam.create_access_key(UserName=user)["AccessKey"]
pair = {"aws_access_key_id": new["AccessKeyId"], "aws_secret_access_key": new["SecretAccessKey"]}
with_new = boto3.client("sts", **pair)
for _ in range(4 if "same" in sys.argv else 1):
    while True:
        try:
            with_new.get_caller_identity()
            break
        except with_new.exceptions.ClientError:
            time.sleep(0.5)
for section in parser.sections():
    if parser[section].get("aws_access_key_id") == old:
        parser[section].update(pair)
with open(path, "w") as file:
    parser.write(file)
iam_new = boto3.client("iam", **pair)
iam_new.update_access_key(UserName=user, AccessKeyId=old, Status="Inactive")
iam_new.delete_access_key(UserName=user, AccessKeyId=old)
