"""What IT deploys: the CloudFormation templates, and the zip for AWS Lambda, made from what is installed here.

- The templates are text files beside this module, in Jinja2 with `<< >>` and `##`. What a role may do is read from
  `policies/`, where a test needs every action of it.
- The zip has what the handler imports and no more: the rooms of this package that `fleet` stands on, and the libraries
  under them. boto3 is part of Lambda's Python runtime ("Lambda runtimes", AWS Lambda Developer Guide); its urllib3 may
  be older than the one that we know (2), so that one comes along.
- No compiled part, for markupsafe, PyYAML and charset-normalizer do without theirs: one zip serves both architectures
  and every Python. The same input gives the same bytes, but for another zlib.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import Any

from .. import __version__, policies
from ..aws.connections import WIDE
from ..core.errors import Problem
from ..core.hints import Hint
from ..files.paths import how_to_get

_TEMPLATES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cloudformation")
# Name of the schedule, the function's command, the condition under which it is there.
_SCHEDULES = (
    *(("Remind", "remind", ""), ("Enforce", "enforce", "Enforcing"), ("Sweep", "sweep", "Reissuing")),
    ("Report", "report", "Reporting"),
)
# What Step Functions tries again: a busy Lambda, and what the function itself says will pass (errors.TryLater).
_RETRY = {
    "ErrorEquals": [*(f"Lambda.{each}Exception" for each in ("TooManyRequests", "Service", "SdkClient")), "TryLater"],
    "IntervalSeconds": 10,
    "MaxAttempts": 6,
    "BackoffRate": 2,
    "JitterStrategy": "FULL",
}
_PLAIN_SCALAR = re.compile(r"[A-Za-z][\w:./-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}  # YAML 1.1 reads more than text in these


class TemplateKind(Enum):
    """Which template: the function alone, with a state machine over all accounts, or the role in a member account."""

    FUNCTION = "function"
    MAP = "map"
    MEMBER_ROLE = "member-role"


def template(kind: TemplateKind) -> str:
    """A template as YAML, for `aws cloudformation deploy`."""
    import jinja2  # the zip is made without

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES, encoding="ascii"),
        variable_start_string="<<",
        variable_end_string=">>",
        line_statement_prefix="##",
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  it is YAML, and nothing of it comes from outside
    )
    name = "member-role.yaml" if kind is TemplateKind.MEMBER_ROLE else "fleet.yaml"
    return environment.get_template(name).render(
        version=__version__,
        map=kind is TemplateKind.MAP,
        role=policies.ROLE,
        retry=json.dumps(_RETRY),
        schedules=_SCHEDULES,
        statements=lambda policy, indent: _yaml(policies.statements(policy), indent),
        member=lambda policy, indent: _yaml(policies.member(policy), indent),
    )


def _yaml(value: Any, indent: int) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    """A value of JSON as the lines of a YAML block."""
    match value:
        case dict():
            for name, each in value.items():
                if isinstance(each, str):
                    yield f"{_scalar(name)}: {_scalar(each)}"
                else:
                    yield f"{_scalar(name)}:"
                    yield from (f"  {line}" for line in _lines(each))
        case list():
            for each in value:
                first, *rest = _lines(each)
                yield f"- {first}"
                yield from (f"  {line}" for line in rest)
        case _:
            yield _scalar(value)


def _scalar(text: str) -> str:
    """Plain where YAML 1.1 takes it for text; else in quotes, which JSON and YAML share."""
    return text if _PLAIN_SCALAR.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text)


_PLAIN = Hint("fleet", "package")
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PACKAGE = "rotate_my_key"
_OTHER_ROOMS = {"cli", "demo.py", "rotation", "doctor", "copies", "reminder", "schedule", "__main__.py"}
_NAME = re.compile(r"[\w.-]+")
_ALWAYS = ("configobj", "jinja2", "urllib3")  # and what they need
_COMPILED = (".so", ".pyd", ".dylib", ".dll", ".pyc", ".pyi", ".c", ".pyx")
_OF_A_DISTRIBUTION = ("METADATA", "entry_points.txt", "LICENSE", "LICENCE", "NOTICE", "COPYING")
_OWN_FILES = "files"  # the folder in the zip for what IT adds
_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
_FILE, _LINK_TYPE = 0o100644, 16
UNPACKED = 250 * 2**20  # bytes that Lambda takes (AWS Lambda Developer Guide, "Lambda quotas")


@dataclass(frozen=True, slots=True)
class Package:
    """The zip. `unpacked` is the size of its files in bytes; `parts` are names and versions of what is in it."""

    data: bytes
    unpacked: int
    parts: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Of the zip, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def name(self) -> str:
        """A name for the bucket, another one for other content, so that CloudFormation sees a change."""
        return f"rotate-my-key-fleet-{self.sha256[:12]}.zip"


def build(version: str, *, apprise: bool = False, botocore: bool = False, include: Sequence[str] = ()) -> Package:
    """Make the zip. `include` are files and folders of IT's own (a mapping, templates): they lie in `files/` there.
    Raises Problem if something is not installed here, cannot be read, or would be too large for Lambda."""
    zones = ["tzdata"] if find_spec("tzdata") else ()  # for a runtime that has no time zones
    roots = (*_ALWAYS, *zones, *(["apprise"] if apprise else ()), *(["boto3"] if botocore else ()))
    found = [each for _, each in sorted(_needed(roots).items())]
    files: dict[str, str] = dict(_ours())
    for each in found:
        files |= dict(_theirs(each))
    for path in include:
        files |= dict(_added(path))
    parts = (f"{_PACKAGE} {version}", *(f"{each.metadata['Name']} {each.version}" for each in found))
    size = sum(os.path.getsize(path) for path in files.values() if os.path.exists(path))
    if size > UNPACKED:
        raise Problem(f"unpacked it would be {size >> 20} MB, but Lambda allows {UNPACKED >> 20} MB", _PLAIN)
    return _zipped(files, parts)


def _needed(roots: Iterable[str]) -> dict[str, Distribution]:
    """These distributions and all that they require, whatever the system and without extras, by name. Raises Problem
    for one that is not installed."""
    found: dict[str, Distribution] = {}
    names = list(roots)
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            raise Problem(f"{name} is not installed here, so it cannot be added to the zip", how_to_get(name)) from None
        if not found[name].files:
            raise Problem(f"{name} is installed here without a list of its files", how_to_get(name))
        names += [match[0] for row in found[name].requires or () if ";" not in row and (match := _NAME.match(row))]
    return found


def _ours() -> Iterator[tuple[str, str]]:
    """Name in the zip and path of what the handler needs of this package."""
    for folder, folders, files in os.walk(_HERE):
        if folder == _HERE:
            folders[:] = [name for name in folders if name not in _OTHER_ROOMS]
            files = [name for name in files if name not in _OTHER_ROOMS]
        folders[:] = [name for name in folders if name != "__pycache__"]
        inside = os.path.relpath(folder, os.path.dirname(_HERE)).replace(os.sep, "/")
        yield from ((f"{inside}/{name}", os.path.join(folder, name)) for name in files if not name.endswith(_COMPILED))


def _theirs(found: Distribution) -> Iterator[tuple[str, str]]:
    """What of a library belongs into the zip: its code, its data, its licence."""
    for file in found.files or ():
        first, *rest = file.parts
        if first in ("..", "__pycache__") or "__pycache__" in rest or os.path.isabs(str(file)):
            continue  # scripts, and what Python made of it here
        if first.endswith((".dist-info", ".egg-info")):
            wanted = rest and (rest[0] == "licenses" or rest[-1].startswith(_OF_A_DISTRIBUTION))
        elif file.parts[:2] == ("boto3", "data"):
            wanted = False  # what its resources need; clients have none
        elif file.parts[:2] == ("botocore", "data"):
            wanted = len(file.parts) == 3 or file.parts[2] in WIDE
        else:
            wanted = not file.name.endswith(_COMPILED)
        if wanted:
            yield "/".join(file.parts), str(found.locate_file(file))


def _added(path: str) -> Iterator[tuple[str, str]]:
    """A file, or all files of a folder but hidden ones, below `files/`."""
    path = os.path.abspath(path)
    base = os.path.basename(path)
    if os.path.isfile(path):
        yield f"{_OWN_FILES}/{base}", path
    elif os.path.isdir(path):
        for folder, folders, files in os.walk(path):
            folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
            inside = os.path.normpath(os.path.join(base, os.path.relpath(folder, path))).replace(os.sep, "/")
            for name in files:
                if not name.startswith("."):
                    yield f"{_OWN_FILES}/{inside}/{name}", os.path.join(folder, name)
    else:
        raise Problem(f"there is no file or folder {path} to include", _PLAIN)


def _zipped(files: dict[str, str], parts: tuple[str, ...]) -> Package:
    out = io.BytesIO()
    unpacked = 0
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(files):
            try:
                with open(files[name], "rb") as file:
                    data = file.read()
            except OSError as error:
                why = (error.strerror or "unreadable").lower()
                raise Problem(f"{files[name]} cannot be added to the zip: {why}", _PLAIN) from None
            row = zipfile.ZipInfo(name, _TIME)
            row.create_system = 3  # Unix, on Windows too: the mode counts
            row.external_attr = _FILE << _LINK_TYPE
            archive.writestr(row, data, zipfile.ZIP_DEFLATED, 9)
            unpacked += len(data)
    return Package(out.getvalue(), unpacked, parts)


def store(package: Package, path: str) -> None:
    """Write the zip, in one step over an earlier one. Raises Problem if it cannot be written."""
    new = f"{path}.new"
    try:
        with open(new, "wb") as file:
            file.write(package.data)
        os.replace(new, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(new)
        why = (error.strerror or "no room").lower()
        raise Problem(f"{path} cannot be written: {why}", Hint("fleet", "package", "--out", "FILE")) from None
