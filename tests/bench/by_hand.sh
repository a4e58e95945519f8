# The six aws commands of a rotation by hand, with the new pair written by the sixth and seventh.
set -eu
old=$(sed -n 's/^aws_access_key_id *= *//p' ~/.aws/credentials | head -n 1)
aws sts get-caller-identity >/dev/null
aws iam list-access-keys >/dev/null
new=$(aws iam create-access-key --query AccessKey.[AccessKeyId,SecretAccessKey] --output text)
export AWS_ACCESS_KEY_ID=${new%%	*} AWS_SECRET_ACCESS_KEY=${new##*	}
aws sts get-caller-identity >/dev/null
aws iam update-access-key --access-key-id "$old" --status Inactive
aws iam delete-access-key --access-key-id "$old"
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
    "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >~/.aws/credentials
