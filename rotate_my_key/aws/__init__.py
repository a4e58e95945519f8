"""AWS behind a few verbs: `session.Aws` makes an `account.IamAccount` for a profile.

Nothing above this package imports botocore for calls; nothing in it prints, prompts or asks the metadata service.
"""
