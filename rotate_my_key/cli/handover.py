"""What `fleet reissue` handed over: fetched from Secrets Manager, from S3 or by a link, and removed once it is here.

A link is a secret: it is taken from a hidden question or from standard input, never from the command line.

The old key that a delivery names and no place here holds, as on a new laptop: what is said of it, the yes that it
takes, and its end. It goes only once the new key is in its places.

What `adopt` took before. What it was stopped over is finished by the next run of `rotate`: all of it was agreed to
then. What was replaced since is not taken again.

The order is that of `adopt`: the key into its places, the old one given up, what was delivered removed, then the key
replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from ..core.errors import Denied, Gone, NeedsPerson, NotAllowed, Problem, TryLater, WrongUsage, mask
from ..core.model import Credentials, Look
from ..profiles.file import sections
from ..rotation.incoming import Elsewhere, elsewhere, plan_elsewhere, take_over
from ..rotation.ports import Account
from ..rotation.prepare import first_look
from ..rotation.run import Result
from ..state.owed import Mark
from ..state.transit import LONGEST, Delivered, decode_delivered
from . import show
from .app import App
from .session import Rotate, exit_code
from .signing import mfa_serials
from .talk import Narrator
from .wiring import Wiring

if TYPE_CHECKING:
    from ..aws.services import AwsCloud


_FORMS = ("secretsmanager:", "s3://")
_URL = re.compile(r"https?://", re.IGNORECASE)
_ARN = re.compile(r"arn:[\w-]+:secretsmanager:([\w-]+):\d{12}:secret:[\w/+=.@-]{1,512}")
_SECRET = re.compile(r"[\w/+=.@-]{1,512}", re.ASCII)  # Secrets Manager API reference, CreateSecret
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ASK = "ask IT for a new one"
_PATIENCE = 20.0  # seconds for which throttling is waited out
_PASTE = "rotate-my-key adopt, and paste the link when asked (or - to read it from a pipe)"


def is_delivery(text: str) -> bool:
    """Whether this names a delivery, and not a file."""
    return text.startswith(_FORMS)


def is_link(text: str) -> bool:
    """Whether this is a URL."""
    return bool(_URL.match(text))


def refuse_link(text: str) -> None:
    """Raises WrongUsage for a URL on the command line."""
    if is_link(text):
        raise WrongUsage("a link is as good as the key itself, and others can read what is typed here", _PASTE)


class Delivery:
    """One delivery, named by `text`. Calls are signed by the auth profile (`signer`, else as the settings say), else by
    `profile` itself."""

    def __init__(self, app: App, wiring: Wiring, text: str, profile: str, signer: str = "") -> None:
        self._app = app
        self._wiring = wiring
        self._text = text
        signer = signer or app.settings.auth_profile or ""
        self._auth = signer or profile
        self._mine = not signer
        self._told: set[str] = set()

    @property
    def mark(self) -> Mark:
        """Where it is, for a later run that removes it; a link is a secret, and is not remembered."""
        return Mark() if is_link(self._text) else Mark("", self._text, "" if self._mine else self._auth)

    @property
    def name(self) -> str:
        """What to type for it; `-` for a link."""
        return "-" if is_link(self._text) else self._text

    def fetch(self) -> Delivered:
        """Fetch it. Raises Problem; no message holds a link or anything of what was fetched."""
        with self._app.waiting("fetching what IT has made"):
            return decode_delivered(self._by_link() if is_link(self._text) else self._named())

    def _named(self) -> bytes | str:
        try:
            return self._by_name()
        except Gone:
            raise Gone("there is no such delivery: it was taken, or not fetched in time", _ASK) from None
        except (NeedsPerson, TryLater, WrongUsage):
            raise
        except Problem as problem:
            raise self._in_vain(problem) from None

    def _by_link(self) -> bytes:
        from ..aws.delivery import fetch

        return fetch(self._wiring.aws, self._text, LONGEST, self._foreign)

    def _by_name(self) -> bytes | str:
        if self._text.startswith("s3://"):
            bucket, name, region = _object(self._text)
            return self._cloud().objects(region).get(bucket, name)
        secret, region = _secret(self._text)
        return self._cloud().secrets(region).get(secret)

    def remove(self, profile: str) -> None:
        """The key is stored here, in `profile`: what was delivered is not needed any more. That it may not be removed
        is a note: IT's next run does it."""
        if is_link(self._text):
            return
        if self._mine:
            self._auth = profile
        try:
            with self._app.waiting("removing what was delivered"):
                self._remove()
            self._app.say("  what was delivered is deleted")
        except Problem as problem:
            self._app.detail(f"  {problem.message}")
            self._wiring.warn("what was delivered could not be deleted; IT's next run does it")

    def remove_left(self, key_id: str, profile: str) -> None:
        """As `remove`, for one that an earlier run fetched: by now another key may wait there, and that one stays."""
        try:
            there = self.fetch().pair.key_id
        except Gone:
            return
        except Problem as problem:
            self._app.detail(f"  {problem.message}")
            self._wiring.warn("what was delivered could not be looked at; IT's next run deletes it")
            return
        if there == key_id:
            self.remove(profile)

    def _remove(self) -> None:
        if self._text.startswith("s3://"):
            bucket, name, region = _object(self._text)
            return self._cloud().objects(region).delete(bucket, name)
        secret, region = _secret(self._text)
        return self._cloud().secrets(region).delete(secret)

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
            self._app.complain(f"{self._app.style('note:', fg='yellow')} the endpoint is not AWS's own: {url}")

    def _in_vain(self, problem: Problem) -> Problem:
        """Whoever cannot sign in here needs another profile, or a link."""
        kind = NotAllowed if isinstance(problem, NotAllowed) else Problem
        return kind(
            f"it cannot be fetched with profile {self._auth}: {problem.message}",
            f"rotate-my-key adopt {self._text} --auth-profile NAME; or ask IT for a link",
        )


def _secret(text: str) -> tuple[str, str]:
    """`secretsmanager:NAME` or `secretsmanager:ARN`: name or ARN, and the region that the ARN tells."""
    name = text.removeprefix("secretsmanager:")
    if found := _ARN.fullmatch(name):
        return name, found[1]
    if not _SECRET.fullmatch(name):
        raise WrongUsage(f"{name!r} is no name of a secret", "copy the whole of what IT wrote")
    return name, ""


def _object(text: str) -> tuple[str, str, str]:
    """`s3://bucket/name?region=eu-west-1`: bucket, name, region or ""."""
    parts = urlsplit(text)
    name, regions = unquote(parts.path[1:]), parse_qs(parts.query).get("region", [""])
    if not _BUCKET.fullmatch(parts.netloc) or not name or not re.fullmatch(r"[a-z0-9-]*", regions[0]):
        raise WrongUsage(f"{text!r} is no object of S3", "write it like s3://bucket/name")
    return parts.netloc, name, regions[0]


_RIGHTS = "ask IT for: rotate-my-key policy self; then: rotate-my-key"


def check_named(named: str | None, delivered: Delivered) -> None:
    """What --give-up names must be the key that the delivery names: its id, or four or more of its last characters.
    Raises WrongUsage."""
    old = delivered.replaces
    if named is None or (old and (named == old or (len(named) >= 4 and old.endswith(named.upper())))):
        return
    what = f"replaces {mask(old)}, and no other key" if old else "replaces no key"
    raise WrongUsage(f"--give-up {named}: the delivery {what}", "rotate-my-key adopt DELIVERY")


def introduce(app: App, old: Elsewhere) -> None:
    """Which key goes, and what is known of its use."""
    key = mask(old.key.key_id)
    state = "" if old.key.active else ", which is switched off"
    app.complain(f"The old key {key}{state} is on no profile here; {show.last_used(old.use, datetime.now(UTC))}.")
    app.complain("It stops working everywhere: it is switched off and deleted.")


def ask(app: App, old: Elsewhere | None, delivered: Delivered, command: str, *, yes: bool, named: bool) -> bool:
    """The one question. A key that something has used since needs a yes that names it; `command` is for the hint.
    Raises NeedsPerson."""
    if old is None or named or not old.key.active or not old.is_in_use_since(delivered.made):
        return yes or app.confirm("Take it?", default=True, flag=f"{command} --yes")
    key = mask(old.key.key_id)
    flag = f"{command} --yes --give-up {old.key.key_id}"
    if yes or not app.terminal:
        raise NeedsPerson(f"{_in_use(old)}, and {key} would stop working there; nothing was changed", flag)
    app.complain(f"{app.style('note:', fg='yellow')} {_in_use(old)}")
    return app.confirm(f"Take it, and give up {key}?", default=False, flag=flag)


def _in_use(old: Elsewhere) -> str:
    key, use = mask(old.key.key_id), old.use
    if use is None or use.at is None:
        return f"AWS does not say whether key {key} is in use elsewhere"
    where = f"by {use.service} in {use.region} at {use.at:%Y-%m-%d %H:%M} UTC"
    return f"something else still uses the old key {key}: {where}, after IT had made the new one"


def give_up(
    app: App, wiring: Wiring, account: Account, look: Look, pair: Credentials, old: str, profile: str
) -> list[Result]:
    """Switch it off and delete it, under the lock. What goes wrong is a result: the new key is in place."""
    narrator = Narrator(app)
    try:
        plan = plan_elsewhere(pair, old, look, account, wiring.here, wiring.host, wiring.boot)
        outcome = take_over(plan, account, wiring.here, narrator, app.settings.policy, wiring.waiter)
        return [Result((profile,), old, outcome)]
    except Problem as problem:
        return [Result((profile,), old, problem=_left(pair, old, problem))]
    finally:
        narrator.end()


def _left(pair: Credentials, old: str, problem: Problem) -> Problem:
    """What is so far, and what to type, in order."""
    problem.message = _stays(pair, old, problem.message)
    if isinstance(problem, Denied):
        problem.hint = _RIGHTS
    return problem


def _stays(pair: Credentials, old: str, why: str) -> str:
    return (
        f"key {mask(pair.key_id)} is in place, and stays the one that IT has made for now, "
        f"because the old key {mask(old)} is still there: {why}"
    )


def still_there(pair: Credentials, old: str) -> NotAllowed:
    """For a later run, which AWS has not let delete it either."""
    return NotAllowed(_stays(pair, old, "you are not allowed to delete it"), _RIGHTS)


RotateOne = Callable[[str], list[Result]]  # replaces the key of that profile, and tells what came of it


def finish_taken(
    app: App, wiring: Wiring, settled: Sequence[Result], rotate_one: RotateOne, tell: Callable[[Result], None]
) -> list[Result]:
    """For each key that is marked and that a place here holds; gives what came of them, and has told it. `settled` is
    what came of what earlier runs had begun."""
    results: list[Result] = []
    for pair, profile in wiring.handed_held():
        mark = wiring.handed.read(pair.key_id)
        if mark.replaces and mark.replaces in wiring.here.notes.names():  # it could not be settled
            told = next((each.problem for each in settled if each.problem and each.key_id == mark.replaces), None)
            results.append(Result((profile,), pair.key_id, problem=told or still_there(pair, mark.replaces)))
            if not told:
                tell(results[-1])
            continue
        done = _given_up(app, wiring, pair, profile, mark)
        for result in done:
            if result.problem:
                tell(result)
        results += done
        if mark.delivery:
            Delivery(app, wiring, mark.delivery, profile, mark.signer).remove_left(pair.key_id, profile)
            wiring.handed.mark(pair.key_id, replace(mark, delivery="", signer=""))
        if not any(result.problem for result in done):
            results += rotate_one(profile)
    wiring.forget_handed()
    return results


def _given_up(app: App, wiring: Wiring, pair: Credentials, profile: str, mark: Mark) -> list[Result]:
    """The old key that the delivery named, if it is still there; what was begun has been settled before."""
    if not mark.replaces:
        return []
    account = wiring.account(profile)
    try:
        with wiring.stop.on_interrupt(), wiring.lock(), app.waiting("asking AWS"):
            look = first_look(pair, account, wiring.here, wiring.waiter.pause)
            if not elsewhere(mark.replaces, look, account, wiring.here):
                return []
            return give_up(app, wiring, account, look, pair, mark.replaces, profile)
    except Denied:
        return []  # who may not even list his keys is told so by the rotation
    except Problem as problem:
        return [Result((profile,), pair.key_id, problem=problem)]


def was_replaced(wiring: Wiring, key_id: str) -> bool:
    """Whether an earlier run here has replaced this key, and deleted it."""
    return any(past.new and key_id in past.deleted for past in wiring.history.entries())


def say_replaced(
    app: App, rotate: Rotate, key_id: str, profile: str, settled: Sequence[Result], *, as_json: bool
) -> int:
    """There is nothing to take; gives the exit code. `settled` is what came of what earlier runs had begun.

    Raises Problem if the profile holds no key, or one that AWS refuses.
    """
    wiring, said = Wiring.of(app), "was taken here already, and replaced"
    facts = sections(wiring.files, wiring.keyring.pair)
    pair = next((fact.pair for fact in facts if fact.profile == profile and fact.pair), None)
    if pair is None:
        raise Problem(f"key {mask(key_id)} {said}; profile {profile} holds no key", "rotate-my-key status")
    with app.waiting("asking AWS"):
        wiring.account(profile).look([pair])
    wiring.forget_handed()
    told = rotate.after.run()
    if as_json:
        keys = [show.result_json(result, app.settings.policy) for result in settled]
        app.json({"keys": keys, "after_rotate": [each.json() for each in told]})
    else:
        app.out(f"Nothing to do: key {mask(key_id)} {said}; profile {profile} holds {mask(pair.key_id)}, which works.")
    return exit_code([*settled, *(each.result() for each in told)])
