"""What there is of one profile: a pair in a file, a pair in the keyring, a line that leads from the one to the other.

Read afresh each time; nothing is written.

Moves a profile's pair between its file and the keyring, so that a kill at any instant leaves a working profile.

A loop over facts: what the files hold, what the keyring holds, whether the line leads there. The index notes only that
a move was agreed to, and where lines stood. SDKs take a key in the credentials file before a credential_process, and
one in the config file after it: hence the orders below, and hence one write for both in the config file. At every
instant the secret is durable in one of the two, and read back, before it leaves the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..core.errors import Problem, TryLater, mask
from ..core.model import Credentials, PlaceKind
from ..files import regular as disk
from ..files.private import make_private_dir, remove_private, write_private
from ..files.regular import Outcome
from ..keyring.entries import OPTION, entry_of, line_for, words_of
from ..keyring.store import Entry, KeyringStore, Move
from . import places
from .edit import Process, add_process, put_back, remove_process, take_out
from .file import ProfileFile, ProfilePaths


@dataclass(frozen=True, slots=True)
class Facts:
    """Both files; `holder` is the one that holds a pair, `leader` the one whose line leads to the keyring entry."""

    credentials: ProfileFile
    config: ProfileFile
    holder: ProfileFile | None
    held: Credentials | None = field(repr=False)
    leader: ProfileFile | None
    entry: Credentials | None = field(repr=False)


def look(files: ProfilePaths, store: KeyringStore, profile: str) -> Facts:
    """The facts now. Raises TryLater if the keyring is locked, Problem for a file that cannot be read."""
    credentials = _read(files.credentials, PlaceKind.CREDENTIALS)
    config = _read(files.config, PlaceKind.CONFIG)
    both = (credentials, config)
    holder = next((file for file in both if file.pair(profile)), None)
    leader = next((file for file in both if _leads(file, profile)), None)
    held = holder.pair(profile) if holder else None
    return Facts(credentials, config, holder, held, leader, store.pair(profile))


def entry_in(settings: Mapping[str, str]) -> str | None:
    """The keyring entry that these settings lead to, on this system."""
    return entry_of(settings)


def _read(path: str, kind: PlaceKind) -> ProfileFile:
    """The file; an empty one if there is none."""
    found = disk.snapshot(path) if path else None
    return ProfileFile(found.data if found else b"", path, kind)


def _leads(file: ProfileFile, profile: str) -> bool:
    section = file.effective.get(profile)
    value = file.ini.get(section, OPTION) if section is not None else None
    return value is not None and entry_in({OPTION: value}) == profile


Proof = Callable[[str], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of a move that an earlier run began."""

    profile: str
    move: Move
    problem: Problem | None = None


class Moving:
    """The moves. All verbs are for who holds the lock.

    `prove` runs a credential_process line as an SDK does and gives the id and the secret it prints. Raises Problem.
    """

    def __init__(self, files: ProfilePaths, store: KeyringStore, prove: Proof) -> None:
        self._files = files
        self._store = store
        self._index = store.index
        self._prove = prove

    def store(self, profile: str, line: str) -> Credentials:
        """Move the pair of a profile into the keyring; `line` is the credential_process to be left. Gives the pair.

        Raises Problem if nothing was changed, TryLater if the next run goes on.
        """
        facts = self._facts(profile)
        pair = self._storable(profile, facts, line)
        self._index.put(profile, Entry(self._files.config, (pair.key_id,), moving=Move.STORE, line=line))
        self._go(profile)
        return pair

    def restore(self, profile: str) -> Credentials:
        """Move the pair of a profile back into its file. Gives the pair."""
        facts = self._facts(profile)
        pair = facts.entry
        if pair is None:
            raise Problem(f"the keyring holds no pair for profile {profile}", "rotate-my-key status")
        others = self._others(profile)
        if others:
            raise Problem(f"profile {others[0]} leads to the same keyring entry", f"remove {OPTION} from it first")
        if facts.held and facts.held != pair:
            raise _two_keys(profile, facts)
        for file in {file.path: file for file in (self._home(profile, facts), facts.leader) if file}.values():
            self._rehearse(file)
        self._restored(profile, facts, pair)
        self._index.change(profile, self._files.config, moving=Move.RESTORE)
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
            raise Problem(f"no file here holds a pair for profile {profile}", "rotate-my-key status")
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
        if not self._files.config:
            raise Problem("AWS_CONFIG_FILE is empty, so SDKs read no config file", "unset AWS_CONFIG_FILE")
        for file in {file.path: file for file in (holder, facts.config)}.values():
            self._rehearse(file)
        self._stored(profile, facts, pair, line)
        try:
            self._store.promises(lambda entry: self._prove(line_for(words_of(line)[:-3], entry)))
        except Problem as problem:
            raise type(problem)(f"{problem.message}; nothing was changed", problem.hint) from None
        return pair

    def _rehearse(self, file: ProfileFile) -> None:
        found = disk.snapshot(file.path)
        reason = disk.rehearse(found) if found else None
        if reason:
            message = (
                f"{file.path} can only be written in place, since {reason}; moving a pair makes it longer or shorter"
            )
            raise Problem(message, f"ls -la {file.path}; a file with one name, in a folder of yours, can be replaced")

    def _others(self, profile: str) -> list[str]:
        """Other profiles that lead to the entry."""
        from .file import read_profiles

        merged = read_profiles(self._files).merged
        return [name for name, settings in merged.items() if name != profile and entry_in(settings) == profile]

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
                raise Problem(f"profile {profile} was changed by somebody else meanwhile", "rotate-my-key status")
            self._index.change(profile, entry.config, moving=None, line="", ids=(facts.entry.key_id,))
            return
        if facts.entry != facts.held:
            self._store.put(profile, entry.config, facts.held)
        if facts.holder is facts.credentials and facts.leader is None:
            data, process = self._stored(profile, facts, facts.held, entry.line)
            self._index.change(profile, entry.config, process=process)
            self._write(facts.config, data)
        else:
            self._let_go(profile, entry, facts, facts.held)
        self._to_keyring(profile, entry)

    def _let_go(self, profile: str, entry: Entry, facts: Facts, held: Credentials) -> None:
        """The file's pair goes, once the line has given it back; in the config file both change in one write."""
        if self._prove(entry.line) != (held.key_id, held.secret):
            raise Problem(f"the keyring does not give back the pair of {profile}", "rotate-my-key status")
        assert facts.holder is not None
        data, lines = take_out(facts.holder, profile, held)
        known: dict[str, object] = {"lines": lines}
        if facts.leader is None:
            data, known["process"] = self._stored(profile, facts, held, entry.line)
        self._index.change(profile, entry.config, **known)
        self._write(facts.holder, data)

    def _stored(self, profile: str, facts: Facts, pair: Credentials, line: str) -> tuple[bytes, Process]:
        """The config file as it will be, without a key and with the line."""
        assert facts.holder is not None
        without = take_out(facts.holder, profile, pair)[0]
        config = facts.config
        if facts.holder is config:
            config = ProfileFile(without, config.path, config.kind)
        data, gap = add_process(config, profile, line)
        return data, Process(gap, not os.path.lexists(config.path))

    def _to_file(self, profile: str) -> None:
        facts = self._facts(profile)
        if facts.held is None and facts.entry is None:
            raise Problem(f"neither the files nor the keyring hold a pair for {profile}", "rotate-my-key status")
        if facts.held is None and facts.entry:
            home = self._home(profile, facts)
            self._write(home, self._restored(profile, facts, facts.entry))
            facts = self._facts(profile)
            if facts.held != facts.entry or facts.holder is None or facts.held is None:
                raise TryLater(f"another program wrote {home.path} just now", "rotate-my-key")
            places.check(home.path, len(facts.holder.data), home.kind, [profile], facts.held)
        if facts.entry and facts.held != facts.entry:
            raise _two_keys(profile, facts)
        if facts.leader:
            self._lead_off(profile, facts)
        self._store.remove(profile)
        self._index.remove(profile)

    def _lead_off(self, profile: str, facts: Facts) -> None:
        assert facts.leader is not None
        process = self._process(profile)
        data = remove_process(facts.leader, profile, process and process.gap)
        if not data and process and process.made_file:
            remove_private(disk.real_path(facts.leader.path))
        else:
            self._write(facts.leader, data)

    def _restored(self, profile: str, facts: Facts, pair: Credentials) -> bytes:
        """The file that will hold the pair, with it; the config file loses the line at the same time."""
        home = self._home(profile, facts)
        entry = self._index.get(profile)
        lines = entry.lines.lines if entry and entry.lines and entry.lines.kind == home.kind.value else ()
        if facts.leader and facts.leader.kind is home.kind:
            process = self._process(profile)
            data = remove_process(facts.leader, profile, process and process.gap)
            home = ProfileFile(data, home.path, home.kind)
        return put_back(home, profile, lines, pair)

    def _home(self, profile: str, facts: Facts) -> ProfileFile:
        """The file the pair came from; the credentials file if that is not known."""
        if facts.holder:
            return facts.holder
        entry = self._index.get(profile)
        from_config = entry and entry.lines and entry.lines.kind == PlaceKind.CONFIG.value
        return facts.config if from_config else facts.credentials

    def _process(self, profile: str) -> Process | None:
        entry = self._index.get(profile)
        return entry.process if entry else None

    # Files

    def _facts(self, profile: str) -> Facts:
        return look(self._files, self._store, profile)

    def _write(self, file: ProfileFile, data: bytes) -> None:
        """Replace the file, if it is still as it was read. Raises TryLater if not: the next look begins anew."""
        found = disk.snapshot(file.path)
        if found is None and not file.data:
            _make_folder_of(file.path)
            return write_private(file.path, data)
        outcome = disk.replace(found, data) if found and found.data == file.data else Outcome.CHANGED
        if outcome is Outcome.CHANGED:
            raise TryLater(f"another program writes {file.path}", "close it, then run rotate-my-key again")
        if outcome is Outcome.IMPOSSIBLE:
            raise Problem(f"{file.path} cannot be replaced", f"ls -la {file.path}")
        return None


def _make_folder_of(path: str) -> None:
    """The folder of a file that is to be made, if it is wanting."""
    if not os.path.isdir(os.path.dirname(path)):
        make_private_dir(os.path.dirname(path))


def _two_keys(profile: str, facts: Facts) -> Problem:
    assert facts.held is not None
    assert facts.entry is not None
    both = f"{mask(facts.held.key_id)} in its file and {mask(facts.entry.key_id)} in the keyring"
    return Problem(
        f"profile {profile} has key {both}", f"remove the one that is not used: rotate-my-key status -p {profile}"
    )
