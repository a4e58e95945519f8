"""A home with a key in some ninety other files, in as many formats: which take the new pair, and why others do not."""

import csv
import hashlib
import hmac
import json
import os
import plistlib
import re
import shlex
import subprocess
import tomllib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from configparser import RawConfigParser
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree

import yaml

from rotate_my_key.core.model import Credentials

Write = Callable[[Credentials], bytes]


def spelled(template: str, spell: Callable[[str], str]) -> Write:
    """A format that writes a pair, for the words ID and SECRET, and spells the secret in its own way."""

    def write(pair: Credentials) -> bytes:
        words = {"ID": pair.key_id, "SECRET": spell(pair.secret)}
        return re.sub(r"\b(ID|SECRET)\b", lambda word: words[word[0]], template).encode()

    return write


def text(template: str) -> Write:
    """One that writes it as it is."""
    return spelled(template, lambda secret: secret)


def base64(value: str) -> str:
    """As Kubernetes writes a secret."""
    return b64encode(value.encode()).decode()


def smtp(secret: str, region: str = "eu-west-1") -> str:
    """The password for SES's SMTP interface there."""
    key = f"AWS4{secret}".encode()
    for word in ("11111111", region, "ses", "aws4_request", "SendRawEmail"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return b64encode(b"\x04" + key).decode()


def _json(secret: str) -> str:
    return secret.replace("/", "\\/")


def _wrapped(secret: str) -> str:
    return "\n  ".join(secret[start : start + 5] for start in range(0, len(secret), 5))


def _notebook(pair: Credentials, *, printed: bool) -> bytes:
    source = [f"os.environ['K'] = '{pair.key_id}'\n", f"os.environ['S'] = '{pair.secret}'\n"]
    outputs = [{"output_type": "stream", "text": [f"{pair.key_id} {pair.secret}\n"]}] if printed else []
    return json.dumps({"cells": [{"cell_type": "code", "source": source, "outputs": outputs}]}, indent=1).encode()


def _docker(pair: Credentials) -> bytes:
    return json.dumps({"auths": {"registry.example.com": {"auth": base64(f"{pair.key_id}:{pair.secret}")}}}).encode()


def _kubernetes(pair: Credentials) -> bytes:
    return (
        f"kind: Secret\ndata:\n  id: {base64(pair.key_id)}\n  secret: {base64(pair.secret)}\n"
        f"  .env: {base64(f'AWS_ACCESS_KEY_ID={pair.key_id}' + chr(10) + f'AWS_SECRET_ACCESS_KEY={pair.secret}')}\n"
    ).encode()


_MCP = """{
  "mcpServers": {
    "aws": {
      "command": "uvx",
      "args": ["awslabs.aws-api-mcp-server@latest"],
      "env": {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "ID", "AWS_SECRET_ACCESS_KEY": "SECRET"}
    }
  }
}
"""
_MAIL = "host email-smtp.eu-west-1.amazonaws.com\nport 587\ntls on\nauth on\nuser ID\npassword SECRET\n"
_RUN = """<component name="ProjectRunConfigurationManager">
  <configuration default="false" name="Serve" type="GoApplicationRunConfiguration">
    <envs><env name="AWS_ACCESS_KEY_ID" value="ID" /><env name="AWS_SECRET_ACCESS_KEY" value="SECRET" /></envs>
  </configuration>
</component>
"""
_PLIST = """<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>Label</key><string>com.example.sync</string><key>EnvironmentVariables</key>
<dict><key>AWS_ACCESS_KEY_ID</key><string>ID</string><key>AWS_SECRET_ACCESS_KEY</key><string>SECRET</string></dict>
</dict></plist>
"""
_SITES = """<FileZilla3><Servers><Server><Host>s3.amazonaws.com</Host><Protocol>7</Protocol><User>ID</User>
<Pass encoding="base64">SECRET</Pass></Server></Servers></FileZilla3>
"""
_SYNC = "[Service]\nEnvironment=AWS_ACCESS_KEY_ID=ID\nEnvironment=AWS_SECRET_ACCESS_KEY=SECRET\nExecStart=/bin/sync\n"
_RCLONE = "[s3]\ntype = s3\naccess_key_id = ID\nsecret_access_key = SECRET\n"
_EXPORTS = "export AWS_ACCESS_KEY_ID='ID'\nexport AWS_SECRET_ACCESS_KEY='SECRET'\n"

# In the places of the home where programs keep keys: a rotation reads them unasked.
WELL_KNOWN: Mapping[str, Write] = {
    ".env": text("AWS_ACCESS_KEY_ID=ID\nAWS_SECRET_ACCESS_KEY=SECRET\n"),
    ".env.local": text(_EXPORTS),
    ".env.windows": text("AWS_ACCESS_KEY_ID=ID\r\nAWS_SECRET_ACCESS_KEY=SECRET\r\n"),
    ".s3cfg": text("[default]\naccess_key = ID\nsecret_key = SECRET\nuse_https = True\n"),
    ".boto": text("[Credentials]\naws_access_key_id = ID\naws_secret_access_key = SECRET"),
    ".passwd-s3fs": text("ID:SECRET\n"),
    ".netrc": text("machine s3.amazonaws.com\n login ID\n password SECRET\n"),
    ".config/rclone/rclone.conf": text(_RCLONE),
    ".mc/config.json": text('{"aliases": {"s3": {"accessKey": "ID", "secretKey": "SECRET"}}}'),
    ".bashrc": text('alias ll="ls -l"\nexport AWS_ACCESS_KEY_ID="ID"\nexport AWS_SECRET_ACCESS_KEY="SECRET"\n'),
    ".config/fish/config.fish": text("set -gx AWS_ACCESS_KEY_ID ID\nset -gx AWS_SECRET_ACCESS_KEY SECRET\n"),
    ".config/fish/fish_variables": spelled(
        "# VERSION: 3.0\nSETUVAR --export A:ID\nSETUVAR --export S:SECRET\n", lambda s: s.replace("+", "\\x2b")
    ),
    ".config/powershell/profile.ps1": text('$env:AWS_ACCESS_KEY_ID="ID"\n$env:AWS_SECRET_ACCESS_KEY="SECRET"\n'),
    ".docker/config.json": _docker,
    ".aws/credentials.bak": text("[default]\naws_access_key_id = ID\naws_secret_access_key = SECRET\n"),
    ".kube/config": text("users:\n- exec:\n    env:\n    - {name: A, value: ID}\n    - {name: B, value: SECRET}\n"),
    ".Renviron": text("AWS_ACCESS_KEY_ID=ID\nAWS_SECRET_ACCESS_KEY='SECRET'\n"),
    ".duckdbrc": text("create secret s (type s3, key_id 'ID', secret 'SECRET', region 'eu-west-1');\n"),
    ".psqlrc": text("\\set aws_key 'ID'\n\\set aws_secret 'SECRET'\n"),
    ".jupyter/jupyter_server_config.py": text("c.S3.access_key_id = 'ID'\nc.S3.secret_access_key = 'SECRET'\n"),
    ".elasticbeanstalk/aws_credential_file": text("AWSAccessKeyId=ID\nAWSSecretKey=SECRET\n"),
    ".duply/photos/conf": text("GPG_KEY='x'\nTARGET='s3://bucket'\n" + _EXPORTS),
    ".msmtprc": spelled(_MAIL, smtp),
    ".config/filezilla/sitemanager.xml": spelled(_SITES, base64),
    ".codex/config.toml": text(
        '[mcp_servers.aws]\ncommand = "uvx"\n[mcp_servers.aws.env]\nAWS_KEY = "ID"\nAWS_SECRET = "SECRET"\n'
    ),
    ".config/Code/User/settings.json": text('{\n  "terminal.env": {"AWS_KEY": "ID", "AWS_SECRET": "SECRET"}\n}\n'),
    ".config/systemd/user/sync.service": text(_SYNC),
    ".config/environment.d/50-aws.conf": text("AWS_ACCESS_KEY_ID=ID\nAWS_SECRET_ACCESS_KEY=SECRET\n"),
    ".local/bin/backup": text(f"#!/bin/sh\n{_EXPORTS}exec restic backup ~\n"),
    ".local/share/chezmoi/private_dot_zshenv": text(_EXPORTS),
    "dotfiles/zsh/.zshenv": text(_EXPORTS),
    "Library/LaunchAgents/com.example.sync.plist": text(_PLIST),
    "snap/rclone/current/.config/rclone/rclone.conf": text(_RCLONE),
    **dict.fromkeys(
        [
            ".claude.json",
            ".mcp.json",
            ".config/Claude/claude_desktop_config.json",
            "Library/Application Support/Claude/claude_desktop_config.json",
            "AppData/Roaming/Claude/claude_desktop_config.json",
            ".cursor/mcp.json",
            ".config/Code/User/mcp.json",
            ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
            "Library/Application Support/Code/User/mcp.json",
            "AppData/Roaming/Code/User/mcp.json",
            ".var/app/com.visualstudio.code/config/Code/User/mcp.json",
            ".codeium/windsurf/mcp_config.json",
            ".kiro/settings/mcp.json",
            ".aws/amazonq/mcp.json",
            ".gemini/settings.json",
            ".copilot/mcp-config.json",
        ],
        text(_MCP),
    ),
}

# Files that a rotation changes, by their path in the home; each is compared byte by byte with what it should be.
UPDATED: Mapping[str, Write] = {
    **WELL_KNOWN,
    **dict.fromkeys(
        [
            "app/.mcp.json",
            "app/.vscode/mcp.json",
            "app/.cursor/mcp.json",
            "app/.amazonq/mcp.json",
            "app/.kiro/mcp.json",
        ],
        text(_MCP),
    ),
    "app/.claude/settings.local.json": text('{"env": {"AWS_ACCESS_KEY_ID": "ID", "AWS_SECRET_ACCESS_KEY": "SECRET"}}'),
    "app/.devcontainer/devcontainer.json": text('{"remoteEnv": {"AWS_KEY": "ID", "AWS_SECRET": "SECRET"}}\n'),
    "app/.devcontainer/aws": text("AWS_ACCESS_KEY_ID=ID\nAWS_SECRET_ACCESS_KEY=SECRET\n"),
    "app/.idea/runConfigurations/Serve.xml": text(_RUN),
    "app/.run/Serve.run.xml": text(_RUN),
    "app/.secrets": text("AWS_ACCESS_KEY_ID=ID\nAWS_SECRET_ACCESS_KEY=SECRET\n"),
    "app/.dvc/config.local": text("['remote \"s3\"']\n    access_key_id = ID\n    secret_access_key = SECRET\n"),
    "app/.env.mail": spelled(
        "MAILER_DSN=smtp://ID:SECRET@email-smtp.eu-west-1.amazonaws.com:587\n", lambda s: quote(smtp(s), safe="")
    ),
    "infra/backend.hcl": text('bucket = "b"\naccess_key = "ID"\nsecret_key = "SECRET"\n'),
    "infra/main.tf": text('provider "aws" {\n  access_key = "ID"\n  secret_key = "SECRET"\n}\n'),
    "k8s/secret.yaml": _kubernetes,
    "infra/prod.tfvars": text('access_key = "ID"\nsecret_key = "SECRET"\n'),
    "infra/terraform.tfvars.json": text('{"access_key": "ID", "secret_key": "SECRET"}\n'),
    "app/docker-compose.yml": text("services:\n  web:\n    environment:\n      A: ID\n      S: 'SECRET'\n"),
    "app/serverless.yml": text("provider:\n  environment:\n    KEY: ID\n    AWS_SECRET: !Sub |\n      SECRET\n"),
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
    ".idea/workspace.xml": text(_RUN),
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
    "app/mail.env": (
        spelled("A=ID\nB=SECRET\n", lambda s: f"{s}\nMAIL_PASSWORD={smtp(s, 'xx-new-9')}"),
        "unknown spelling",  # of a region that nobody names
    ),
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


def holds(name: str, data: bytes, pair: Credentials) -> bool:
    """Whether the format's own reader finds the pair there, or what is made of its secret."""
    values = {unquote(each) for value in _values(name, data.decode("utf-8-sig")) for each in (value, *_decoded(value))}
    secrets = {pair.secret, smtp(pair.secret)}
    return any(pair.key_id in value for value in values) and any(s in value for s in secrets for value in values)


def _decoded(value: str) -> Iterator[str]:
    with suppress(ValueError):
        yield b64decode(value, validate=True).decode()


def _values(name: str, content: str) -> Iterator[str]:
    suffix = name.rpartition(".")[2]
    match suffix:
        case "json" | "ipynb":
            yield from _leaves(json.loads(content))
        case "yml" | "yaml":
            yield from _leaves(list(yaml.load_all(content, yaml.BaseLoader)))
        case "toml":
            yield from _leaves(tomllib.loads(content))
        case "plist":
            yield from _leaves(plistlib.loads(content.encode()))
        case "xml":
            for element in ElementTree.fromstring(content).iter():  # noqa: S314 (our own)
                yield from (element.text or "", *element.attrib.values())
        case "csv":
            yield from (value for row in csv.reader(content.splitlines()) for value in row)
        case "conf" | "s3cfg" | "boto" | "bak" if "[" in content[:20]:
            parser = RawConfigParser(strict=False)
            parser.read_string(content)
            yield from (value for section in parser.sections() for value in parser[section].values())
        case "bashrc" | "zshenv" | "env" | "local" | "secrets" | "Renviron":
            yield from shlex.split(content)
        case _:
            yield content.replace("\\x2b", "+").replace("\\/", "/")


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for each in value.values():
                yield from _leaves(each)
        case list():
            for each in value:
                yield from _leaves(each)
        case str() if value.startswith("{"):  # JSON in JSON
            yield from _leaves(json.loads(value))
        case _:
            yield str(value)
