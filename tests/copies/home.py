"""A home with a key in over forty other files, in as many formats: which take the new pair, and why others do not."""

import json
import os
import subprocess
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from rotate_my_key.core.model import Credentials

Write = Callable[[Credentials], bytes]


def text(template: str) -> Write:
    """A format that writes a pair as it is."""
    return lambda pair: template.replace("ID", pair.key_id).replace("SECRET", pair.secret).encode()


def spelled(template: str, spell: Callable[[str], str]) -> Write:
    """One that spells the secret in its own way."""
    return lambda pair: template.replace("ID", pair.key_id).replace("SECRET", spell(pair.secret)).encode()


def base64(value: str) -> str:
    """As Kubernetes writes a secret."""
    return b64encode(value.encode()).decode()


def _json(secret: str) -> str:
    return secret.replace("/", "\\/")


def _wrapped(secret: str) -> str:
    return "\n  ".join(secret[start : start + 5] for start in range(0, len(secret), 5))


def _notebook(pair: Credentials, *, printed: bool) -> bytes:
    source = [f"os.environ['K'] = '{pair.key_id}'\n", f"os.environ['S'] = '{pair.secret}'\n"]
    outputs = [{"output_type": "stream", "text": [f"{pair.key_id} {pair.secret}\n"]}] if printed else []
    return json.dumps({"cells": [{"cell_type": "code", "source": source, "outputs": outputs}]}, indent=1).encode()


def _kubernetes(pair: Credentials) -> bytes:
    return (
        f"kind: Secret\ndata:\n  id: {base64(pair.key_id)}\n  secret: {base64(pair.secret)}\n"
        f"  .env: {base64(f'AWS_ACCESS_KEY_ID={pair.key_id}' + chr(10) + f'AWS_SECRET_ACCESS_KEY={pair.secret}')}\n"
    ).encode()


# Files that a rotation changes, by their path in the home; each is compared byte by byte with what it should be.
UPDATED: Mapping[str, Write] = {
    ".env": text("AWS_ACCESS_KEY_ID=ID\nAWS_SECRET_ACCESS_KEY=SECRET\n"),
    ".env.local": text("export AWS_ACCESS_KEY_ID='ID'\nexport AWS_SECRET_ACCESS_KEY='SECRET'\n"),
    ".env.windows": text("AWS_ACCESS_KEY_ID=ID\r\nAWS_SECRET_ACCESS_KEY=SECRET\r\n"),
    ".s3cfg": text("[default]\naccess_key = ID\nsecret_key = SECRET\nuse_https = True\n"),
    ".boto": text("[Credentials]\naws_access_key_id = ID\naws_secret_access_key = SECRET"),
    ".passwd-s3fs": text("ID:SECRET\n"),
    ".netrc": text("machine s3.amazonaws.com\n login ID\n password SECRET\n"),
    ".config/rclone/rclone.conf": text("[s3]\ntype = s3\naccess_key_id = ID\nsecret_access_key = SECRET\n"),
    ".mc/config.json": text('{"aliases": {"s3": {"accessKey": "ID", "secretKey": "SECRET"}}}'),
    ".bashrc": text('alias ll="ls -l"\nexport AWS_ACCESS_KEY_ID="ID"\nexport AWS_SECRET_ACCESS_KEY="SECRET"\n'),
    ".config/fish/config.fish": text("set -gx AWS_ACCESS_KEY_ID ID\nset -gx AWS_SECRET_ACCESS_KEY SECRET\n"),
    ".config/powershell/profile.ps1": text('$env:AWS_ACCESS_KEY_ID="ID"\n$env:AWS_SECRET_ACCESS_KEY="SECRET"\n'),
    ".docker/config.json": spelled('{"env": {"AWS_ACCESS_KEY_ID": "ID", "SECRET_KEY": "SECRET"}}', _json),
    ".aws/credentials.bak": text("[default]\naws_access_key_id = ID\naws_secret_access_key = SECRET\n"),
    ".kube/config": text("users:\n- exec:\n    env:\n    - {name: A, value: ID}\n    - {name: B, value: SECRET}\n"),
    "k8s/secret.yaml": _kubernetes,
    "infra/prod.tfvars": text('access_key = "ID"\nsecret_key = "SECRET"\n'),
    "infra/terraform.tfvars.json": text('{"access_key": "ID", "secret_key": "SECRET"}\n'),
    "app/docker-compose.yml": text("services:\n  web:\n    environment:\n      A: ID\n      S: 'SECRET'\n"),
    "app/serverless.yml": text("provider:\n  environment:\n    KEY: ID\n    SECRET: !Sub |\n      SECRET\n"),
    "app/settings.py": text("AWS = {'key': 'ID', 'secret': 'SECRET'}\n"),
    "app/config.php": spelled('<?php return json_decode(\'{"k":"ID","s":"SECRET"}\');', _json),
    "app/appsettings.json": spelled('{"Key": "ID", "S": "SECRET"}', lambda s: s.replace("+", "\\u002B")),
    "app/application.properties": spelled("url=s3://ID:SECRET@bucket/path\n", lambda s: quote(s, safe="")),
    "app/config.xml": spelled("<c k='ID' s='SECRET'/>", lambda s: s.replace("/", "&#x2F;")),
    "app/deploy.sh": spelled("sed 's/ID/x/; s/SECRET/y/' file\n", _json),
    "app/nested.secrets.json": spelled(
        '{"inner": "{\\"k\\": \\"ID\\", \\"s\\": \\"SECRET\\"}"}', lambda s: s.replace("/", "\\\\/")
    ),
    "notes/clean.ipynb": lambda pair: _notebook(pair, printed=False),
    ".idea/workspace.xml": text('<env name="AWS_ACCESS_KEY_ID" value="ID" /><env name="S" value="SECRET" />'),
    ".vscode/launch.json": text('{"env": {"AWS_ACCESS_KEY_ID": "ID", "AWS_SECRET_ACCESS_KEY": "SECRET"}}'),
    "Downloads/alice_accessKeys.csv": text("\ufeffAccess key ID,Secret access key\r\nID,SECRET\r\n"),
}

# Files that are left alone, with the word of the reason.
NAMED: Mapping[str, tuple[Write, str]] = {
    ".bash_history": (text("ls\nexport AWS_ACCESS_KEY_ID=ID AWS_SECRET_ACCESS_KEY=SECRET\n"), "shell history"),
    ".zsh_history": (text(": 1700000000:0;aws configure set x ID; y SECRET\n"), "shell history"),
    "app/logs/config.xml": (text("<log>ID SECRET</log>"), "log"),
    "infra/terraform.tfstate": (text('{"resources": [{"id": "ID", "secret": "SECRET"}]}'), "terraform state"),
    "notes/printed.ipynb": (lambda pair: _notebook(pair, printed=True), "notebook output"),
    "repo/.env": (text("K=ID\nS=SECRET\n"), "tracked by git"),
    "app/Makefile": (text("deploy:\n\tAWS_ACCESS_KEY_ID=ID make\n"), "id without its secret"),
    "app/secret.txt": (text("SECRET"), "secret without its id"),
    "app/config.ini": (spelled("k=ID\ns=SECRET\n", _wrapped), "id without its secret"),
    "app/config.toml": (spelled('k="ID"\ns="SECRET"\n', lambda s: s.replace("/", "&sol;")), "unknown spelling"),
    "app/app.env.old": (lambda pair: text("K=ID\nS=SECRET\n")(pair) + b"\0" + zlib.compress(b"x"), "binary"),
    "app/windows.ps1": (lambda pair: text("K=ID\nS=SECRET\n")(pair).decode().encode("utf-16"), "unknown spelling"),
    "app/locked.env": (text("K=ID\nS=SECRET\n"), "read-only"),
    "app/linked.env": (text("K=ID\nS=SECRET\n"), "cannot be replaced"),
}


def plant(home: Path, pair: Credentials) -> None:
    """Write them all; `repo` is a git repository that tracks its `.env`."""
    for name, write in {**UPDATED, **{name: write for name, (write, _) in NAMED.items()}}.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(write(pair))
        path.chmod(0o600)
    (home / "app/locked.env").chmod(0o400)
    os.link(home / "app/linked.env", home / "app/linked-too.txt")
    git = {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
    for words in (["init", "-q"], ["add", ".env"]):
        subprocess.run(["git", *words], cwd=home / "repo", env=git, check=True)
