"""What the rotation needs of the world outside, as Protocols, and what it tells of itself, as values.

The rules: an adapter never prints, prompts or reads the environment, and raises only `Problem`s. A fake of a port
passes the same contract tests as the real thing. `cli/wiring.py` hands them in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Protocol

from ..core.errors import Problem
from ..core.model import AccessKey, Credentials, Holding, Identity, InPlace, LastUse, Look, Place
from ..core.plan import Note, Step
from ..core.policy import Hook, Past


class Account(Protocol):
    """One IAM user at AWS. Throttles, 5xx and resets are tried again behind every verb but `create`. Every verb may
    raise TryLater (offline, throttled for long, HTML from a proxy), Problem (the clock is wrong), Denied, KeyRefused.
    After the first look the user is always named (`UserName`)."""

    @property
    def endpoint(self) -> str:
        """Which IAM and STS are in use, for the note: another endpoint is another account."""

    def look(self, pairs: Sequence[Credentials], *, patient: bool = False) -> Look:
        """GetCallerIdentity, GetUser, ListAccessKeys and GetAccessKeyLastUsed at once, signed by the first pair of
        `pairs` that AWS accepts; `patient`: InvalidClientTokenId is waited out for the propagation time. Raises
        KeyRefused if AWS accepts none of them."""

    def identify(self, pair: Credentials) -> Identity:
        """GetCallerIdentity, once. Raises KeyRefused at once."""

    def sign_with(self, pairs: Sequence[Credentials]) -> None:
        """From now on sign the IAM calls with the first of these that AWS accepts (a key may be refused on one host
        seconds after another accepted it, so a refused call is tried with the next, then again, within patience)."""

    def prove(self, pair: Credentials, times: int) -> Identity:
        """Sign in (GetCallerIdentity) `times` times in a row, each on a connection of its own, `proof_interval` apart.
        Polls at once and then every 0.5 to 1 s until the first yes; a no starts the row again. Raises TryLater past
        `propagation_timeout`, Problem if two answers differ."""

    def keys(self) -> tuple[AccessKey, ...]:
        """ListAccessKeys of the user, all pages. It lags."""

    def last_use(self, key_id: str) -> LastUse | None:
        """GetAccessKeyLastUsed; None if unknown: denied or throttled."""

    def create(self, again: Callable[[], None] = ...) -> tuple[Credentials, AccessKey]:
        """Send CreateAccessKey once, on a connection that was answered just now or is fresh, with a 15 s read timeout.
        It is sent again only after a certain no (throttled, not connected), and `again` is called before that. Raises
        Unanswered if it may have been carried out; NoRoom, Denied, KeyRefused, TryLater if it was certainly not."""

    def set_active(self, key_id: str, active: bool) -> None:
        """UpdateAccessKey. Raises Gone for NoSuchEntity."""

    def delete(self, key_id: str) -> None:
        """DeleteAccessKey. Raises Gone for NoSuchEntity."""

    def now(self) -> datetime:
        """AWS's clock: ours, corrected by the last Date header seen."""


class Places(Protocol):
    """The places of this computer, whatever kind they are."""

    def search(self, key_ids: Collection[str], known: Collection[Place] = ()) -> tuple[Holding, ...]:
        """Every place that holds one of these ids now, and each of `known` whatever it holds (None if unreadable).
        Reads all files afresh. Raises Problem only for a file that is there and cannot be read at all and is not in
        `known`."""

    def pairs(self) -> tuple[Holding, ...]:
        """Every place that holds a pair of a user's key now. What cannot be read is left out; raises nothing."""

    def rehearse(self, places: Collection[Place], old: Credentials) -> list[str]:
        """Do everything a write would, beside every file to be changed, without secrets. Gives warnings (SDKs differ
        here; this file can only be written in place). Raises Problem with the remedy if a place cannot be written, or
        holds the pair in a way that cannot be edited byte-exactly."""

    def write(
        self,
        places: Collection[Place],
        old: Credentials,
        new: Credentials,
        note: Callable[[Collection[InPlace]], None],
    ) -> None:
        """Put `new` where `old` is, in all of `places`, one replace a file, and read back each as an SDK reads it.
        `note` is called (and is durable) before a write that cannot be atomic. A place that holds neither pair is left
        alone. Raises Problem if a place cannot be written; the others may have been."""

    def restore(self, places: Collection[Place], pair: Credentials) -> None:
        """Put the pair into places that hold none, or one without a secret, or one that this tool has deleted: the file
        and the section are made again where they are gone. A place that holds anything else is left alone. Raises
        Problem if a place cannot be written; the others may have been."""

    def mend(self, torn: Collection[InPlace], old: Credentials, new: Credentials) -> None:
        """Write `new` over what a killed in-place write left; what is not a mix of `old` and `new` is left alone."""

    def is_torn(self, write: InPlace, old: Credentials, new: Credentials) -> bool:
        """Whether the bytes there are neither pair but a mix of both."""


class Staging(Protocol):
    """Where the pairs of one rotation rest outside their places, each one 0600 record or keyring entry. Every verb may
    raise TryLater: the keyring is locked."""

    def reserve(self, name: str, places: Collection[Place] = ()) -> None:
        """Make room for the record (fsynced, without secrets), so that a full disk is met before anything changes.
        `places` are those of the rotation: the pairs of one that touches the keyring rest there, never on the disk."""

    def put(self, name: str, role: str, pair: Credentials, record: bytes = b"") -> None:
        """Store a pair durably (fsynced) under the rotation `name`; `role` is "staged" or "kept"."""

    def get(self, name: str) -> dict[str, Credentials]:
        """The pairs of that rotation that can be read, by role; a torn record is no record."""

    def get_record(self, name: str) -> bytes | None:
        """What was given to `put` beside the pair: the note as it was then."""

    def names(self) -> tuple[str, ...]:
        """The rotations that have a record here."""

    def drop(self, name: str) -> None:
        """Remove both records of the rotation."""

    def where(self, name: str) -> str:
        """Where these records are, for a person: a folder, or the keyring."""


class Notes(Protocol):
    """The notes of the rotations that are under way, one file a key."""

    def names(self) -> tuple[str, ...]:
        """The names of all notes, readable or not, oldest first."""

    def load(self, name: str) -> Note | None:
        """The note, or None if there is none. Raises Unreadable if it is there and makes no sense, Problem if a newer
        version of this tool wrote it."""

    def create(self, note: Note) -> None:
        """Write a new note, fsynced. Raises TryLater if there is one of that name already."""

    def save(self, note: Note) -> None:
        """Replace the note, fsynced."""

    def remove(self, name: str) -> None:
        """Remove the note; a note that is not there is removed already."""

    def set_aside(self, name: str) -> str:
        """Move an unreadable note out of the way; gives the path where it now is."""

    def encode(self, note: Note) -> bytes:
        """The note as the staged record carries it along."""

    def decode(self, record: bytes) -> Note:
        """The note from a staged record. Raises Unreadable."""


class History(Protocol):
    """Past rotations on this computer."""

    def add(self, past: Past) -> None:
        """Append one line, fsynced."""

    def entries(self) -> tuple[Past, ...]:
        """All lines that can be read, oldest first."""


class Copies(Protocol):
    """Other files on this computer that hold a pair and are no profile."""

    @property
    def wanted(self) -> bool:
        """Whether the person, or the setting, agreed that a rotation that begins now changes them."""

    def update(self, old: Credentials, new: Credentials) -> tuple[str, ...]:
        """Put `new` in place of `old` wherever that may be, each file at once or not at all, and tell what came of it.
        Gives the paths that are owed: they should have `new`, and could not be changed, or not be read. What takes no
        secret by its nature (a history, what git tracks) is told and not owed. To do it again does no harm."""

    def took(self, new: Credentials) -> tuple[str, ...]:
        """The paths that took `new` in this run."""


class OwnCommands(Protocol):
    """The person's own commands that are told of a new key ([after_rotate]); see `after.py`."""

    def check(self) -> None:
        """Raises Problem if they cannot be run at all."""

    def of(self, places: Collection[Place]) -> tuple[Hook, ...]:
        """Those that are told of a new key in these places, in order; none if they cannot be run."""

    def changing(self, note: Note) -> None:
        """Remember, durably, that the places are about to take the wanted key. Raises Problem if something that uses
        the unwanted key would not be told."""

    def untold(self, note: Note) -> tuple[str, ...]:
        """The names of those that are still to be told of the wanted key before the unwanted one goes."""

    def tell(self, note: Note) -> None:
        """Run those, in order. Raises TryLater while another run runs them."""

    def run(self) -> list[CommandResult]:
        """At the end of a run: all that is still to be run. Gives how each ended that this run ran."""


class CommandResult(NamedTuple):
    """How one command ended; `exit_code` is None if it did not start, or its time was over."""

    name: str
    exit_code: int | None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Did:
    """What a step did, for the screen: the key it was about, the places, how long it took."""

    step: Step
    key_id: str = ""
    places: tuple[Place, ...] = ()
    seconds: float = 0.0


class Progress(Protocol):
    """Who tells the person what goes on."""

    def doing(self, step: Step, note: Note | None) -> None:
        """A step begins."""

    def did(self, did: Did) -> None:
        """A step went well."""

    def warn(self, text: str) -> None:
        """Something that the person should know and that stops nothing."""


class Ending(Enum):
    """How a run ended; the value is the word in `--json`."""

    ROTATED = "rotated"
    MERGED = "merged"
    UNDONE = "undone"
    TAKEN_BACK = "taken back"
    WAITING = "waiting"
    DROPPED = "dropped"
    REPLACED = "replaced"
    FRESH = "fresh"
    EXEMPT = "exempt"
    DECLINED = "declined"
    DUE = "due"  # in a dry run: it would be rotated


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. `new` and `created` are of the key that the places hold now. A kept one works until
    `works_until`, if that is said, and is kept, switched off, `until` then. `ended`: when a rotation was finished whose
    note came back, with a backup, and was now removed."""

    ending: Ending
    old: str
    new: str | None = None
    account: str = ""
    arn: str = ""
    places: tuple[Place, ...] = ()
    until: datetime | None = None
    works_until: datetime | None = None
    ended: datetime | None = None
    created: datetime | None = None
    steps: tuple[Step, ...] = ()
