"""What could make a rotation fail on this computer: the environment, the profile files, who may read and change them,
what earlier runs left in the state folder, the settings and the program itself."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from glob import escape, glob
from shlex import quote
from urllib.parse import urlsplit

from .. import settings
from ..core.errors import NeedsPerson, Problem, TryLater, Unreadable
from ..core.hints import Hint, double_quoted
from ..core.policy import mask
from ..files import platform
from ..files.regular import PUBLIC, oddity, read_start, tracking
from ..files.write import Snapshot, foresee, snapshot
from ..keyring.store import Index, LocalStaging
from ..profiles.file import KEY_ID, SECRET
from ..profiles.kinds import OPTION, Kind, entry_of, facts, words_of
from ..profiles.places import LocalPlaces
from ..profiles.which import Active, find_active, profile_in_force
from ..state.history import HandedKeys
from ..state.notes import FileNotes
from ..state.records import Newer
from .computer import Computer, Finding, Level, Where

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE")
FILES = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_PARTS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_ROLE = ("AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME")
_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def check_environment(computer: Computer) -> Iterator[Finding]:
    """All variables."""
    for check in (_keys, _profile_variables, _file_variables, _regions, _proxies, _bundles, _key_log):
        yield from check(computer)


def _keys(computer: Computer) -> Iterator[Finding]:
    """A key in the environment goes before any profile, unless one is named to the program itself."""
    level = Level.BROKEN if computer.profile is None else Level.WARNING
    for variable, more, what in zip(KEYS, (_PARTS, _ROLE), ("key", "token"), strict=True):
        try:
            profile_in_force({variable: computer.env.get(variable, "")}, None)
        except Problem as problem:
            names = (variable, *filter(computer.env.get, more))
            yield computer.in_variable(level, f"{what}-in-environment", problem.message, *names)
    parts = list(filter(computer.env.get, _PARTS))
    if parts and not computer.env.get(KEYS[0]):
        message = f"{' and '.join(parts)} without {KEYS[0]}: some SDKs refuse that, others ignore it"
        yield computer.in_variable(Level.WARNING, "half-a-key-in-environment", message, *parts)


def _profile_variables(computer: Computer) -> Iterator[Finding]:
    named = {name: computer.env[name] for name in PROFILES if name in computer.env}
    try:
        profile_in_force(named, None)
    except Problem as problem:
        bad = [name for name, value in named.items() if not value] or [PROFILES[1]]
        level = Level.BROKEN if computer.profile is None else Level.WARNING
        yield computer.in_variable(level, "profile-variables", problem.message, *bad)


def _file_variables(computer: Computer) -> Iterator[Finding]:
    for variable, path in zip(FILES, (computer.paths.credentials, computer.paths.config), strict=True):
        value = computer.env.get(variable)
        if value is None:
            continue
        if not value or not os.path.exists(path):
            what = "is empty" if not value else f"names {computer.show(path)}, which does not exist"
            yield computer.in_variable(Level.WARNING, "file-variable", f"{variable} {what}", variable)
        elif value[0] == "~" or "$" in value or not os.path.isabs(value):
            what = "which some SDKs take literally: they do not expand ~ and $"
            what = what if value[0] == "~" or "$" in value else "which is another file in each folder"
            remedy, where = f"export {variable}={computer.word(path)}", computer.origin(variable)
            yield Finding(Level.WARNING, "file-variable", f"{variable} is {value}, {what}", remedy, where)


def _regions(computer: Computer) -> Iterator[Finding]:
    """botocore knows AWS_DEFAULT_REGION only, most other SDKs AWS_REGION only."""
    ours, theirs = computer.env.get("AWS_DEFAULT_REGION"), computer.env.get("AWS_REGION")
    if ours and theirs and ours != theirs:
        message = f"AWS_REGION={theirs} and AWS_DEFAULT_REGION={ours} differ, and SDKs disagree on which one wins"
        yield computer.in_variable(Level.WARNING, "region-variables", message, "AWS_DEFAULT_REGION")


def _proxies(computer: Computer) -> Iterator[Finding]:
    """urllib, and so botocore, takes the lower-case name first; others the upper-case one, or no proxy at all. No
    message holds the value: it may hold a password."""
    upper, lower = computer.env.get("HTTPS_PROXY", ""), computer.env.get("https_proxy", "")
    if computer.posix and upper and lower and upper != lower:
        message = "HTTPS_PROXY and https_proxy differ, and programs disagree on which one wins"
        yield computer.in_variable(Level.WARNING, "proxy", message, "https_proxy")
    for name, value in (("https_proxy", lower), ("HTTPS_PROXY", upper)):
        if value and not _is_url(value):
            message = f"{name} is not the address of a proxy (http://HOST:PORT)"
            yield computer.in_variable(Level.WARNING, "proxy", message, name)


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        return bool(parts.hostname) and parts.scheme in ("http", "https") and (parts.port or 80) > 0
    except ValueError:
        return False


def _bundles(computer: Computer) -> Iterator[Finding]:
    """Where the CAs come from: the first that is set counts, even if it is set to nothing (botocore/endpoint.py)."""
    sources = [(name, computer.env[name], computer.origin(name)) for name in _BUNDLES if name in computer.env]
    if _BUNDLES[0] not in computer.env and not isinstance(computer.profiles, Problem):
        sources[:0] = [
            (f"ca_bundle of profile {computer.name}", value, Where(file.path, file.line_of(section, "ca_bundle")))
            for file, section in computer.profiles.sections_of(computer.name)
            if (value := file.settings[section].get("ca_bundle")) is not None
        ]
    for name, value, where in sources[:1]:
        if wrong := _wrong_bundle(computer, value):
            yield computer.set_at(Level.BROKEN, "ca-bundle", f"{name} {wrong}", where)


def _wrong_bundle(computer: Computer, value: str) -> str:
    """Why no connection can be made with it, or "". urllib3 expands `~` and no variables, and takes no folder."""
    if not value.strip() or value.startswith("\n"):
        return "is empty, so no connection can be made"
    path = os.path.expanduser(value)
    if odd := oddity(path):
        return f"names {computer.show(path)}, which {odd}"
    if not os.path.exists(path):
        more = " ($ is not expanded there)" if "$" in value else ""
        return f"names {computer.show(path)}, which does not exist{more}"
    return "" if b"-----BEGIN" in read_start(path, -1) else f"names {computer.show(path)}, which holds no certificates"


def _key_log(computer: Computer) -> Iterator[Finding]:
    """OpenSSL's own variable, which Python and many other programs follow."""
    variable = "SSLKEYLOGFILE"
    if path := computer.env.get(variable):
        what = "lets anyone who can read it decrypt this computer's connections"
        message = f"{variable} is set: {computer.show(path)} {what}"
        yield computer.in_variable(Level.WARNING, "key-log", message, variable)


# What aws-vault and awsume follow to another profile's key, and SDKs do not.
_OTHERS_WORDS = ("include_profile", "parent_profile")
# Ways in that need no key in a file: nothing is wrong with them, there is just nothing to rotate.
_KEYLESS = (Kind.SSO, Kind.LOGIN, Kind.PROCESS, Kind.WEB_IDENTITY, Kind.ROLE)


def find(computer: Computer) -> tuple[Active | None, list[Finding]]:
    """The key in force; with keys in the environment or two profile names, the one that would be without them."""
    if isinstance(computer.profiles, Problem):
        return None, [computer.problem(Level.BROKEN, "unreadable-file", computer.profiles)]
    # The environment as it will be once what is found in it is dealt with
    values = {computer.env.get(name) for name in PROFILES} - {None, ""}
    wrong = {*KEYS, *FILES, *(name for name in PROFILES if not computer.env.get(name))}
    if len(values) > 1:
        wrong.add(PROFILES[1])
    env = {name: value for name, value in computer.env.items() if name not in wrong}
    found = []
    try:
        active = find_active(env, computer.profile, computer.files, keyring=computer.keyring)
    except NeedsPerson as mixed:
        found.append(computer.problem(Level.BROKEN, "mixed-profile", mixed))
        try:
            active = find_active(env, computer.profile, computer.files, mixed=True)
        except Problem as problem:
            return None, [*found, _refusal(computer, problem)]
        active = replace(active, warnings=tuple(text for text in active.warnings if text != mixed.message))
    except TryLater as problem:
        return None, [computer.problem(Level.BROKEN, "keyring", problem)]
    except Problem as problem:
        return None, [_refusal(computer, problem)]
    # where another program may use another key; botocore does not
    doubts = [computer.in_file(Level.WARNING, "other-key", text, computer.locate(text)) for text in active.warnings]
    return active, [*found, *doubts]


def _refusal(computer: Computer, problem: Problem) -> Finding:
    """Why there is no key to rotate, told apart by what the profile holds."""
    assert not isinstance(computer.profiles, Problem)
    name = computer.name
    if command := computer.put_back(name):
        return Finding(Level.BROKEN, "no-key", problem.message, command)
    if name not in computer.profiles.merged:
        return _misspelt(computer, name) or computer.problem(Level.BROKEN, "no-profile", problem)
    fact = next(fact for fact in facts(computer.profiles) if fact.profile == name)
    code, level = "unusable-key", Level.BROKEN
    if "which SDKs do not know" in problem.message:
        return computer.problem(level, "misspelt-setting", problem)
    if fact.kind is Kind.NONE and not fact.note:
        merged = computer.profiles.merged
        other = next(filter(None, (merged[name].get(each) for each in _OTHERS_WORDS)), "")
        remedy = Hint("status", "-p", other) if other in merged else Hint("adopt", "-p", name)
        return _misspelt(computer, name) or Finding(level, "no-key", problem.message, remedy)
    if fact.kind in _KEYLESS and (fact.kind is not Kind.ROLE or not fact.source):
        code, level = "nothing-to-rotate", Level.ADVICE
    elif fact.kind is Kind.SESSION:
        code, level = "session", Level.WARNING
    option = SECRET if SECRET in problem.message else KEY_ID
    return computer.problem(level, code, problem, Hint("status"), _section(computer, name, option))


def _misspelt(computer: Computer, name: str) -> Finding | None:
    """`[ default ]`: for botocore the blanks are a part of the name, for others they are not."""
    for file in computer.read_files:
        for section in file.sections:
            if section != section.strip() and section.strip() in (name, f"profile {name}"):
                message = f"[{section}] in {computer.show(file.path)} is ignored: remove the blanks inside its brackets"
                return computer.in_file(Level.BROKEN, "misspelt-section", message, Where(file.path))
    return None


def _section(computer: Computer, name: str, option: str = KEY_ID) -> Where:
    """Where that line of the profile's key is, or else the file with its section."""
    assert not isinstance(computer.profiles, Problem)
    places = [Where(file.path, file.line_of(each, option)) for file, each in computer.profiles.sections_of(name)]
    return max(places, key=lambda where: where.line is not None, default=Where())


def check_profiles(computer: Computer, active: Active) -> Iterator[Finding]:
    """Whether every place of the key can be changed, as a rotation does it."""
    files, pair = LocalPlaces(computer.files), active.pair
    good = []
    for holding in files.search([pair.key_id]):
        if holding.pair != pair:
            what = f"profile {holding.place.profile} in {computer.show(holding.place.path)}"
            message = f"{what} has the ID of key {mask(pair.key_id)} with another secret, or with a token"
            yield computer.in_file(Level.WARNING, "other-secret", message, computer.locate(holding.place.path))
            continue
        try:
            files.check([holding.place], pair)
        except Problem as problem:
            yield computer.problem(Level.BROKEN, "uneditable", problem)
        else:
            good.append(holding.place)
    for text in files.check(good, pair):
        yield computer.in_file(Level.WARNING, "sdks-differ", text, computer.locate(text))
    for path in dict.fromkeys(place.path for place in good):
        yield from _writable(computer, path)


def dead(computer: Computer, ended: Mapping[str, str]) -> Iterator[Finding]:
    """Keys that this tool has deleted and that something here still holds: an old file came back, or a shell is old."""
    variable = KEYS[0]
    if end := ended.get(computer.env.get(variable, "")):
        message = f"{variable} is a key that was {end}"
        names = [name for name in (variable, "AWS_SECRET_ACCESS_KEY") if name in computer.env]
        yield computer.in_variable(Level.BROKEN, "dead-key", message, *names)
    for holding in computer.holding(ended) if ended else ():
        if holding.pair:
            key_id, where = holding.pair.key_id, computer.show(holding.place.path)
            held = f"{holding.place.profile} in {where} holds key {mask(key_id)}"
            message = f"{held}, {ended[key_id]}; an older file came back"
            yield computer.in_file(Level.WARNING, "dead-key", message, computer.locate(holding.place.path))


def _writable(computer: Computer, path: str) -> Iterator[Finding]:
    where = Where(path)
    try:
        found = snapshot(path)
        reason = foresee(found) if found else None
    except Problem as problem:
        remedy = f"chmod u+w {computer.word(os.path.dirname(path))} {computer.word(path)}"
        if problem.hint.startswith("lsattr"):
            remedy = f"sudo chattr -i {computer.word(path)}"
        remedy = computer.mount(path) or remedy
        yield Finding(Level.BROKEN, "unwritable", problem.message, remedy, where)
        return
    if found and reason:
        how = f"can only be written in place, because {reason}"
        message = f"{computer.show(path)} {how}; an SDK may read it half-written"
        yield Finding(Level.WARNING, "in-place", message, _replaceable(computer, found), where)


def _replaceable(computer: Computer, found: Snapshot) -> str:
    """What makes it a file with one name in a folder of this person's."""
    folder, word = os.path.dirname(found.path), computer.word(found.path)
    if found.status.st_nlink > 1:
        return f"cp -p {word} {word}.new && mv {word}.new {word}"
    if not os.access(folder, os.W_OK):
        return f"chmod u+w {computer.word(folder)}"
    return f"findmnt -T {word}"


ROOM = 1 << 16  # bytes; notes, staged pairs and a copy of a profile file need less
_OTHERS_READ, _OTHERS_WRITE = 0o077, 0o022


def check_files(computer: Computer) -> Iterator[Finding]:
    """Home, the folders of the two files, and the files themselves."""
    yield from _home(computer)
    paths = [path for path in (computer.paths.credentials, computer.paths.config) if path and os.path.exists(path)]
    if computer.posix:
        for folder in dict.fromkeys(os.path.dirname(p) for path in paths for p in (path, os.path.realpath(path))):
            yield from _folder(computer, folder)
        for path in paths:
            yield from _file(computer, path)
    for path in paths:
        yield from _tracked(computer, path)
        yield from _old(computer, os.path.realpath(path))
    yield from _room(computer, [os.path.dirname(os.path.realpath(path)) for path in paths])


def _home(computer: Computer) -> Iterator[Finding]:
    """Programs look for ~/.aws in HOME; started with sudo, it may still be another person's."""
    variable, home = computer.env.get("HOME", ""), computer.paths.home
    where = Where(variable="HOME")
    if computer.posix and not os.path.isabs(variable):
        what = f"is {variable!r}, not an absolute path" if variable else "is not set"
        message = f"HOME {what}, so programs disagree on where ~/.aws is"
        yield Finding(Level.WARNING, "home", message, f"export HOME={computer.word(home)}".replace("~", home), where)
    if not os.path.isdir(home):
        message = f"HOME is {home}, which is not a folder"
        remedy = 'export HOME="$(getent passwd "$(id -un)" | cut -d: -f6)"'
        yield Finding(Level.BROKEN, "home", message, remedy, where)
    elif computer.posix and os.stat(home).st_uid != platform.my_uid():
        message = f"HOME is {home}, which belongs to another user (uid {os.stat(home).st_uid})"
        yield Finding(Level.BROKEN, "foreign-home", message, "sudo -H rotate-my-key doctor", where)


def _folder(computer: Computer, path: str) -> Iterator[Finding]:
    mode = os.stat(path).st_mode
    if computer.on_windows(os.path.realpath(path)):
        return
    if mode & _OTHERS_WRITE and not mode & stat.S_ISVTX:
        message = f"others on this computer can replace the files in {computer.show(path)}"
        yield Finding(Level.BROKEN, "folder-mode", message, f"chmod go-w {computer.word(path)}", Where(path))


def _file(computer: Computer, path: str) -> Iterator[Finding]:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        return
    if status.st_uid != platform.my_uid():
        yield _foreign(computer, path, status.st_uid)
    elif status.st_mode & _OTHERS_READ and _holds_secrets(path) and computer.on_windows(os.path.realpath(path)):
        message = f"{computer.show(path)} is on a Windows drive: Windows alone decides who can read it"
        remedy = f'icacls.exe "$(wslpath -w {computer.word(path)})"'
        yield Finding(Level.ADVICE, "windows-drive", message, remedy, Where(path))
    elif status.st_mode & _OTHERS_READ and _holds_secrets(path):
        what = "changed" if status.st_mode & _OTHERS_WRITE else "read"
        message = f"{computer.show(path)} holds secrets and can be {what} by others on this computer"
        remedy = computer.mount(path) or f"chmod 600 {computer.word(path)}"
        yield Finding(Level.BROKEN, "file-mode", message, remedy, Where(path))


def _old(computer: Computer, path: str) -> Iterator[Finding]:
    """What Windows left where a replace was stopped half-way; no run removes what may be the only copy of a profile."""
    for left in () if computer.posix else glob(f"{escape(path)}{platform.OLD}*"):
        if _holds_secrets(left) and not platform.is_spent(left):
            what = f"an older version of {computer.show(path)} with secrets"
            message = f"{computer.show(left)} is {what}, and may have a profile that the file lacks"
            yield computer.in_file(Level.WARNING, "old-file", message, Where(left))


def _tracked(computer: Computer, path: str) -> Iterator[Finding]:
    """A repository that only this computer has is no matter: the old key in it dies with the rotation."""
    with suppress(OSError):
        repository = tracking(os.path.realpath(path))
        if repository and repository.has_remote and _holds_secrets(path):
            git_dir = os.path.relpath(repository.git_dir, repository.folder)
            of_a_home = "" if git_dir == ".git" else f" --git-dir {quote(git_dir)} --work-tree ."
            remedy = f"git -C {computer.word(repository.folder)}{of_a_home} rm --cached {quote(repository.name)}"
            yield Finding(Level.WARNING, "tracked", f"{computer.show(path)} is {PUBLIC}", remedy, Where(path))


def _foreign(computer: Computer, path: str, owner: int) -> Finding:
    """What sudo left is taken back. Any other owner keeps theirs: the file may be mounted from another computer, or
    from the host of a container, and root can change it as it is."""
    message = f"{computer.show(path)} belongs to another user (uid {owner})"
    look = computer.mount(path) or f"ls -ln {computer.word(path)}"
    if platform.my_uid() == 0:
        return Finding(Level.WARNING, "foreign-file", f"{message}; a rotation keeps that owner", look, Where(path))
    own = f'sudo chown "$(id -un)" {computer.word(path)}'
    remedy = look if owner or "findmnt" in look else own
    return Finding(Level.BROKEN, "foreign-file", message, remedy, Where(path))


def _holds_secrets(path: str) -> bool:
    """A config file without a key may be read by anybody. Also told of a file that cannot be parsed, whatever it is."""
    try:
        with open(path, "rb") as file:
            return SECRET.encode() in file.read().replace(b"\0", b"").lower()
    except OSError:
        return True


def _room(computer: Computer, folders: list[str]) -> Iterator[Finding]:
    """A rotation writes beside the profile files and into the state folder."""
    for folder in dict.fromkeys([*folders, existing(computer.paths.state_dir)]):
        room = computer.free(folder)
        if room is not None and room < ROOM:
            message = f"the disk under {computer.show(folder)} is full ({room} bytes left)"
            yield Finding(Level.BROKEN, "disk-full", message, f"df -h {computer.word(folder)}", Where(folder))
        elif os.path.isdir(folder) and not platform.has_inodes(folder):
            message = f"the disk under {computer.show(folder)} has no inodes left, so no file can be created on it"
            yield Finding(Level.BROKEN, "disk-full", message, f"df -i {computer.word(folder)}", Where(folder))


def existing(path: str) -> str:
    """The folder itself, or the nearest one above it that is there."""
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def check_state(computer: Computer, now: datetime, key_id: str = "") -> Iterator[Finding]:
    """Whether it can be used, and whether all is finished. `key_id` is the key in force."""
    found = list(_state_folder(computer))
    yield from found
    if not any(each.level is Level.BROKEN for each in found):
        yield from _rotations(computer, now)
        yield from _moves(computer, key_id)


def _state_folder(computer: Computer) -> Iterator[Finding]:
    folder = computer.paths.state_dir
    there = existing(folder)
    where, shown = Where(there), computer.show(there)
    if not os.path.isdir(there):
        moved = f"mv {computer.word(there)} {computer.word(there + '.old')}"
        yield Finding(Level.BROKEN, "state-folder", f"{shown} is not a folder", moved, where)
        return
    if computer.posix and there == folder:
        foreign = _not_ours(folder)
        if foreign:
            message = f"{computer.show(foreign)} belongs to another user (uid {os.lstat(foreign).st_uid})"
            remedy = f'sudo chown -R "$(id -un)" {computer.word(folder)}'
            yield Finding(Level.BROKEN, "foreign-state", message, remedy, Where(foreign))
            return
        if stat.S_IMODE(os.stat(folder).st_mode) & 0o077:
            message = f"{shown} can be read by others on this computer; a rotation stores secrets there for a while"
            yield Finding(Level.WARNING, "state-mode", message, f"chmod 700 {computer.word(folder)}", where)
    if not os.access(there, os.W_OK | os.X_OK):
        message = f"{shown} cannot be written to, so no rotation can begin"
        yield Finding(Level.BROKEN, "state-folder", message, f"chmod u+rwx {computer.word(there)}", where)


def _not_ours(folder: str) -> str:
    """The first thing in the state folder that is not ours: a run with sudo may have left it."""
    for path, folders, files in os.walk(folder):
        for name in ("", *folders, *files):
            each = os.path.join(path, name) if name else path
            if os.lstat(each).st_uid != platform.my_uid():
                return each
    return ""


def _rotations(computer: Computer, now: datetime) -> Iterator[Finding]:
    folder = os.path.join(computer.paths.state_dir, "rotations")
    notes, staging = FileNotes(folder), LocalStaging(folder)
    try:
        names = dict.fromkeys([*notes.names(), *staging.names()])
    except Problem as problem:
        yield computer.problem(Level.BROKEN, "state-folder", problem)
        return
    for name in names:
        where = Where(os.path.join(folder, f"{name}.note"))
        try:
            note = notes.load(name)
            staged = staging.get(name)
        except Unreadable:
            message = f"the note of the rotation of key {mask(name)} cannot be read; the next run takes care of it"
            yield Finding(Level.WARNING, "unreadable-note", message, Hint(), where)
        except Problem as problem:
            yield _strange(computer, problem, where)
        else:
            kept = note is not None and note.wanted is not None and note.delete_at > now  # nothing is left to do yet
            if (note or staged) and not kept:
                stuck = note is not None and note.told
                end = "no run can finish it; what is stored for it is kept" if stuck else "the next run finishes it"
                message = f"a rotation of key {mask(name)} is unfinished; {end}"
                remedy = Hint("status") if stuck else Hint()
                yield Finding(Level.WARNING, "unfinished", message, remedy, where)


def _strange(computer: Computer, problem: Problem, where: Where) -> Finding:
    if isinstance(problem, Newer):
        return Finding(Level.BROKEN, "strange-note", problem.message, upgrade(), where)
    return computer.problem(Level.BROKEN, "strange-note", problem, where=where)


def _moves(computer: Computer, key_id: str) -> Iterator[Finding]:
    """What `keyring` began, and keys that `adopt` took and could not replace yet."""
    index = Index(os.path.join(computer.paths.state_dir, "keyring.json"))
    try:
        if index.moving():
            message = "moving a key into or out of the keyring is unfinished; the next run finishes it"
            yield Finding(Level.WARNING, "unfinished", message, Hint(), Where(index.path))
        handed = HandedKeys(os.path.join(computer.paths.state_dir, "handed")).ids()
    except Problem as problem:
        yield _strange(computer, problem, Where(index.path))
        return
    if key_id in handed:
        message = f"key {mask(key_id)} was handed to you and still has to be replaced"
        yield Finding(Level.WARNING, "handed-key", message, Hint())


NAME = "rotate-my-key"


def check_program(computer: Computer) -> Iterator[Finding]:
    """All of it."""
    for check in (_left_behind, _settings, _version, _path):
        yield from check(computer)


def _left_behind(computer: Computer) -> Iterator[Finding]:
    """Profiles whose key another installation put into the keyring, and which is gone since: no program gets it."""
    for name, values in {}.items() if isinstance(computer.profiles, Problem) else computer.profiles.merged.items():
        program = words_of(values[OPTION])[0] if entry_of(values) else ""
        if os.path.isabs(program) and not os.access(program, os.X_OK):
            gone = f"but {program}, which reads it there, no longer exists"
            message = f"the key of profile {name} is in the keyring, {gone}"
            remedy = Hint("keyring", "restore", "-p", name)
            yield Finding(Level.BROKEN, "program-gone", message, remedy, _section(computer, name))


def _settings(computer: Computer) -> Iterator[Finding]:
    """The user's and the site's. The site's file is IT's to mend, so its remedies are theirs."""
    path, trust = computer.paths.site_file, ""
    try:
        trust = settings.site(computer.paths).state
    except Problem as wrong:
        yield computer.problem(Level.BROKEN, "site-settings", wrong, Hint("config", "path"))
    else:
        if isinstance(computer.settings, Problem):
            yield _setting(computer, Level.BROKEN, computer.settings)
    if not isinstance(computer.settings, Problem):
        for notice in computer.settings.notices:
            if path not in notice:
                yield _setting(computer, Level.WARNING, Problem(notice))
    if trust.startswith("ignored"):
        remedy = f"sudo chown root {computer.word(path)} && sudo chmod go-w {computer.word(path)}"
        if not computer.posix:  # the Administrators, whatever they are called there
            remedy = f"icacls {computer.word(path)} /setowner *S-1-5-32-544"
        yield Finding(Level.WARNING, "untrusted-site", f"the site's settings, {path}, are {trust}", remedy, Where(path))


def _setting(computer: Computer, level: Level, problem: Problem) -> Finding:
    """A wrong value names its variable first, or the file with the line."""
    variable = next((word for word in problem.message.replace(":", " ").split() if word in computer.env), "")
    if variable:
        hint = "" if problem.hint.startswith("unset") or not problem.hint else f": {problem.hint}"
        return computer.in_variable(level, "settings", problem.message + hint, variable)
    return computer.problem(level, "settings", problem, Hint("config", "show"))


def _version(computer: Computer) -> Iterator[Finding]:
    if isinstance(computer.settings, Problem) or not computer.settings.is_outdated(computer.version):
        return
    origin = computer.settings.origin["minimum_version"]
    where = computer.locate(origin.ceiling or origin.source)
    message = f"this is version {computer.version}, but at least {computer.settings.minimum_version} is required"
    yield Finding(Level.BROKEN, "old-version", f"{message} ({origin.ceiling or origin.source})", upgrade(), where)


# By a part of the path of an environment: how it was made, and what upgrades and removes what is in it.
_WAYS = {
    "/pipx/": (f"pipx upgrade {NAME}", f"pipx uninstall {NAME}"),
    "/uv/tools/": (f"uv tool upgrade {NAME}", f"uv tool uninstall {NAME}"),
    f"/{NAME}/venv-": ("./install.sh", "./install.sh --uninstall"),
    "/cellar/": (f"brew upgrade {NAME}", f"brew uninstall {NAME}"),
    "/nix/store/": (f"nix profile upgrade {NAME}", f"nix profile remove {NAME}"),
    "/scoop/apps/": (f"scoop update {NAME}", f"scoop uninstall {NAME}"),
    "/winget/packages/": (f"winget upgrade {NAME}", f"winget uninstall {NAME}"),
}


def _way(prefix: str) -> tuple[str, str] | None:
    folders = prefix.replace("\\", "/").lower()
    return next((way for part, way in _WAYS.items() if part in folders), None)


def upgrade(prefix: str = sys.prefix) -> str:
    """The command that brings a newer version, by how this one was installed."""
    return (_way(prefix) or ("./install.sh",))[0]


def removal(prefix: str = sys.prefix) -> str:
    """The command that removes the program, by how it was installed."""
    way = _way(prefix)
    if way is None and os.path.basename(prefix) == "_internal":  # an archive that has its own Python
        return f"rm -r {quote(os.path.dirname(prefix))}"
    if way is None:
        python = double_quoted(sys.executable) if platform.NAME == "win32" else quote(sys.executable)
        return f"{python} -m pip uninstall {NAME}"
    shared = prefix.partition(f"/lib/{NAME}/venv-")[0]
    return way[1] + (f" --prefix {quote(shared)}" if shared != prefix else "")


def _path(computer: Computer) -> Iterator[Finding]:
    where = Where(variable="PATH")
    found = programs(computer)
    named = os.path.dirname(computer.program)  # `python -c` names no file
    mine = os.path.abspath(named) if named else ""
    if not found:
        own = next((folder for folder in (mine, os.path.join(computer.paths.home, ".local/bin")) if _in(folder)), "")
        if own:
            message = f"{NAME} is in no folder of PATH, so the reminder and scripts do not find it"
            remedy = f'export PATH={computer.word(own)}:"$PATH"' if computer.posix else f'$env:PATH = "{own};$env:PATH"'
            yield Finding(Level.WARNING, "not-on-path", message, remedy, where)
    elif len(found) > 1:
        message = f"there is more than one {NAME} on PATH: {', '.join(map(computer.show, found))}"
        yield Finding(Level.WARNING, "several-programs", message, f"rm {computer.word(found[-1])}", where)


def programs(computer: Computer) -> list[str]:
    """Every program of this name on PATH; links to one and the same count once."""
    by_real: dict[str, str] = {}
    for folder in computer.env.get("PATH", "").split(os.pathsep):
        if path := _in(folder):
            by_real.setdefault(os.path.realpath(path), path)
    return list(by_real.values())


def _in(folder: str) -> str:
    """The program in a folder; what the working directory holds may be anyone's."""
    for name in (NAME, f"{NAME}.exe"):
        path = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""
