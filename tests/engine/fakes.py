"""The rotation's ports in memory, no more atomic than the real things.

Before and after whatever a port does there is a point (`Points`), where the process may be killed, AWS or the disk may
fail, and where the promises are looked after. Time passes only by waiting. `Aws` is the truth about one IAM user, as
AWS holds it; `Home` is one computer's disk; the ports lead to both, as a process of its own would.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rotate_my_key.core.errors import Denied, Gone, KeyRefused, NoRoom, Problem, TryLater, Unanswered, Unreadable
from rotate_my_key.core.model import AccessKey, Credentials, Holding, Identity, InPlace, LastUse, Look, Place
from rotate_my_key.core.plan import Note, Step
from rotate_my_key.core.policy import Past
from rotate_my_key.rotation.ports import Did

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
ALICE = Identity("123456789012", "arn:aws:iam::123456789012:user/alice")
BOB = Identity("123456789012", "arn:aws:iam::123456789012:user/bob")
PROPAGATION = 120.0  # seconds for which a pair that AWS does not know yet is waited for


class Killed(BaseException):
    """`kill -9`: no code of the program runs any more."""


class Points:
    """Counts the points that a process passes. `kill_at` is the number of the one where it dies; `faults` are the words
    that a port finds at its point ("lost", "throttled", ...); `watch` is called at each."""

    def __init__(self, watch: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self.names: list[str] = []
        self.met: list[str] = []
        self.kill_at: int | None = None
        self.faults: Mapping[int, str] = {}
        self.meet: Mapping[int, Callable[[], None]] = {}
        self.watch = watch

    def start(
        self,
        kill_at: int | None = None,
        faults: Mapping[int, str] | None = None,
        meet: Mapping[int, Callable[[], None]] | None = None,
    ) -> None:
        """A new process: count anew."""
        self.count, self.names, self.met = 0, [], []
        self.kill_at, self.faults, self.meet = kill_at, faults or {}, meet or {}

    def reach(self, name: str) -> str:
        """One point; gives the word of the fault that is due here, if any."""
        self.watch()
        number, self.count = self.count, self.count + 1
        self.names.append(name)
        if number == self.kill_at:
            raise Killed(name)
        if number in self.meet:
            self.meet[number]()
        word = self.faults.get(number, "")
        self.met += [word] if word else []
        return word


@dataclass
class Key:
    """One access key and what became of it: `states` are (seconds, status), None once it is deleted. `maker` is "us",
    "alice" for what she has put into a place here, or "somebody else"; `owner` is the user whose key it is. `flaps` are
    the answers (y, n) to the next sign-ins; then it is settled."""

    pair: Credentials
    created: datetime
    maker: str
    states: list[tuple[float, str | None]]
    use: LastUse | None = None
    flaps: str = ""
    owner: Identity = ALICE

    def status(self, at: float) -> str | None:
        """The status at that time; None before it was made and after it was deleted."""
        return next((status for since, status in reversed(self.states) if since <= at), None)


class Aws:
    """What is true of alice's keys, and of bob's. `list_lag` and `sign_in_lag` are seconds: what lists show, and whom
    STS knows, is as old as that. A new key flaps so: `Key.flaps`."""

    def __init__(self, list_lag: float = 0.0, sign_in_lag: float = 0.0, flaps: str = "") -> None:
        self.list_lag, self.sign_in_lag, self.flaps = list_lag, sign_in_lag, flaps
        self.seconds = 10_000.0
        self.keys: dict[str, Key] = {}
        self.deleted_by_us: list[str] = []
        self.denies: set[str] = set()  # actions that no policy allows
        self.answered: list[datetime] = []  # when a CreateAccessKey of ours went out that was answered, yes or no
        self.proved: dict[str, float] = {}  # when a process last signed in with each key, and AWS said yes

    def now(self) -> datetime:
        """AWS's clock."""
        return START + timedelta(seconds=self.seconds)

    def pause(self, seconds: float) -> None:
        """Time passes."""
        self.seconds += seconds

    def add(
        self, maker: str, age: timedelta = timedelta(0), status: str = "Active", owner: Identity = ALICE
    ) -> Credentials:
        """A key that is there; one without age is known everywhere only after the lags."""
        number = len(self.keys)
        pair = Credentials(f"AKIA{number:012d}KEY{chr(65 + number % 26)}", f"secret{number:034d}")
        since = self.seconds - age.total_seconds()
        made, flaps = (self.now() - age).replace(microsecond=0), "" if age else self.flaps
        self.keys[pair.key_id] = Key(pair, made, maker, [(since, status)], flaps=flaps, owner=owner)
        return pair

    def change(self, key_id: str, status: str | None) -> None:
        """Switch on or off, or delete (None)."""
        self.keys[key_id].states.append((self.seconds, status))

    def there(self, owner: Identity = ALICE) -> dict[str, str]:
        """The user's keys that are there in truth, and their status."""
        mine = {key_id: key for key_id, key in self.keys.items() if key.owner == owner}
        return {key_id: status for key_id, key in mine.items() if (status := key.status(self.seconds))}

    def listed(self, owner: Identity = ALICE) -> tuple[AccessKey, ...]:
        """What ListAccessKeys shows at the moment."""
        at, mine = self.seconds - self.list_lag, [key for key in self.keys.values() if key.owner == owner]
        return tuple(AccessKey(k.pair.key_id, status, k.created) for k in mine if (status := k.status(at)))

    def accepts(self, pair: Credentials) -> bool:
        """Whether a sign-in with this pair succeeds at the moment."""
        key = self.keys.get(pair.key_id)
        if key is None or key.pair != pair or key.status(self.seconds - self.sign_in_lag) != "Active":
            return False
        answer, key.flaps = key.flaps[:1], key.flaps[1:]
        return answer != "n"


class FakeAccount:
    """The `Account` port. Words: "later" (given up before the call was carried out) and "lost" (after it), "throttled",
    "denied"."""

    endpoint = "aws"

    def __init__(self, aws: Aws, points: Points, identity: Identity = ALICE, clock_off: float = 0.0) -> None:
        self._aws = aws
        self._points = points
        self._signers: tuple[Credentials, ...] = ()
        self._user = ALICE
        self._clock_off = clock_off  # seconds by which our own clock is wrong: it counts until AWS has answered
        self.identity = identity
        self.signs_in_as = identity

    def now(self) -> datetime:
        return self._aws.now() + timedelta(seconds=self._clock_off)

    def look(self, pairs: Sequence[Credentials], *, patient: bool = False) -> Look:
        self._fail(self._points.reach("look"), "iam:ListAccessKeys")
        self._clock_off = 0.0
        signer = self._accepted(pairs, PROPAGATION if patient else 0.0)
        self._signers = (signer,)
        key = self._aws.keys[signer.key_id]
        self._user = key.owner
        who = self._known_as(key, self.identity)
        return Look(signer, who, self._aws.listed(self._user), {}, key.use or LastUse(None), self.now())

    def _known_as(self, key: Key, alice: Identity) -> Identity:
        return alice if key.owner == ALICE else key.owner

    def _accepted(self, pairs: Sequence[Credentials], patience: float) -> Credentials:
        until = self._aws.seconds + patience
        while True:
            for pair in pairs:
                if self._aws.accepts(pair):
                    return pair
            if self._aws.seconds >= until:
                raise KeyRefused("AWS does not accept the key", "rotate-my-key status")
            self._aws.pause(1.0)

    def sign_with(self, pairs: Sequence[Credentials]) -> None:
        self._signers = tuple(pairs)

    def prove(self, pair: Credentials, times: int) -> Identity:
        self._fail(self._points.reach("prove"), "sts:GetCallerIdentity")
        until = self._aws.seconds + PROPAGATION
        row = 0
        while row < times:
            if self._aws.seconds > until:
                raise TryLater("AWS does not know the key yet", "rotate-my-key")
            row = row + 1 if self._aws.accepts(pair) else 0
            self._aws.pause(1.0)
        self._clock_off = 0.0
        self._aws.proved[pair.key_id] = self._aws.seconds
        return self._known_as(self._aws.keys[pair.key_id], self.signs_in_as)

    def identify(self, pair: Credentials) -> Identity:
        self._fail(self._points.reach("identify"), "sts:GetCallerIdentity")
        self._clock_off = 0.0
        return self._known_as(self._aws.keys[self._accepted([pair], 0.0).key_id], self.signs_in_as)

    def keys(self) -> tuple[AccessKey, ...]:
        self._fail(self._points.reach("list"), "iam:ListAccessKeys")
        self._accepted(self._signers, PROPAGATION)
        return self._aws.listed(self._user)

    def last_use(self, key_id: str) -> LastUse | None:
        if self._points.reach("last use") or "iam:GetAccessKeyLastUsed" in self._aws.denies:
            return None
        return self._aws.keys[key_id].use or LastUse(None)

    def create(self, again: Callable[[], None] = lambda: None) -> tuple[Credentials, AccessKey]:
        sent = self.now()
        try:
            made = self._create(self._points.reach("create"))
        except (Denied, KeyRefused, NoRoom):
            self._aws.answered.append(sent)
            raise
        self._aws.answered.append(sent)
        return made

    def _create(self, word: str) -> tuple[Credentials, AccessKey]:
        if word == "lost before":
            self._aws.pause(15.0)
            raise Unanswered("no answer came", "rotate-my-key")
        self._fail(word, "iam:CreateAccessKey")
        self._accepted(self._signers, PROPAGATION)
        if len(self._aws.there(self._user)) >= 2:
            raise NoRoom("the user has two keys", "rotate-my-key status")
        pair = self._aws.add("us", owner=self._user)
        if self._points.reach("created") or word == "lost":
            self._aws.pause(15.0)
            raise Unanswered("no answer came", "rotate-my-key")
        return pair, AccessKey(pair.key_id, "Active", self._aws.keys[pair.key_id].created)

    def set_active(self, key_id: str, active: bool) -> None:
        self._change("update", "iam:UpdateAccessKey", key_id, "Active" if active else "Inactive")

    def delete(self, key_id: str) -> None:
        self._change("delete", "iam:DeleteAccessKey", key_id, None)
        self._aws.deleted_by_us.append(key_id)

    def _change(self, name: str, action: str, key_id: str, status: str | None) -> None:
        word = self._points.reach(name)
        self._fail(word, action)
        self._accepted(self._signers, PROPAGATION)
        key = self._aws.keys.get(key_id)
        known = key is not None and key.status(self._aws.seconds - self._aws.list_lag)
        if not known or key_id not in self._aws.there(self._user):
            raise Gone("there is no such key", "rotate-my-key status")
        self._aws.change(key_id, status)
        if self._points.reach(f"{name}d") or word == "lost":
            raise TryLater("no answer came", "rotate-my-key")

    def _fail(self, word: str, action: str) -> None:
        if word in ("later", "throttled"):
            raise TryLater("AWS is busy", "rotate-my-key")
        if action in self._aws.denies or (word == "denied" and not action.startswith("sts")):
            raise Denied(f"AWS does not allow {action}", "ask IT", action=action)


@dataclass(frozen=True)
class Mix:
    """What a killed in-place write leaves: here the new id with the old secret."""

    old: Credentials
    new: Credentials

    @property
    def read(self) -> Credentials:
        """As an SDK reads it."""
        return Credentials(self.new.key_id, self.old.secret)


@dataclass
class Home:
    """One computer's disk: it outlives the processes. `in_place` are files that cannot be replaced by rename, `away`
    those that are not there now; `unmounted` is what a disk holds that went away, and comes back with it. `seen` is
    what a process has last read of each place, `stored` the pairs that it has found stored."""

    places: dict[Place, Credentials | Mix | None] = field(default_factory=dict)
    unmounted: dict[Place, Credentials | Mix | None] = field(default_factory=dict)
    seen: dict[Place, Credentials] = field(default_factory=dict)
    stored: set[Credentials] = field(default_factory=set)
    in_place: set[str] = field(default_factory=set)
    read_only: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)  # files that are not there now, with what they hold
    records: dict[tuple[str, str], tuple[Credentials, bytes] | None] = field(default_factory=dict)
    notes: dict[str, Note | bytes] = field(default_factory=dict)
    encoded: dict[bytes, Note] = field(default_factory=dict)
    past: list[Past] = field(default_factory=list)


class FakePlaces:
    """The `Places` port. Word: "full" (the disk)."""

    def __init__(self, home: Home, points: Points) -> None:
        self._home = home
        self._points = points

    def search(self, key_ids: Collection[str], known: Collection[Place] = ()) -> tuple[Holding, ...]:
        self._points.reach("search")
        home = self._home
        held = {
            place: pair.read if isinstance(pair, Mix) else pair
            for place, pair in home.places.items()
            if place.path not in home.away
        }
        found = {place: pair for place, pair in held.items() if pair and pair.key_id in key_ids}
        read = {**{place: held.get(place) for place in known}, **found}
        unread = {p: pair for p, pair in home.seen.items() if p not in read and pair.key_id not in key_ids}
        home.seen = unread | {place: pair for place, pair in read.items() if pair}
        return tuple(Holding(place, pair, place.path in home.away) for place, pair in read.items())

    def pairs(self) -> tuple[Holding, ...]:
        home = self._home
        return tuple(
            Holding(place, pair)
            for place, pair in home.places.items()
            if isinstance(pair, Credentials) and place.path not in home.away
        )

    def rehearse(self, places: Collection[Place], old: Credentials) -> list[str]:
        self._points.reach("rehearse")
        self._refuse(places)
        return [
            f"{path} can only be written in place" for path in sorted({p.path for p in places} & self._home.in_place)
        ]

    def _refuse(self, places: Iterable[Place]) -> None:
        for place in places:
            if place.path in self._home.read_only | self._home.away:
                raise Problem(f"{place.path} cannot be written", f"chmod u+w {place.path}")

    def write(
        self, places: Collection[Place], old: Credentials, new: Credentials, note: Callable[[Collection[InPlace]], None]
    ) -> None:
        """See the port: one file after the other, each at once; one that is written in place is torn for a while."""
        for path in dict.fromkeys(place.path for place in places):
            if self._points.reach("write") == "full":
                raise Problem(f"{path}: no space left on the disk", "df -h")
            mine = [p for p in places if p.path == path and self._home.places.get(p) == old]
            self._refuse(mine)
            if path in self._home.in_place and mine:
                note([InPlace(place, 0, 1) for place in mine])
                mine = [place for place in mine if self._home.places.get(place) == old]
                for place in mine:
                    self._home.places[place] = Mix(old, new)
                    self._points.reach("torn")
                mine = [place for place in mine if isinstance(self._home.places.get(place), Mix)]
            for place in mine:
                self._home.places[place] = self._home.seen[place] = new
            self._points.reach("written")

    def restore(self, places: Collection[Place], pair: Credentials) -> None:
        """See the port. A file that is away is made anew."""
        for place in places:
            if self._points.reach("restore") == "full":
                raise Problem(f"{place.path}: no space left on the disk", "df -h")
            if place.path in self._home.away:
                self._home.away.discard(place.path)
                self._home.places |= {p: None for p in self._home.places if p.path == place.path}
            held = self._home.places.get(place)
            if held is None or (isinstance(held, Credentials) and not held.secret):
                self._home.places[place] = self._home.seen[place] = pair
            self._points.reach("restored")

    def mend(self, torn: Collection[InPlace], old: Credentials, new: Credentials) -> None:
        for write in torn:
            self._points.reach("mend")
            if self.is_torn(write, old, new):
                self._home.places[write.place] = self._home.seen[write.place] = new
                self._points.reach("mended")

    def is_torn(self, write: InPlace, old: Credentials, new: Credentials) -> bool:
        held = None if write.place.path in self._home.away else self._home.places.get(write.place)
        return isinstance(held, Mix) and {held.old, held.new} == {old, new}


class FakeStaging:
    """The `Staging` port. Word: "full" (the disk)."""

    def __init__(self, home: Home, points: Points) -> None:
        self._home = home
        self._records = home.records
        self._points = points

    def reserve(self, name: str, places: Collection[Place] = ()) -> None:
        self._met(self._points.reach("reserve"))
        self._records.setdefault((name, "staged"), None)
        self._points.reach("reserved")

    def put(self, name: str, role: str, pair: Credentials, record: bytes = b"") -> None:
        """See the port. A reserved record is written over, and may be torn; a readable one is replaced at once."""
        self._met(self._points.reach("stage"))
        if self._records.get((name, role)) is None:
            self._records[name, role] = None
            self._points.reach("staging")
        self._records[name, role] = (pair, record)
        self._home.stored.add(pair)
        self._points.reach("staged")

    def _met(self, word: str) -> None:
        if word == "full":
            raise Problem("no space left on the disk", "df -h")

    def get(self, name: str) -> dict[str, Credentials]:
        pairs = {role: record[0] for (n, role), record in self._records.items() if n == name and record}
        self._home.stored |= set(pairs.values())
        return pairs

    def get_record(self, name: str) -> bytes | None:
        for role in ("staged", "kept"):
            if record := self._records.get((name, role)):
                return record[1]
        return None

    def names(self) -> tuple[str, ...]:
        return tuple(sorted({name for name, _ in self._records}))

    def drop(self, name: str) -> None:
        for role in ("staged", "kept"):
            self._points.reach("drop")
            self._records.pop((name, role), None)
        self._points.reach("dropped")

    def where(self, name: str) -> str:
        return "the state folder"


class FakeNotes:
    """The `Notes` port; bytes in place of a note are one that makes no sense."""

    def __init__(self, home: Home, points: Points) -> None:
        self._home = home
        self._points = points

    def names(self) -> tuple[str, ...]:
        return tuple(self._home.notes)

    def load(self, name: str) -> Note | None:
        note = self._home.notes.get(name)
        if isinstance(note, bytes):
            raise Unreadable("a note cannot be read", "rotate-my-key")
        return note

    def create(self, note: Note) -> None:
        self._points.reach("new note")
        if note.name in self._home.notes:
            raise TryLater("a rotation of this key is under way", "rotate-my-key")
        self.save(note)

    def save(self, note: Note) -> None:
        if self._points.reach("note") == "full":
            raise Problem("no space left on the disk", "df -h")
        self._home.notes[note.name] = note
        self._points.reach("noted")

    def remove(self, name: str) -> None:
        self._points.reach("remove")
        self._home.notes.pop(name, None)
        self._points.reach("removed")

    def set_aside(self, name: str) -> str:
        self._points.reach("set aside")
        self._home.notes.pop(name, None)
        return f"{name}.aside"

    def encode(self, note: Note) -> bytes:
        record = repr(note).encode()
        self._home.encoded[record] = note
        return record

    def decode(self, record: bytes) -> Note:
        try:
            return self._home.encoded[record]
        except KeyError:
            raise Unreadable("a note cannot be read", "rotate-my-key") from None


class FakeHistory:
    """The `History` port."""

    def __init__(self, home: Home, points: Points) -> None:
        self._past = home.past
        self._points = points

    def add(self, past: Past) -> None:
        if self._points.reach("history") == "full":
            raise Problem("no space left on the disk", "df -h")
        self._past.append(past)
        self._points.reach("history written")

    def entries(self) -> tuple[Past, ...]:
        return tuple(self._past)


class FakeProgress:
    """The `Progress` port: remembers what was said."""

    def __init__(self) -> None:
        self.doings: list[Step] = []
        self.warnings: list[str] = []

    def doing(self, step: Step, note: Note | None) -> None:
        self.doings.append(step)

    def did(self, did: Did) -> None:
        pass

    def warn(self, text: str) -> None:
        self.warnings.append(text)
