"""`adopt`: a key that IT or the console gave goes into a profile and is replaced at once, so that whoever saw it on the
way holds a dead one.

`adopt` with what `fleet reissue` handed over: fetched, checked, put where the old key is, and rotated at once.

The order is that of a rotation: the new key is durable here before what was delivered is deleted; the old one is given
up after the new one has signed in as read from its places; a run that is killed is finished by the next.
"""

from __future__ import annotations

import csv
import io
import re
import shlex
import sys
from dataclasses import replace

import click

from ..core.errors import Denied, NeedsPerson, Problem, WrongUsage, mask
from ..core.model import Credentials, Look, Place
from ..core.words import day, join
from ..files.regular import read_regular, real_path
from ..profiles.file import ROTATABLE, Kind, sections
from ..profiles.places import add_pair
from ..profiles.which import PROFILE_VARIABLES, named_profile
from ..rotation.incoming import (
    Adoption,
    Elsewhere,
    Takeover,
    Way,
    cannot_rotate,
    check_delivery,
    check_unfinished,
    elsewhere,
    plan_adoption,
    plan_delivery,
    plan_takeover,
    sign_in,
    take_over,
)
from ..rotation.ports import Ending, Outcome
from ..rotation.prepare import first_look
from ..rotation.run import Result
from ..rotation.unfinished import unfinished
from ..state.owed import Mark
from ..state.transit import Delivered
from . import moves, session, show
from .app import App
from .handover import (
    Delivery,
    ask,
    check_named,
    give_up,
    introduce,
    is_delivery,
    is_link,
    refuse_link,
    say_replaced,
    was_replaced,
)
from .session import Rotate, exit_code
from .talk import Narrator
from .wiring import Wiring

_ID = re.compile(r"AKIA[A-Z0-9]{12,124}")  # IAM user guide, "unique identifiers"
_SECRET = re.compile(r"[\x21-\x7e]{16,128}")
_MOST = 1 << 16  # bytes
_HEADS = ("access key id", "secret access key")  # of the console's accessKeys.csv, in any case


def run(app: App, *, source: str | None, profile: str | None, yes: bool, give_up: str | None, as_json: bool) -> int:
    """Take a first or new key that IT or the console gave."""
    given = _given(app, source)
    if isinstance(given, str):
        return adopt_delivery(app, given, profile, yes=yes, as_json=as_json, named=give_up)
    if give_up is not None:
        raise WrongUsage("--give-up goes with a DELIVERY, which names the old key", "rotate-my-key adopt DELIVERY")
    pair, file = given, source
    name = profile or named_profile(app.env)[0]
    wiring = Wiring.of(app)
    for result in moves.finish(app, wiring):
        if result.problem:
            raise result.problem
    rotate = Rotate.of(app, name)
    settled = rotate.settle()
    if was_replaced(wiring, pair.key_id):
        _file_can_go(app, file)
        return say_replaced(app, rotate, pair.key_id, name, settled, as_json=as_json)
    plan = _plan(app, wiring, pair, name)
    _introduce(app, plan)
    if not yes and not app.confirm("Take it?", default=True, flag="rotate-my-key adopt --yes"):
        app.say("Nothing was changed.")
        return 4
    with wiring.lock():
        wiring.handed.mark(pair.key_id)
        _write(app, wiring, plan)
    return rotate_handed(app, name, as_json=as_json, file=file)


def rotate_handed(app: App, profile: str, *, as_json: bool = False, file: str | None = None) -> int:
    """Replace the key that was handed over; what it needs was agreed to."""
    rotate = Rotate.of(app, profile, young=True)
    results = rotate.run()
    code = exit_code(results)
    if not code:
        rotate.wiring.forget_handed()
        _file_can_go(app, file)
    told = rotate.after.run()
    if as_json:
        keys = [show.result_json(result, app.settings.policy) for result in results]
        app.json({"keys": keys, "after_rotate": [each.json() for each in told]})
    return exit_code([*results, *(each.result() for each in told)])


def _file_can_go(app: App, file: str | None) -> None:
    if file and file != "-":
        app.say(f"The key in {file} is dead now; the file can go.")


def _plan(app: App, wiring: Wiring, pair: Credentials, profile: str) -> Adoption:
    facts = [fact for fact in sections(wiring.files, wiring.keyring.pair) if fact.profile == profile]
    held = [(fact.place, fact.pair) for fact in facts if fact.pair and fact.place and fact.kind is Kind.STATIC]
    others = [fact.kind.value for fact in facts if fact.kind not in (Kind.STATIC, Kind.NONE)]
    account = wiring.account(profile if facts else None)
    with app.waiting("asking AWS"):
        sign_in(pair, account, wiring.waiter.pause)
        look = first_look(pair, account, wiring.here, wiring.waiter.pause, young=True)
        return plan_adoption(pair, profile, held, others, account, look.identity)


def _introduce(app: App, plan: Adoption) -> None:
    who = plan.identity
    app.say(f"{who.user} in {who.account}, key {mask(plan.pair.key_id)}, for profile {plan.profile}")
    if plan.dead:
        app.say(f"It takes the place of {mask(plan.dead.key_id)}, which AWS does not accept any more.")
    app.say("It is replaced by a new key at once, and deleted: whoever has seen it holds a dead one.")


def _write(app: App, wiring: Wiring, plan: Adoption) -> None:
    path = app.paths.credentials
    match plan.way:
        case Way.ADD:
            if not path:
                raise Problem("AWS_SHARED_CREDENTIALS_FILE is set to nothing", "unset AWS_SHARED_CREDENTIALS_FILE")
            add_pair(path, plan.profile, plan.pair)
            app.say(f"  {app.show_path(path)}: {plan.profile} added")
        case Way.REPLACE if plan.dead:
            wiring.here.places.rehearse(plan.places, plan.dead)
            wiring.here.places.write(plan.places, plan.dead, plan.pair, lambda writes: None)
            app.say(f"  {show.names(plan.places)} changed")


def _given(app: App, source: str | None) -> Credentials | str:
    """The pair, or the name or link of a delivery."""
    if source is None:
        return _asked(app)
    refuse_link(source)
    if is_delivery(source):
        return source
    text = _text(source)
    line = text.strip()
    if source == "-" and (is_link(line) or is_delivery(line)) and not any(map(str.isspace, line)):
        return line
    return _from_csv(source, text)


def _asked(app: App) -> Credentials | str:
    if not app.terminal:
        raise NeedsPerson("there is no terminal to ask for the key on", "rotate-my-key adopt accessKeys.csv --yes")
    key_id: str = click.prompt("Access key ID, or the link from IT (hidden)", hide_input=True, err=True).strip()
    if is_link(key_id) or is_delivery(key_id):
        return key_id
    check_id(key_id)
    secret = click.prompt("Secret access key (hidden)", hide_input=True, err=True).strip()
    return _checked(key_id, secret)


def _from_csv(path: str, text: str) -> Credentials:
    """The key of the console's file: a head line, then one line with the id and the secret."""
    rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    heads = [cell.strip().lower() for cell in rows[0]] if rows else []
    if any(head not in heads for head in _HEADS):
        what = "is not the console's accessKeys.csv"
        if path == "-":
            path, what = "standard input", "holds neither the console's accessKeys.csv nor a link from IT"
        raise Problem(f"{path} {what}", "rotate-my-key adopt")
    if len(rows) != 2 or len(rows[1]) != len(heads):
        raise Problem(f"{path} holds {len(rows) - 1} keys, and one is taken at a time", "rotate-my-key adopt")
    key_id, secret = (rows[1][heads.index(head)].strip() for head in _HEADS)
    return _checked(key_id, secret)


def _text(path: str) -> str:
    try:
        stdin = path == "-"
        data = sys.stdin.buffer.read(_MOST) if stdin else read_regular(path, "rotate-my-key adopt -", _MOST)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem(f"{path} is not a text file", "rotate-my-key adopt") from None


def _checked(key_id: str, secret: str) -> Credentials:
    check_id(key_id)
    if not _SECRET.fullmatch(secret):
        raise Problem("that is not a secret access key", "copy the whole of it, without blanks")
    return Credentials(key_id, secret)


def check_id(key_id: str) -> None:
    """Raises Problem for what is no id of a long-term key; it shows nothing of what it was."""
    if key_id.startswith("ASIA"):
        raise Problem("that is a temporary key (ASIA...); only long-term keys can be rotated", "rotate-my-key adopt")
    if not _ID.fullmatch(key_id):
        raise Problem("that is neither the id of an IAM user's access key (AKIA...) nor a link", "rotate-my-key adopt")


def adopt_delivery(
    app: App, text: str, profile: str | None, *, yes: bool, as_json: bool, named: str | None = None
) -> int:
    """Take it. `text` names the delivery, or is its link; `profile` is None for the one that holds the old key; `named`
    is the old key that may go though something else has used it since."""
    name, _ = named_profile(app.env)
    asked = profile or (name if any(map(app.env.get, PROFILE_VARIABLES)) else "")
    signer = asked or ("" if is_link(text) else _only_profile(app, Wiring.of(app)))
    delivery = Delivery(app, Wiring.of(app), text, signer)
    delivered = delivery.fetch()
    check_named(named, delivered)
    app.without("auth_profile")  # it has signed what it was named for; the key itself signs the calls about it
    wiring = Wiring.of(app)
    name = asked or _holder(wiring, delivered) or delivered.profile or signer or _only_profile(app, wiring)
    rotate = Rotate.of(app, name)
    settled = rotate.settle()
    if was_replaced(rotate.wiring, delivered.pair.key_id):
        delivery.remove(name)
        return say_replaced(app, rotate, delivered.pair.key_id, name, settled, as_json=as_json)
    adopting = _Adopting(app, delivered, name)
    adopting.introduce()
    command = shlex.join(["rotate-my-key", "adopt", delivery.name, *(["-p", profile] if profile else [])])
    if not ask(app, adopting.elsewhere, delivered, command, yes=yes, named=named is not None):
        app.say("Nothing was changed.")
        return 4
    results = adopting.store(delivery.mark)
    delivery.remove(name)
    adopting.removed()
    results += adopting.rotate(results)
    return adopting.end(results, as_json=as_json)


def _only_profile(app: App, wiring: Wiring) -> str:
    """Who fetches where nobody was named: `default`, or the one key that is here under another name.

    Raises NeedsPerson if there are several, and none is `default`.
    """
    facts = [f for f in sections(wiring.files, wiring.keyring.pair) if f.kind is not Kind.NONE]
    if not facts or any(fact.profile == "default" for fact in facts):
        return "default"
    names = [fact.profile for fact in facts if fact.pair]
    if len({fact.pair for fact in facts if fact.pair}) > 1 and not app.settings.auth_profile:
        raise NeedsPerson(
            f"this could be for {join(dict.fromkeys(names))}", "name one of them: rotate-my-key adopt DELIVERY -p NAME"
        )
    return next(iter(names), "default")


def _holder(wiring: Wiring, delivered: Delivered) -> str:
    """The profile that holds the key which is replaced, `default` before others."""
    if not delivered.replaces:
        return ""
    held = [h.place.profile for h in wiring.here.places.search([delivered.replaces]) if h.pair and h.place.is_read]
    return "default" if "default" in held else next(iter(held), "")


class _Adopting:
    """One delivery on its way into a profile."""

    def __init__(self, app: App, delivered: Delivered, profile: str) -> None:
        self._app = app
        self._delivered = delivered
        self._profile = profile
        self._wiring = Wiring.of(app)
        self._rotate = Rotate.of(app, profile, young=True)
        facts = [f for f in sections(self._wiring.files, self._wiring.keyring.pair) if f.profile == profile]
        self._account = self._wiring.account(profile if facts else None)
        with self._wiring.stop.on_interrupt(), app.waiting("asking AWS"):
            check_delivery(delivered.pair, delivered.identity, self._account, self._wiring.waiter.pause)
            self._look, self._denied = self._looked()
            self._plan = self._planned()
            self.elsewhere = self._found_elsewhere()

    def _looked(self) -> tuple[Look | None, Denied | None]:
        """Who may not even list his keys can use the one that he was given."""
        try:
            here, pause = self._wiring.here, self._wiring.waiter.pause
            return first_look(self._delivered.pair, self._account, here, pause, young=True), None
        except Denied as problem:
            return None, problem

    def _found_elsewhere(self) -> Elsewhere | None:
        """The old key that goes though no place here holds it."""
        here = self._wiring.here
        return elsewhere(self._delivered.replaces, self._look, self._account, here) if self._look else None

    def _planned(self) -> Adoption:
        facts = [f for f in sections(self._wiring.files, self._wiring.keyring.pair) if f.profile == self._profile]
        held = [(f.place, f.pair) for f in facts if f.pair and f.place and f.kind in ROTATABLE]
        others = [f.kind.value for f in facts if not (f.kind is Kind.NONE or (f.pair and f.kind in ROTATABLE))]
        given = self._delivered
        who = given.identity
        return plan_delivery(given.pair, who, given.replaces, self._profile, held, others, self._account)

    def introduce(self) -> None:
        """Who, which key, what becomes of the old one."""
        who, pair, say = self._delivered.identity, self._delivered.pair, self._app.complain
        made = day(self._delivered.made)
        say(f"{who.user} in {who.account}, key {mask(pair.key_id)} made by IT on {made}, for profile {self._profile}")
        if self._plan.dead:
            fate = ", which is switched off and deleted" if self._takes_over else ""
            say(f"It takes the place of {mask(self._plan.dead.key_id)}{fate}.")
        if self._denied:
            say("You may not manage your own keys, so it stays as it is.")
        else:
            say("It is replaced by a new key at once, and deleted: whoever has seen it holds a dead one.")
        if self.elsewhere:
            introduce(self._app, self.elsewhere)

    @property
    def _takes_over(self) -> bool:
        old = self._plan.dead
        return bool(old and self._look and old.key_id == self._delivered.replaces)

    # Storing it

    def store(self, mark: Mark) -> list[Result]:
        """Put it into its places, then give up the old key that none of them held. Raises Problem if it is not there in
        the end."""
        wiring, pair = self._wiring, self._delivered.pair
        with wiring.stop.on_interrupt(), wiring.lock():
            self._plan = self._planned()
            check_unfinished(unfinished(wiring.here, mend=True), pair, self._plan.dead)
            if not self._denied:
                old = self.elsewhere.key.key_id if self.elsewhere else ""
                wiring.handed.mark(pair.key_id, replace(mark, replaces=old))
            return self._placed() + self._given_up()

    def _placed(self) -> list[Result]:
        if self._plan.way is Way.ADD:
            return self._add()
        if self._plan.way is Way.REPLACE:
            return self._take_over() if self._takes_over else self._replace()
        return []

    def _given_up(self) -> list[Result]:
        if self.elsewhere is None or self._look is None:
            return []
        rest = (self._account, self._look, self._delivered.pair, self.elsewhere.key.key_id, self._profile)
        return give_up(self._app, self._wiring, *rest)

    def removed(self) -> None:
        """What was delivered is not to be removed by a later run any more: another key may wait there by then."""
        handed, key_id = self._wiring.handed, self._delivered.pair.key_id
        if key_id in handed.ids():
            handed.mark(key_id, replace(handed.read(key_id), delivery="", signer=""))

    def _add(self) -> list[Result]:
        path = self._app.paths.credentials
        if not path:
            raise Problem("AWS_SHARED_CREDENTIALS_FILE is set to nothing", "unset AWS_SHARED_CREDENTIALS_FILE")
        add_pair(path, self._profile, self._delivered.pair)
        self._app.say(f"  {self._app.show_path(path)}: {self._profile} added")
        return []

    def _replace(self) -> list[Result]:
        """What AWS refuses, or nobody may give up here: as `import` does, the profile's own files last."""
        old, places = self._plan.dead, self._wiring.here.places
        assert old is not None
        found = [h.place for h in places.search([old.key_id], self._plan.places) if h.pair == old]
        for warning in places.rehearse(found, old):
            self._wiring.warn(warning)
        own = {real_path(place.path) for place in self._plan.places}
        last = [place for place in found if real_path(place.path) in own]
        for group in ([place for place in found if place not in last], last):
            if group:
                places.write(group, old, self._delivered.pair, lambda writes: None)
        self._app.say(f"  {show.names(found)} changed")
        return []

    def _take_over(self) -> list[Result]:
        wiring, app, old = self._wiring, self._app, self._plan.dead
        assert old is not None and self._look is not None
        new, where = self._delivered.pair, (wiring.host, wiring.boot)
        plan = plan_takeover(new, old, self._look, self._account, wiring.here, *where)
        narrator = Narrator(app, changing=self._rotate.after.changing)
        for warning in plan.warnings:
            narrator.warn(warning)
        profiles = tuple(dict.fromkeys(place.profile for place in plan.note.places))
        try:
            outcome = self._run(plan, narrator)
        except Problem as problem:
            if not self._is_placed(plan.note.places):
                raise
            return [Result(profiles, old.key_id, problem=problem)]
        return [Result(profiles, old.key_id, outcome)]

    def _run(self, plan: Takeover, narrator: Narrator) -> Outcome:
        wiring = self._wiring
        try:
            return take_over(plan, self._account, wiring.here, narrator, self._app.settings.policy, wiring.waiter)
        finally:
            narrator.end()

    def _is_placed(self, places: tuple[Place, ...]) -> bool:
        """The old key could not be given up, but the new one is where it belongs."""
        held = self._wiring.here.places.search([self._delivered.pair.key_id], places)
        return any(h.pair == self._delivered.pair for h in held)

    # Afterwards

    def rotate(self, stored: list[Result]) -> list[Result]:
        """Replace it at once, if it may be and there is room."""
        for result in stored:
            self._tell(result)
        session.remember(self._wiring, self._app, stored)
        if self._denied:
            return [Result((self._profile,), self._delivered.pair.key_id, problem=self._stays(self._denied))]
        if any(result.problem for result in stored):
            return []
        return self._rotate.run()

    def _tell(self, result: Result) -> None:
        if result.problem:
            self._rotate.tell(result)
        elif result.outcome and result.outcome.ending is not Ending.MERGED:
            raise Problem("the places changed in the meantime, so nothing was done", "repeat the command")

    def _stays(self, denied: Denied) -> Denied:
        problem = Denied(
            f"the key is in place; it stays as IT made it, for {denied.message}",
            "ask IT for: rotate-my-key policy self",
            action=denied.action,
        )
        self._rotate.tell(Result((self._profile,), self._delivered.pair.key_id, problem=problem))
        return problem

    def end(self, results: list[Result], *, as_json: bool) -> int:
        """Tell what came of it; who may not make keys is not reminded of this one."""
        self._wiring.forget_handed()
        if self._denied or any(cannot_rotate(result.problem) for result in results):
            self._wiring.handed.clear(self._delivered.pair.key_id)
        told = self._rotate.after.run()
        if as_json:
            keys = [show.result_json(result, self._app.settings.policy) for result in results]
            self._app.json({"keys": keys, "after_rotate": [each.json() for each in told]})
        return exit_code([*results, *(each.result() for each in told)])
