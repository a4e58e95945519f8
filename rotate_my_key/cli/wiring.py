"""The one place that makes the adapters and hands them over."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from .. import __version__
from ..core.errors import Problem
from ..core.hints import Hint
from ..core.model import Place, PlaceKind
from ..core.plan import Note
from ..files.platform import Lock, machine_ids
from ..files.write import make_private_dir, sweep, sweep_folder
from ..keyring.entries import KeyringEntries
from ..keyring.store import Index, KeyringStore
from ..profiles.file import KEY_ID, ProfilePaths, Profiles
from ..profiles.kinds import other_ways
from ..profiles.which import Active, find_active, named_profile, profile_in_force
from ..rotation.engine import Waiter
from ..rotation.facts import NO_COMMANDS, Host, LocalState
from ..rotation.run import Result
from ..rotation.unfinished import is_missing
from ..state.history import FileHistory, HandedKeys
from ..state.notes import FileNotes
from .app import Stop
from .copies import OtherCopies
from .credentials import unasked

if TYPE_CHECKING:
    from ..aws.client import Aws
    from ..aws.iam import IamAccount
    from ..aws.signin import AuthProfile, MfaSessions, Serial, SigningStrategy
    from ..profiles.move import Moving
    from ..rotation.ports import Notes, OwnCommands, Places
    from ..settings import Settings
    from .app import App
    from .talk import Person

_LOCK_TIMEOUT = 180.0  # seconds
_ABANDONED = 60.0  # seconds after which a half-written file is nobody's any more


class Wiring:
    """The adapters of one run, each made once and when first needed."""

    def __init__(self, app: App, *, asks: bool = True) -> None:
        """`asks`: whether a person may be asked for an MFA code."""
        self._app, self._asks = app, asks
        self._slow = False  # it was said that AWS throttles
        self._auths: dict[str, AuthProfile] = {}
        self.stop = Stop(app.interject)
        self.waiter = Waiter(self.stop.pause, self.stop.check)
        self.files = ProfilePaths(app.paths.credentials, app.paths.config, app.paths.home)
        self._rotations = os.path.join(app.paths.state_dir, "rotations")
        self.history = FileHistory(os.path.join(app.paths.state_dir, "history.jsonl"))
        self.handed = HandedKeys(os.path.join(app.paths.state_dir, "handed"))  # that `adopt` took, still to be replaced

    @classmethod
    def of(cls, app: App) -> Wiring:
        """The one of this run: with it go the person who is asked, the MFA sessions and the connections."""
        app.wiring = wiring = app.wiring or cls(app)
        assert isinstance(wiring, cls)
        return wiring

    # This computer

    @cached_property
    def here(self) -> LocalState:
        """All that a rotation knows besides AWS."""
        from ..keyring.store import LocalStaging
        from ..profiles.places import LocalPlaces

        places, notes = LocalPlaces(self.files, self.keyring), FileNotes(self._rotations)
        staging, commands = LocalStaging(self._rotations, self.keyring), self._commands(places, notes)
        return LocalState(places, staging, notes, self.history, self.copies, commands, self.host)

    def _commands(self, places: Places, notes: Notes) -> OwnCommands:
        """The person's own; nothing is loaded where there are none, and none that an earlier run owes."""
        from ..settings import after_rotate

        paths = self._app.paths
        with suppress(Problem):
            if not os.path.isdir(os.path.join(paths.state_dir, "after")) and not after_rotate(paths.config_file):
                return NO_COMMANDS
        from .after import after

        return after(self._app, places, notes)

    @cached_property
    def copies(self) -> OtherCopies:
        """Other files that hold a pair."""
        return OtherCopies(self._app)

    @cached_property
    def keyring(self) -> KeyringStore:
        """The pairs in the keyring, which is opened when first needed."""
        app = self._app
        index = Index(os.path.join(app.paths.state_dir, "keyring.json"), lambda: app.settings.keyring_backend)
        tell = app.say if app.terminal else None
        return KeyringStore(lambda: KeyringEntries(lambda: index.backend, app.env, tell, unasked), index)

    def forget_handed(self) -> None:
        """Take the marks off those that no place here holds any more, nor will when a rotation is finished."""
        ids = self.handed.ids()
        held = {h.pair.key_id for h in self.here.places.search(ids) if h.pair} if ids else set()
        # Those whose pair is stored for a rotation that is not finished
        staging = self.here.staging
        stored = (pair.key_id for name in staging.names() for pair in staging.get(name).values()) if ids else ()
        for key_id in set(ids) - held - (set(ids) & set(stored)):
            self.handed.clear(key_id)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """The lock of this user of the computer; waits for up to three minutes. Sweeps what killed runs left."""
        state = self._app.paths.state_dir
        make_private_dir(state)
        waiting: Callable[[], None] = lambda: self._app.say("another run is at work; waiting for it")  # noqa: E731
        with Lock(os.path.join(state, "lock"), _LOCK_TIMEOUT, waiting, self.stop.pause):
            # Once a run and before it writes anything: with --all several keys are written side by side
            paths = self._app.paths
            sweep_folder(self._rotations)
            for name in ("", "reminder", "after", "handed"):
                sweep_folder(os.path.join(state, name), age=_ABANDONED)  # what stands here is written without the lock
            for path in filter(None, (paths.credentials, paths.config)):
                sweep(os.path.realpath(path))
            if os.path.lexists(self.keyring.index.path):
                with suppress(Problem):  # a locked keyring is no matter of other profiles
                    self.keyring.mend()
            yield

    def active(self, profile: str | None, *, mixed: bool = False) -> Active:
        """Which key an SDK uses for that profile."""
        try:
            return find_active(self._app.env, profile, self.files, mixed=mixed, keyring=self.keyring.pair)
        except Problem as problem:
            problem.hint = self.put_back(profile) or problem.hint
            raise

    def put_back(self, profile: str | None) -> str:
        """The command that puts a stored key back into that profile, if it holds none; "" if there is none."""
        with suppress(Problem):
            name, _ = profile_in_force(self._app.env, profile)
            Profiles(self.files)  # a file that cannot be read is mended first
            if is_missing(name, self.here):
                return Hint("restore", "-p", name)
            if self.cut_off(name):
                return Hint("keyring", "restore", "-p", name)
        return ""

    def cut_off(self, profile: str | None) -> Place | None:
        """The keyring entry of a profile, if its section has lost the line that leads there and holds nothing else.
        The keyring itself is not asked."""
        name, _ = profile_in_force(self._app.env, profile)
        section, index = Profiles(self.files).merged.get(name, {}), self.keyring.index
        if section.get(KEY_ID) or other_ways(section) or not os.path.lexists(index.path):
            return None
        known = index.get(name)
        return Place(known.config, name, PlaceKind.KEYRING) if known else None

    def warn(self, text: str) -> None:
        """Something that the person should know and that stops nothing."""
        self._app.say(f"{self._app.style('note:', fg='yellow')} {text}")

    def finish_moves(self) -> list[Result]:
        """Finish, or take back, what earlier runs began to move between file and keyring; what cannot be finished is a
        result and no more."""
        if not os.path.lexists(self.keyring.index.path):
            return []
        try:
            if not self.keyring.index.moving():
                return []
        except Problem as problem:  # an index that makes no sense stops no key in a file
            return [Result((), "", problem=problem)]
        with self.lock():
            done = self.moving().finish()
        for moved in done:
            if moved.problem is None:
                self._app.say(str(moved))
        return [Result((moved.profile,), "", problem=moved.problem) for moved in done if moved.problem]

    def moving(self) -> Moving:
        """The moves of pairs between file and keyring."""
        from ..profiles.move import Moving, program_words

        words = program_words(sys.argv[0], sys.executable, self._app.env.get("PATH"))
        return Moving(self.files, self.keyring, words, self._app.env)

    # AWS

    @cached_property
    def aws(self) -> Aws:
        """All of AWS: one session under every client."""
        from ..aws.client import Aws

        paths = self._app.paths
        return Aws(
            self._app.env,
            version=__version__,
            clock=lambda: datetime.now(UTC),
            sleep=self.stop.pause,
            monotonic=time.monotonic,
            config_file=paths.config,
            credentials_file=paths.credentials,
            busy=self._throttled,
            log=self._app.log if self._app.logs else None,
        )

    def _throttled(self) -> None:
        if not self._slow:
            self._slow = True
            self.warn("AWS is throttling requests, so this takes longer (Ctrl-C is safe)")

    def account(self, profile: str | None, partition: str = "") -> IamAccount:
        """The user whose key a profile holds, at the region and endpoint that the profile names; where it names none,
        in this partition."""
        from ..aws.iam import IamAccount

        settings = self._app.settings
        return IamAccount(
            self.aws,
            profile,
            propagation_timeout=settings.propagation_timeout,
            proof_interval=settings.proof_interval,
            signing=self._signing(profile),
            partition=partition,
        )

    def _signing(self, profile: str | None) -> SigningStrategy:
        from ..aws.signin import AuthProfile, SigningStrategy

        settings, name = self._app.settings, self._app.settings.auth_profile
        if name and name not in self._auths:
            self._auths[name] = AuthProfile(self.aws, name, lambda whose, serial: self.person.code(whose, serial, ""))
        return SigningStrategy(
            self.sessions,
            lambda: mfa_serials(self.files, profile or named_profile(self._app.env)[0], settings),
            self._auths[name] if name else None,
        )

    @cached_property
    def person(self) -> Person:
        """Who is asked for MFA codes; the code of the option is good once."""
        from .talk import Person

        return Person(self._app, self.stop.check, asks=self._asks)

    @cached_property
    def sessions(self) -> MfaSessions:
        """The MFA sessions of this run, for whatever keys and notes."""
        from ..aws.signin import MfaSessions

        return MfaSessions(self.person)

    def account_for(self, note: Note) -> IamAccount:
        """The user that a note names, through the first of its profiles that is still there, or none."""
        for profile in (place.profile for place in note.places):
            with suppress(Problem):
                return self.account(profile, note.identity.partition)
        return self.account("", note.identity.partition)

    @property
    def host(self) -> Host:
        """This computer."""
        name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
        return Host(name, machine_ids())


def mfa_serials(files: ProfilePaths, profile: str, settings: Settings) -> list[Serial]:
    """The devices that are set for a profile's key: the profile's own `mfa_serial`, that of another profile with the
    same key or of a role that is assumed with it, the setting."""
    from ..aws.signin import Serial

    merged = Profiles(files).merged

    def key_of(name: str) -> str | None:
        section = merged.get(name, {})
        return section.get(KEY_ID) or merged.get(section.get("source_profile", ""), {}).get(KEY_ID)

    key_id = key_of(profile)
    names = [profile, *(name for name in merged if key_id and name != profile and key_of(name) == key_id)]
    found = [(merged.get(name, {}).get("mfa_serial"), f"mfa_serial of profile {name}") for name in names]
    found.append((settings.mfa_serial, f"mfa_serial, {settings.origin['mfa_serial'].source}"))
    return [Serial(value, where) for value, where in found if value]
