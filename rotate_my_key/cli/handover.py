"""What `fleet reissue` handed over: fetched, and removed once it is here; and what `rotate` finishes of an `adopt`.

The order is that of a rotation: the new key is durable here before what was delivered is deleted; the old one is given
up after the new one has signed in as read from its places; a run that is killed is finished by the next, by `rotate`
too, for all of it was agreed to. A link is a secret: it is taken from a hidden question or from standard input, never
from the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from ..core.errors import Denied, Gone, NeedsPerson, NotAllowed, Problem, TryLater, WrongUsage
from ..core.hints import Again, Hint
from ..core.model import Credentials, Look, Place
from ..core.policy import mask
from ..profiles.kinds import ROTATABLE, Kind, sections
from ..rotation.incoming import elsewhere, plan_elsewhere, take_over
from ..rotation.ports import Account
from ..rotation.prepare import first_look
from ..rotation.run import Result
from ..state.history import Mark
from ..state.transit import LONGEST, Delivered, read_delivery
from .app import App
from .talk import Narrator
from .wiring import Wiring, mfa_serials

if TYPE_CHECKING:
    from ..aws.iam import IamAccount
    from ..aws.services import AwsCloud

_FORMS = ("secretsmanager:", "s3://")
_URL = re.compile(r"https?://", re.IGNORECASE)
_ARN = re.compile(r"arn:[\w-]+:secretsmanager:([\w-]+):\d{12}:secret:[\w/+=.@-]{1,512}")
_NAME = re.compile(r"[\w/+=.@-]{1,512}", re.ASCII)  # Secrets Manager API reference, CreateSecret
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PATIENCE = 20.0  # seconds for which throttling is waited out


def is_delivery(text: str) -> bool:
    """Whether this names a delivery, and not a file."""
    return text.startswith(_FORMS)


def is_link(text: str) -> bool:
    """Whether this is a URL."""
    return bool(_URL.match(text))


def holds(wiring: Wiring, profile: str) -> tuple[list[tuple[Place, Credentials]], list[str], IamAccount]:
    """The pairs that a profile holds, by what it signs in besides, and the account that its calls go to."""
    facts = [fact for fact in sections(wiring.files, wiring.keyring.pair) if fact.profile == profile]
    pairs = [(fact.place, fact.pair) for fact in facts if fact.pair and fact.place and fact.kind in ROTATABLE]
    rest = [fact for fact in facts if fact.kind is not Kind.NONE and not (fact.pair and fact.kind in ROTATABLE)]
    return pairs, [fact.kind.value for fact in rest], wiring.account(profile if facts else None)


class Delivery:
    """One delivery, named by `text`. Calls are signed by the auth profile (`signer`, else as the settings say), else by
    `profile` itself."""

    def __init__(self, app: App, text: str, profile: str, signer: str = "") -> None:
        self._app = app
        self._wiring = Wiring.of(app)
        self._text = text
        self._link = is_link(text)
        signer = signer or app.settings.auth_profile or ""
        self._auth = signer or profile
        self._mine = not signer
        self._told: set[str] = set()

    @property
    def mark(self) -> Mark:
        """Where it is, for a later run that removes it; a link is a secret, and is not remembered."""
        return Mark() if self._link else Mark("", self._text, "" if self._mine else self._auth)

    def fetch(self) -> Delivered:
        """Fetch it. Raises Problem; no message holds a link or anything of what was fetched."""
        with self._app.waiting("fetching the new key from IT"):
            if not self._link:
                return read_delivery(self._by_name())
            from ..aws.delivery import fetch

            return read_delivery(fetch(self._wiring.aws, self._text, LONGEST, self._foreign))

    def _by_name(self) -> bytes | str:
        try:
            get, _ = self._calls()
            return get()
        except Gone:
            text = "there is no new key from IT there: it was already fetched, or has expired"
            raise Gone(text, "ask IT for a new one") from None
        except (NeedsPerson, TryLater, WrongUsage):
            raise
        except Problem as problem:  # whoever cannot sign in here needs another profile, or a link
            raise (NotAllowed if isinstance(problem, NotAllowed) else Problem)(
                f"the new key from IT cannot be fetched with profile {self._auth}: {problem.message}",
                Again("--auth-profile", "NAME", rest="; or ask IT for a link"),
            ) from None

    def remove(self, profile: str) -> None:
        """The key is stored here, in `profile`: what was delivered is not needed any more. That it may not be removed
        is a note: IT's next run does it."""
        if self._link:
            return
        if self._mine:
            self._auth = profile
        try:
            with self._app.waiting("deleting IT's copy of the new key"):
                _, delete = self._calls()
                delete()
            self._app.say("  deleted IT's copy of the new key")
        except Problem as problem:
            self._app.detail(f"  {problem.message}")
            self._wiring.warn("IT's copy of the new key could not be deleted (IT will delete it)")

    def remove_left(self, key_id: str, profile: str) -> None:
        """As `remove`, for one that an earlier run fetched: by now another key may wait there, and that one stays."""
        try:
            there = self.fetch().pair.key_id
        except Gone:
            return
        except Problem as problem:
            self._app.detail(f"  {problem.message}")
            self._wiring.warn("IT's copy of the new key could not be checked (IT will delete it)")
            return
        if there == key_id:
            self.remove(profile)

    def _calls(self) -> tuple[Callable[[], bytes | str], Callable[[], None]]:
        """The two calls, to get it and to delete it. Raises WrongUsage if the name is none."""
        if self._text.startswith("s3://"):
            bucket, name, region = _object(self._text)
            objects = self._cloud().objects(region)
            return partial(objects.get, bucket, name), partial(objects.delete, bucket, name)
        secret, region = _secret(self._text)
        secrets = self._cloud().secrets(region)
        return partial(secrets.get, secret), partial(secrets.delete, secret)

    def _cloud(self) -> AwsCloud:
        """Made anew each time: by now the profile may hold another key."""
        from ..fleet.assembly import Assembly, FleetSigner
        from ..settings.fleet import FleetSettings

        person = self._wiring.person
        signer = FleetSigner(
            self._auth,
            self._auth,
            lambda whose, serial: person.code(whose, serial, ""),
            self._wiring.sessions if self._mine else None,
            lambda: mfa_serials(self._wiring.files, self._auth, self._app.settings),
        )
        return Assembly(self._wiring.aws, signer, FleetSettings(), tell=self._foreign, patience=_PATIENCE).cloud

    def _foreign(self, url: str) -> None:
        if url not in self._told:
            self._told.add(url)
            self._app.complain(f"{self._app.style('note:', fg='yellow')} endpoint: {url} (not AWS)")


def _secret(text: str) -> tuple[str, str]:
    """`secretsmanager:NAME` or `secretsmanager:ARN`: name or ARN, and the region that the ARN tells."""
    name = text.removeprefix("secretsmanager:")
    if found := _ARN.fullmatch(name):
        return name, found[1]
    if not _NAME.fullmatch(name):
        raise WrongUsage(f"{name!r} is not a valid name of a secret", "copy the whole of what IT wrote")
    return name, ""


def _object(text: str) -> tuple[str, str, str]:
    """`s3://bucket/name?region=eu-west-1`: bucket, name, region or ""."""
    parts = urlsplit(text)
    name, regions = unquote(parts.path[1:]), parse_qs(parts.query).get("region", [""])
    if not _BUCKET.fullmatch(parts.netloc) or not name or not re.fullmatch(r"[a-z0-9-]*", regions[0]):
        raise WrongUsage(f"{text!r} is not an S3 object", "write it like s3://bucket/name")
    return parts.netloc, name, regions[0]


def only_profile(app: App) -> str:
    """Who fetches where nobody was named: `default`, or the one key that is here under another name. Raises NeedsPerson
    if there are several, and none is `default`."""
    wiring = Wiring.of(app)
    facts = [f for f in sections(wiring.files, wiring.keyring.pair) if f.kind is not Kind.NONE]
    if not facts or any(fact.profile == "default" for fact in facts):
        return "default"
    names = [fact.profile for fact in facts if fact.pair]
    if len({fact.pair for fact in facts if fact.pair}) > 1 and not app.settings.auth_profile:
        raise NeedsPerson(
            f"the new key from IT could be for {' or '.join(dict.fromkeys(names))}",
            Hint("adopt", "LOCATION", "-p", "NAME", lead="name one of them"),
        )
    return next(iter(names), "default")


def holder(app: App, delivered: Delivered) -> str:
    """The profile that holds the key which is replaced, `default` before others."""
    if not delivered.replaces:
        return ""
    found = Wiring.of(app).here.places.search([delivered.replaces])
    held = [h.place.profile for h in found if h.pair and h.place.is_read]
    return "default" if "default" in held else next(iter(held), "")


def check_named(named: str | None, delivered: Delivered) -> None:
    """What --give-up names must be the key that the delivery names: its id, or four or more of its last characters.
    Raises WrongUsage."""
    old = delivered.replaces
    if named is None or (old and (named == old or (len(named) >= 4 and old.endswith(named.upper())))):
        return
    what = f"replaces {mask(old)}, not another key" if old else "replaces no key"
    raise WrongUsage(f"--give-up {named}: the new key from IT {what}", Hint("adopt", "LOCATION"))


# The old key that a delivery names and no place here holds, as on a new laptop

_RIGHTS = Hint("policy", "self", lead="ask IT for the rights that this prints", rest="; then: rotate-my-key")


def give_up(app: App, account: Account, look: Look, pair: Credentials, old: str, profile: str) -> list[Result]:
    """Switch it off and delete it, under the lock. What goes wrong is a result: the new key is in place."""
    wiring = Wiring.of(app)
    with closing(Narrator(app)) as narrator:
        try:
            plan = plan_elsewhere(pair, old, look, account, wiring.here)
            outcome = take_over(plan, account, wiring.here, narrator, app.settings.policy, wiring.waiter)
            return [Result((profile,), old, outcome)]
        except Problem as problem:
            problem.message = _still_there(pair, old, problem.message)
            problem.hint = _RIGHTS if isinstance(problem, Denied) else problem.hint
            return [Result((profile,), old, problem=problem)]


def _still_there(pair: Credentials, old: str, why: str) -> str:
    """What is said of a key that is in its place, while the old one is not gone."""
    return (
        f"key {mask(pair.key_id)} is set up but was not replaced, because the old key {mask(old)} still exists: {why}"
    )


# What `adopt` was stopped over


def finish_taken(
    app: App, settle: Callable[[], list[Result]], tell: Callable[[Result], None], rotate: Callable[[str], list[Result]]
) -> list[Result]:
    """Finish it for each key that is marked and that a place here holds; gives what came of that, and has told it.
    What earlier runs had begun comes first: a run that was killed may not have brought its key into the places.
    `rotate` rotates the key of a profile."""
    wiring = Wiring.of(app)
    settled = settle()
    results = list(settled)
    ids = wiring.handed.ids()
    found = wiring.here.places.search(ids) if ids else ()
    held = {h.pair.key_id: (h.pair, h.place.profile) for h in found if h.pair and h.place.is_read}
    for pair, profile in held.values():
        mark = wiring.handed.read(pair.key_id)
        if mark.replaces and mark.replaces in wiring.here.notes.names():  # it could not be settled
            told = next((each.problem for each in settled if each.problem and each.key_id == mark.replaces), None)
            why = _still_there(pair, mark.replaces, "you are not allowed to delete it")
            results.append(Result((profile,), pair.key_id, problem=told or NotAllowed(why, _RIGHTS)))
            if not told:
                tell(results[-1])
            continue
        done = _given_up(app, wiring, pair, profile, mark)
        for result in done:
            if result.problem:
                tell(result)
        results += done
        if mark.delivery:
            Delivery(app, mark.delivery, profile, mark.signer).remove_left(pair.key_id, profile)
            wiring.handed.mark(pair.key_id, mark._replace(delivery="", signer=""))
        if not any(result.problem for result in done):
            results += rotate(profile)
    wiring.forget_handed()
    return results


def _given_up(app: App, wiring: Wiring, pair: Credentials, profile: str, mark: Mark) -> list[Result]:
    """The old key that the delivery named, if it is still there; what was begun has been settled before."""
    if not mark.replaces:
        return []
    account = wiring.account(profile)
    try:
        with wiring.stop.on_interrupt(), wiring.lock(), app.waiting("checking your keys..."):
            look = first_look(pair, account, wiring.here, wiring.waiter.pause)
            if not elsewhere(mark.replaces, look, account, wiring.here):
                return []
            return give_up(app, account, look, pair, mark.replaces, profile)
    except Denied:
        return []  # who may not even list their keys is told so by the rotation
    except Problem as problem:
        return [Result((profile,), pair.key_id, problem=problem)]
