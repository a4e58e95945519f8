"""AWS behind a few verbs: `client.Aws` makes the clients, `iam.IamAccount` is one user's IAM.

In reading order: `client` (sessions, clients, signing), `connections` below it, `calls` (one API call with its
retries), `signin` (who signs), `iam`. For IT's side there are `account_calls`, `services` and `delivery`. Nothing
outside this package calls AWS; nothing in it prints, prompts or asks the metadata service."""
