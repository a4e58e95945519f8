"""Reading `fleet.ini`, or the same text from an SSM parameter: the fleet's settings through ConfigObj.

The dataclasses of `fleet.py` are the table: their fields are the names, their types say how a value is read. Every
wrong value names the place, the line and what is allowed: whoever uses the settings need not check them again.

The files, in this order: what `--settings` names, `fleet.ini` beside the user's config.ini, `fleet.ini` beside the
site's file if nobody else could have written it. Without any: what `base` says. Fetching a parameter is handed in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import date, timedelta
from functools import partial
from typing import Any, NamedTuple

from ..core.errors import Problem, WrongUsage
from ..core.model import EXEMPT_KEY, RECALL_KEY
from ..core.policy import nearest
from ..files.paths import Paths
from .fleet import AGES, DAYS, WHO, ChannelSettings, Exempt, FleetSettings, Remind, Rule, Who, span_of, zone
from .ini import File
from .table import READERS, Raw, write
from .trust import read, unreadable

_SECTIONS = ("accounts", "owners", "exempt", "remind", "enforce", "reissue", "audit")
_POLICY = ("max_age", "remind_before")
_TOP = ("unused_after", "contact", "exact")
_CHANNELS, _LIMITS, _INCLUDE = "channels", "limits", "include"
_ALL = (*_SECTIONS, _LIMITS, _INCLUDE, _CHANNELS)
_ACCOUNT = re.compile(r"\d{12}")
# Accounts of an organization (Organizations API reference, ListAccountsForParent: ParentId).
_PLACE = re.compile(r"\d{12}|all|r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|tag:[^=]+=.*", re.ASCII)
_SECRET = re.compile(r"(secretsmanager|ssm):[\w/+=.@:-]+", re.ASCII)
_MAIL = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+|[^<>]*<[^\s@<>,;]+@[^\s@<>,;]+>")
_MAIL_LIKE = "write it like it@example.com or IT <it@example.com>"
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")
_TOPIC = re.compile(r"arn:aws[\w-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}(\.fifo)?", re.ASCII)
# A key, its alias, or the ARN of one (KMS API reference); AWS's own (alias/aws/...) no other account can use.
_KMS = re.compile(r"(?!\S*alias/aws/)(arn:aws[\w-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/)?[\w/-]+", re.ASCII)
_TAG = re.compile(r"(?!aws:)[\w \t.:/=+\-@]{1,128}", re.IGNORECASE)  # IAM API reference, Tag; letters of any script
_WEEKDAY = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)(s|nes|rs?|ur)?(day)?", re.IGNORECASE)  # no mon-fri
_HEAD = re.compile(r"\s*\[+\s*([^\]]*?)\s*\]+")
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")
_HASH = re.compile(r"\s*([\w-]+)\s*=(?:[^#]*[^\s#\"]#|[^#\"]*#(?=\S))")
_NEEDED = {"ses": "sender", "sns": "topic", "apprise": "urls"}  # what a channel of this kind cannot do without


class Preset(NamedTuple):
    """One set of ready-made rules: `after` is the system whose they are, `says` what they do, `here` what is better;
    `settings` are the lines of fleet.ini. `tests/fleet/enforce/company.txt` shows it day by day."""

    name: str
    after: str
    says: str
    here: str
    settings: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command that it is for."""
        return "enforce" if "[enforce]" in self.settings else "remind"


def _presets() -> Iterator[Preset]:
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "presets.ini"), encoding="ascii") as file:
        for part in file.read().split("\n== ")[1:]:
            name, *about, rest = part.rstrip().split("\n", 4)
            after, says, here = (line.partition(": ")[2] for line in about)
            yield Preset(name, after, says, here, tuple(rest.splitlines()))


PRESETS = {each.name: each for each in _presets()}


def with_preset(name: str, base: FleetSettings) -> FleetSettings:
    """The settings with a preset laid over them. Raises WrongUsage for a name that there is not."""
    if name not in PRESETS:
        raise WrongUsage(f"there is no preset {name}", f"the presets are {', '.join(PRESETS)}")
    nothing: dict[str, Any] = dict.fromkeys(AGES)
    enforce, reissue = replace(base.enforce, preset=name, **nothing), replace(base.reissue, enabled=False)
    base = replace(base, enforce=enforce, reissue=reissue)
    found = parse("\n".join(PRESETS[name].settings), name, base)
    return replace(found, where=base.where, text=base.text)


def parse(text: str, where: str, base: FleetSettings, *, preset: bool = True) -> FleetSettings:
    """The settings that a text says, over `base`; `where` names it for people (a path, or `ssm:/NAME`). A preset that
    [enforce] names is applied to `base` first (without `preset` it is only named), so that what the text says besides
    goes before it. Raises WrongUsage."""
    file = File(where, text.encode(), hint=_hint(where))
    config = file.parse()
    _check_hashes(file, text)
    for name in config.sections:
        if name not in _ALL:
            raise file.wrong_in(name, "", _unknown("section", name, _ALL), _hint(where))
    named = config.get("enforce", {}).get("preset")
    if isinstance(named, str) and named and preset:
        try:
            base = with_preset(named, base)
        except WrongUsage as wrong:
            raise file.wrong_in("enforce", "preset", wrong.message, wrong.hint) from None
    known: dict[str, Any] = dict.fromkeys(_POLICY, timedelta(1)) | {name: getattr(base, name) for name in _TOP}
    found = _values(file, "", {name: config[name] for name in config.scalars}, known, _FORMS)
    policy = base.policy._replace(**{name: found.pop(name) for name in _POLICY if name in found})
    rules, exempt = _titled(config.get("exempt", {}))
    plain = {**config, "exempt": exempt}
    for name in _SECTIONS:
        before = getattr(base, name)
        known = {each.name: getattr(before, each.name) for each in fields(before) if each.name != "rules"}
        forms = _FOR_SOME if name == "exempt" else _FORMS
        found[name] = replace(before, **_values(file, name, plain.get(name, {}), known, forms))
    tags = dict.fromkeys((*Exempt().tags, *found["exempt"].tags))  # the laptop's own counts always
    more = _rules(file, rules, {}) or base.exempt.rules
    found["exempt"] = replace(found["exempt"], tags=tuple(tags), rules=more)
    tag, taken = found["remind"].tag, (EXEMPT_KEY, RECALL_KEY, found["owners"].tag.lower())
    if not _TAG.fullmatch(tag) or tag.lower() in taken:  # notices would go out that cannot be recorded
        what = f"tag: {tag!r} cannot store what was sent; leave it out for {Remind().tag}"
        raise file.wrong_in("remind", "tag", what, _hint(where))
    limits, stray = _titled(config.get(_LIMITS, {}))
    for name in stray:
        what = f"{name} is not a limit: each limit is a section [[{name}]]"
        raise file.wrong_in(_LIMITS, name, what, _hint(where))
    numbers = {**dict.fromkeys(_POLICY, timedelta(1)), **dict.fromkeys(AGES)}
    found["limits"] = _rules(file, limits, numbers) or base.limits
    included = _values(file, _INCLUDE, config.get(_INCLUDE, {}), dict.fromkeys(WHO, ()), _FOR_SOME)
    found["include"] = (Who(**included),) if any(included.values()) else base.include
    channels = _channels(file, config.get(_CHANNELS, {})) or base.channels
    for name in ("owners", "admins", "escalate"):
        for each in getattr(found["remind"], name):
            if each not in channels:
                none = f"there is no channel {each}; each is a section [[{each}]] of [channels]"
                there = _unknown("channel", each, tuple(channels)) if channels else none
                raise file.wrong_in("remind", name, there, _hint(where))
    return replace(base, **found, policy=policy, channels=channels, where=where, text=text)


def _check_hashes(file: File, text: str) -> None:
    """A value such as #aws-help would be a comment, and empty without a word. Raises WrongUsage."""
    section = ""
    for line in text.splitlines():
        if head := _HEAD.match(line):
            section = head[1]
        elif cut := _HASH.match(_QUOTED.sub('""', line)):
            what = "text after # is a comment, not part of the value"
            raise file.wrong_in(section, cut[1], what, f'put the value in double quotes: {cut[1]} = "..."')


def _titled(section: Mapping[str, Any]) -> tuple[dict[str, Mapping[str, Any]], dict[str, Any]]:
    """The sections within a section, and its own values."""
    inner = {name: value for name, value in section.items() if isinstance(value, Mapping)}
    return inner, {name: value for name, value in section.items() if name not in inner}


def _rules(file: File, sections: Mapping[str, Any], numbers: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Limits, which set one of the `numbers`, or exemptions. Raises WrongUsage for what is for nobody."""
    found = []
    for title, section in sections.items():
        known = {**dict.fromkeys(WHO, ()), "until": None, "by": "", **numbers}
        said = _values(file, title, section, known, _FOR_SOME)
        limits = {name: said.pop(name) for name in numbers if name in said}
        for needed, there, what in (
            (WHO, any(said.get(name) for name in WHO), "does not say for whom"),
            (numbers, limits or not numbers, "sets no limit"),
        ):
            if not there:
                what = f"[[{title}]] {what}: set one of {', '.join(needed)}"
                raise file.wrong_in(title, "", what, _hint(file.path))
        found.append(Rule(**said, title=title, limits=limits))
    return tuple(found)


def _channels(file: File, sections: Mapping[str, Any]) -> dict[str, ChannelSettings]:
    blank = {each.name: "" for each in fields(ChannelSettings)} | {"to": ()}
    del blank["name"]
    channels = {}
    for name, section in sections.items():
        if not isinstance(section, Mapping):
            what = f"{name} is not a channel: each channel is a section [[{name}]]"
            raise file.wrong_in(_CHANNELS, name, what, _hint(file.path))
        channel = ChannelSettings(name=name, **{**blank, **_values(file, name, section, blank, _FORMS)})
        needed = _NEEDED.get(channel.kind, "")
        what = f"a channel of kind {channel.kind} needs {needed}"
        if not needed:
            what = f"kind is {channel.kind or 'not set'}; allowed: {', '.join(_NEEDED)}"
        if not needed or not getattr(channel, needed):
            raise file.wrong_in(name, "kind" if "kind" in section else "", what, _hint(file.path))
        channels[name] = channel
    return channels


def _values(
    file: File,
    section: str,
    given: Mapping[str, Any],
    known: Mapping[str, Any],
    forms: Mapping[str, _Form],
) -> dict[str, Any]:
    """What is set of the known names, each read as its built-in value is. Raises WrongUsage."""
    readers = {name: partial(_value, name, builtin, forms) for name, builtin in known.items()}
    unknown, hint = partial(_unknown, "setting", known=tuple(known)), _hint(file.path)
    return {name: each.value for name, each in file.read(section, given, readers, unknown, lambda _: hint).items()}


def _value(name: str, builtin: Any, forms: Mapping[str, _Form], raw: Raw) -> Any:
    """One value, with what its type alone does not say. Raises WrongUsage."""
    value = _read(name, raw, builtin)
    if name in forms:
        fits, what, allowed = forms[name]
        if name == "weekdays":
            value = tuple(day.lower()[:3] if _WEEKDAY.fullmatch(day) else day for day in value)
        for each in value if isinstance(value, tuple) else (value,):
            if not fits(each):
                said = "that" if name in _TOKENS else repr(each)
                raise WrongUsage(f"{said} is not {what}", allowed)
    return value


def _read(name: str, raw: Raw, builtin: Any) -> Any:
    text = write(raw).strip()
    if name == "until":
        try:
            return date.fromisoformat(text) if text else None
        except ValueError:
            raise WrongUsage(f"{text!r} is not a day", "write it like 2027-03-31") from None
    if isinstance(builtin, bool):
        return READERS["yes_no"](raw)
    if isinstance(builtin, int):
        if not text.isascii() or not text.isdigit() or len(text) > 6:
            raise WrongUsage(f"{text!r} is not a number", "write a whole number like 3")
        if int(text) > _MOST:
            raise WrongUsage(f"{text} is too high", f"write a whole number up to {_MOST}")
        return int(text)
    if name in AGES and text.lower() in ("", "never"):
        return None
    if isinstance(builtin, timedelta) or name in AGES:
        return READERS["duration_above_zero" if name in _ABOVE_ZERO else "duration"](raw)
    return READERS["names" if isinstance(builtin, tuple) else "text"](raw)


_MOST = 1000
_ABOVE_ZERO = ("max_age", "unused_after", "keep", "link_for", *(age for age in AGES if age != "delete_after"))


_DAYS_LIKE = ("a number of days", "write it like 15, 7, 3, 2, 1")
_TOKENS = ("topic", "urls")  # what stands there may be a chat's URL, which is a token, so it is not repeated
_Form = tuple[Callable[[str], object], str, str]
# What the values of a name must be (or it raises), what one that is not is called, and what to write.
_NUMBER: _Form = (_ACCOUNT.fullmatch, "an account number", "write the twelve digits, like 123456789012")
_FOR_SOME = {"accounts": _NUMBER}
_FORMS: dict[str, _Form] = {
    **dict.fromkeys(("only", "but"), _NUMBER),
    "accounts": (
        _PLACE.fullmatch,
        "an account number",
        "write the twelve digits, all, a unit like ou-ab12-cdef3456, or tag:KEY=VALUE",
    ),
    "by": ({"tag", "name", "mapping"}.__contains__, "a way to find owners", "allowed: tag, name, mapping"),
    "weekdays": (DAYS.__contains__, "a weekday", f"allowed: {', '.join(DAYS)}"),
    "before": (lambda text: text.isascii() and text.isdigit() and int(text) <= _MOST, *_DAYS_LIKE),
    "through": ({"secretsmanager", "s3"}.__contains__, "a handover method", "allowed: secretsmanager, s3"),
    "sender": (lambda text: not text or _MAIL.fullmatch(text), "a mail address", _MAIL_LIKE),
    "to": (_MAIL.fullmatch, "a mail address", _MAIL_LIKE),
    "mention": (lambda text: not text or "{name}" in text, "a mention", "write {name} where it belongs, like @{name}"),
    "hours": (span_of, "", ""),
    "timezone": (zone, "", ""),
    "topic": (
        lambda text: not text or _TOPIC.fullmatch(text),
        "the ARN of an SNS topic",
        "write it like arn:aws:sns:eu-west-1:123456789012:NAME",
    ),
    "urls": (
        lambda text: not text or _SECRET.fullmatch(text),
        "the name of a secret",
        "write secretsmanager:NAME or ssm:NAME",
    ),
    "region": (lambda text: not text or _REGION.fullmatch(text), "a region", "write it like eu-west-1"),
    "kms_key": (
        lambda text: not text or _KMS.fullmatch(text),
        "a KMS key of yours",
        "write its ARN, its ID or alias/NAME; leave it empty for AWS's own key",
    ),
}


def _unknown(what: str, name: str, known: tuple[str, ...]) -> str:
    close = nearest(name.lower().replace("-", "_"), known)
    return f"there is no {what} {name}; " + (
        f"did you mean {close}?" if close else f"there {'are' if len(known) > 1 else 'is'} {', '.join(known)}"
    )


def _hint(where: str) -> str:
    return f"edit {where}; docs/it/fleet-settings.md has all settings"


NAME = "fleet.ini"
_PARAMETER = "ssm:"
_NAMED = "name the fleet's settings: --settings FILE, or --settings ssm:/NAME"


def load(
    paths: Paths, named: str, fetch: Callable[[str], str], base: FleetSettings, *, preset: bool = True
) -> FleetSettings:
    """The settings; `named` is a path or `ssm:NAME`, "" for the usual places; `fetch` gives a parameter's text. Raises
    WrongUsage for what is wrong in them, Problem for a file that cannot be read, and what `fetch` raises."""
    if named.startswith(_PARAMETER):
        return parse(fetch(named), named, base, preset=preset)
    path = named or _usual(paths)
    if not path:
        return base
    data = read(path, hint=_NAMED)
    if data is None:
        raise WrongUsage(f"there is no file {path}", _NAMED)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise WrongUsage(f"{path} is not UTF-8 text", f"save it as UTF-8: {path}") from None
    return parse(text, path, base, preset=preset)


def _usual(paths: Paths) -> str:
    """Raises Problem for the site's file if somebody else could have written it: to go on without would be to act on
    other rules."""
    mine, theirs = (os.path.join(os.path.dirname(file), NAME) for file in (paths.config_file, paths.site_file))
    if os.path.exists(mine):
        return mine
    from . import trust

    try:
        reason = trust.objection(theirs, paths.site_owner, paths.site_top)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise unreadable(theirs, error, site=True) from None
    if reason:
        raise Problem(f"{theirs} does not count: {reason}", "correct that, or use another file: --settings FILE")
    return theirs
