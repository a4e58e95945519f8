"""Moves a profile's pair between its file and the keyring, so that a kill at any instant leaves a working profile.

A loop over facts: what the files hold, what the keyring holds, whether the line leads there. `keyring.json` notes only
that a move was agreed to, and where lines stood. SDKs take a key in the credentials file before a credential_process,
and one in the config file after it: hence the orders below, and hence one write for both in the config file. At every
instant the secret is durable in one of the two, and read back, before it leaves the other."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.errors import Problem, TryLater
from ..core.hints import Hint, quoted
from ..core.model import Credentials, PlaceKind
from ..core.policy import mask
from ..files import write as disk
from ..files.write import Written, remove_private
from ..keyring.store import Entry, KeyringStore, Move, Process
from .edit import add_process, insert_pair, remove_process, take_out
from .file import ProfileFile, ProfilePaths, Profiles
from .kinds import OPTION, PROGRAM, entry_of, line_for, words_of
from .places import confirm, make_file, only_one_name

_PATIENCE = 60  # seconds for the line to answer, as the more impatient SDKs have it
_LATER = 75


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of a move that an earlier run began."""

    profile: str
    move: Move
    problem: Problem | None = None

    def __str__(self) -> str:
        where = "into the keyring" if self.move is Move.STORE else "back into its file"
        return f"finished the earlier move of {self.profile} {where}"


class Facts:
    """What there is of one profile now. `holder` is the file that holds a pair, `leader` the one whose line leads to
    the keyring entry; both files are read afresh, and nothing is written. Raises TryLater if the keyring is locked,
    Problem for a file that cannot be read."""

    def __init__(self, paths: ProfilePaths, store: KeyringStore, profile: str) -> None:
        self.credentials = _read(paths.credentials, PlaceKind.CREDENTIALS)
        self.config = _read(paths.config, PlaceKind.CONFIG)
        both = (self.credentials, self.config)
        self.holder = next((file for file in both if file.pair(profile)), None)
        self.leader = next((file for file in both if _leads(file, profile)), None)
        self.held = self.holder.pair(profile) if self.holder else None
        self.entry = store.pair(profile)
        self.known = store.index.get(profile)

    @property
    def home(self) -> ProfileFile:
        """The file the pair came from; the credentials file if that is not known."""
        lines = self.known.lines if self.known else None
        from_config = lines is not None and lines.kind == PlaceKind.CONFIG.value
        return self.holder or (self.config if from_config else self.credentials)

    @property
    def process(self) -> Process | None:
        """How the line was added, if that is known."""
        return self.known.process if self.known else None


def _read(path: str, kind: PlaceKind) -> ProfileFile:
    """The file; an empty one if there is none."""
    found = disk.snapshot(path) if path else None
    return ProfileFile(found.data if found else b"", path, kind)


def _leads(file: ProfileFile, profile: str) -> bool:
    section = file.effective.get(profile)
    value = file.get(section, OPTION) if section is not None else None
    return value is not None and entry_of({OPTION: value}) == profile


class Moving:
    """The moves. All verbs are for who holds the lock. `program` are the words by which this program is called from
    anywhere, for the credential_process line; `env` is for its proof."""

    def __init__(
        self, paths: ProfilePaths, store: KeyringStore, program: Sequence[str], env: Mapping[str, str]
    ) -> None:
        self._paths, self._program, self._store = paths, program, store
        self._index = store.index
        self._env = env

    def store(self, profile: str) -> Credentials:
        """Move the pair of a profile into the keyring, and leave a credential_process line. Gives the pair. Raises
        Problem if nothing was changed, TryLater if the next run goes on."""
        line, facts = line_for(self._program, profile), self._facts(profile)
        pair = self._storable(profile, facts, line)
        self._index.put(profile, Entry(self._paths.config, (pair.key_id,), moving=Move.STORE, line=line))
        self._go(profile)
        return pair

    def restore(self, profile: str) -> Credentials:
        """Move the pair of a profile back into its file. Gives the pair."""
        facts = self._facts(profile)
        pair = facts.entry
        if pair is None:
            raise Problem(f"the keyring has no key for profile {profile}", Hint("status"))
        merged = Profiles(self._paths).merged
        others = [name for name, settings in merged.items() if name != profile and entry_of(settings) == profile]
        if others:
            raise Problem(f"profile {others[0]} leads to the same keyring entry", f"remove {OPTION} from it first")
        if facts.held and facts.held != pair:
            raise _two_keys(profile, facts)
        for file in {file.path: file for file in (facts.home, facts.leader) if file}.values():
            _rehearse(file)
        _restored(profile, facts, pair)
        self._index.change(profile, self._paths.config, moving=Move.RESTORE)
        self._go(profile)
        return pair

    def finish(self) -> list[Moved]:
        """Finish, or take back, what earlier runs began."""
        done = []
        for profile, entry in self._index.load().items():
            if entry.moving:
                try:
                    self._go(profile)
                    done.append(Moved(profile, entry.moving))
                except Problem as problem:
                    done.append(Moved(profile, entry.moving, problem))
        return done

    # What is refused before anything changes

    def _storable(self, profile: str, facts: Facts, line: str) -> Credentials:
        pair, holder = facts.held, facts.holder
        if pair is None or holder is None:
            raise Problem(f"no file here holds a key for profile {profile}", Hint("status"))
        if facts.credentials.pair(profile) and facts.config.pair(profile):
            raise Problem(
                f"{facts.credentials.path} and {facts.config.path} both hold a key for profile {profile}",
                f"remove the one in {facts.config.path}",
            )
        if facts.entry not in (None, pair):
            raise Problem(
                f"the keyring holds another key for a profile named {profile} already",
                "remove the entry in the keyring's own program, if nothing uses it any more",
            )
        if not self._paths.config:
            raise Problem("AWS_CONFIG_FILE is empty, so SDKs read no config file", "unset AWS_CONFIG_FILE")
        for file in {file.path: file for file in (holder, facts.config)}.values():
            _rehearse(file)
        _stored(profile, facts, pair, line)
        try:
            self._store.promises(lambda entry: prove(line_for(self._program, entry), self._env))
        except Problem as problem:
            raise type(problem)(f"{problem.message}; nothing was changed", problem.hint) from None
        return pair

    # The loop

    def _go(self, profile: str) -> None:
        """Finish the move that the index names; one that cannot be finished is taken back."""
        entry = self._index.get(profile)
        assert entry is not None
        try:
            if entry.moving is Move.STORE:
                return self._to_keyring(profile, entry)
            return self._to_file(profile)
        except TryLater:
            raise
        except Problem as problem:
            if entry.moving is Move.RESTORE or self._facts(profile).held is None:
                raise
            self._index.change(profile, entry.config, moving=Move.RESTORE)
            self._to_file(profile)
            raise type(problem)(f"{problem.message}; nothing was changed", problem.hint) from None

    def _to_keyring(self, profile: str, entry: Entry) -> None:
        facts = self._facts(profile)
        if facts.held is None:
            if facts.entry is None or facts.leader is None:
                raise Problem(f"profile {profile} was changed by somebody else meanwhile", Hint("status"))
            self._index.change(profile, entry.config, moving=None, line="", ids=(facts.entry.key_id,))
            return
        if facts.entry != facts.held:
            self._store.put(profile, entry.config, facts.held)
        if facts.holder is facts.credentials and facts.leader is None:
            data, process = _stored(profile, facts, facts.held, entry.line)
            self._index.change(profile, entry.config, process=process)
            _write(facts.config, data)
        else:
            self._let_go(profile, entry, facts, facts.held)
        self._to_keyring(profile, entry)

    def _let_go(self, profile: str, entry: Entry, facts: Facts, held: Credentials) -> None:
        """The file's pair goes, once the line has given it back; in the config file both change in one write."""
        if prove(entry.line, self._env) != (held.key_id, held.secret):
            raise Problem(f"the keyring does not give back the key of {profile}", Hint("status"))
        assert facts.holder is not None
        data, lines = take_out(facts.holder, profile, held)
        known: dict[str, object] = {"lines": lines}
        if facts.leader is None:
            data, known["process"] = _stored(profile, facts, held, entry.line)
        self._index.change(profile, entry.config, **known)
        _write(facts.holder, data)

    def _to_file(self, profile: str) -> None:
        facts = self._facts(profile)
        if facts.held is None and facts.entry is None:
            raise Problem(f"neither the files nor the keyring have a key for {profile}", Hint("status"))
        if facts.held is None and facts.entry:
            home = facts.home
            _write(home, _restored(profile, facts, facts.entry))
            facts = self._facts(profile)
            if facts.held != facts.entry or facts.holder is None or facts.held is None:
                raise TryLater(f"another program wrote {home.path} just now", Hint())
            confirm(facts.holder, [profile])
        if facts.entry and facts.held != facts.entry:
            raise _two_keys(profile, facts)
        if facts.leader:
            process = facts.process
            data = remove_process(facts.leader, profile, process)
            if not data and process and process.made_file:
                remove_private(os.path.realpath(facts.leader.path))
            else:
                _write(facts.leader, data)
        self._store.remove(profile)
        self._index.remove(profile)

    def _facts(self, profile: str) -> Facts:
        return Facts(self._paths, self._store, profile)


def _rehearse(file: ProfileFile) -> None:
    found = disk.snapshot(file.path)
    if reason := disk.rehearse(found) if found else None:
        message = f"{file.path} can only be written in place, since {reason}; moving a key makes it longer or shorter"
        raise Problem(message, only_one_name(file.path))


def _stored(profile: str, facts: Facts, pair: Credentials, line: str) -> tuple[bytes, Process]:
    """The config file as it will be, without a key and with the line."""
    assert facts.holder is not None
    without, config = take_out(facts.holder, profile, pair)[0], facts.config
    if facts.holder is config:
        config = ProfileFile(without, config.path, config.kind)
    data, process = add_process(config, profile, line)
    return data, process._replace(made_file=not os.path.lexists(config.path))


def _restored(profile: str, facts: Facts, pair: Credentials) -> bytes:
    """The file that will hold the pair, with it; the config file loses the line at the same time."""
    home, known = facts.home, facts.known
    lines = known.lines.lines if known and known.lines and known.lines.kind == home.kind.value else ()
    if facts.leader and facts.leader.kind is home.kind:
        home = ProfileFile(remove_process(facts.leader, profile, facts.process), home.path, home.kind)
    return insert_pair(home, profile, pair, lines)


def _write(file: ProfileFile, data: bytes) -> None:
    """Replace the file, if it is still as it was read. Raises TryLater if not: the next look begins anew."""
    found = disk.snapshot(file.path)
    if found is None and not file.data:
        return make_file(file.path, data)
    outcome = disk.replace(found, data) if found and found.data == file.data else Written.CHANGED
    if outcome is Written.CHANGED:
        raise TryLater(f"another program writes {file.path}", "close it, then run rotate-my-key again")
    if outcome is Written.IMPOSSIBLE:
        raise Problem(f"{file.path} cannot be replaced", f"ls -la {quoted(file.path)}")
    return None


def _two_keys(profile: str, facts: Facts) -> Problem:
    assert facts.held is not None
    assert facts.entry is not None
    both = f"{mask(facts.held.key_id)} in its file and {mask(facts.entry.key_id)} in the keyring"
    return Problem(
        f"profile {profile} has key {both}", Hint("status", "-p", profile, lead="remove the one that is not used")
    )


# The line that is left behind


def program_words(called_as: str, python: str, path: str | None) -> list[str]:
    """How this program is called from anywhere: by the path it was called by, links not followed, for what a link
    leads to may change with an upgrade; or as a module of this Python."""
    if os.path.basename(called_as).removesuffix(".exe") == PROGRAM:
        found = shutil.which(called_as, path=path)
        if found:
            return [os.path.abspath(found)]
    return [os.path.abspath(python), "-m", __package__.partition(".")[0]]


def prove(line: str, env: Mapping[str, str]) -> tuple[str, str]:
    """Run a credential_process line as botocore's ProcessProvider does, and give the id and the secret it prints."""
    import subprocess

    hint = "call rotate-my-key by a path that stays, then try again"
    try:
        done = subprocess.run(
            words_of(line),
            env=dict(env),
            cwd=os.path.abspath(os.sep),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
        if done.returncode == 0 and answer["Version"] == 1:
            return str(answer["AccessKeyId"]), str(answer["SecretAccessKey"])
    except subprocess.TimeoutExpired:
        raise TryLater("the credential_process gives no answer", Hint("status")) from None
    except OSError as error:
        raise Problem(f"the credential_process cannot be run: {error.strerror}", hint) from None
    except (ValueError, KeyError, TypeError):
        raise Problem("the credential_process prints no key", hint) from None
    said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no word why"])[-1]
    kind = TryLater if done.returncode == _LATER else Problem
    raise kind(f"the credential_process does not work: {said}", hint)
