"""`adopt` with what `fleet reissue` handed over: fetched, checked, put where the old key is, and rotated at once.

The order is that of a rotation: the new key is durable here before what was delivered is deleted; the old one is given
up after the new one has signed in as read from its places; a run that is killed is finished by the next.
"""

from __future__ import annotations

import shlex
from dataclasses import replace

from ..errors import Denied, NeedsPerson, Problem, mask
from ..files.replace import real_path
from ..model import Look, Place
from ..profiles.edit import add_pair
from ..profiles.file import ROTATABLE, Kind, sections
from ..profiles.which import PROFILE_VARIABLES, named_profile
from ..rotation.adopt import Adoption, Way
from ..rotation.importing import check_unfinished
from ..rotation.outcome import Ending, Outcome
from ..rotation.prepare import first_look
from ..rotation.run import Result
from ..rotation.takeover import (
    Elsewhere,
    Takeover,
    cannot_rotate,
    check_delivery,
    elsewhere,
    plan_delivery,
    plan_takeover,
    take_over,
)
from ..rotation.unfinished import unfinished
from ..stores.delivered import Delivered
from ..stores.handed import Mark
from ..words import day, join
from . import caching, show
from .app import App
from .delivery import Delivery, is_link
from .giving_up import ask, check_named, give_up, introduce
from .narrator import Narrator
from .rotating import Rotate, exit_code
from .taken import say_replaced, was_replaced
from .wiring import Wiring


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
            check_delivery(delivered.pair, delivered.identity, self._account, self._wiring.clockwork.pause)
            self._look, self._denied = self._looked()
            self._plan = self._planned()
            self.elsewhere = self._found_elsewhere()

    def _looked(self) -> tuple[Look | None, Denied | None]:
        """Who may not even list his keys can use the one that he was given."""
        try:
            here, pause = self._wiring.here, self._wiring.clockwork.pause
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
            return take_over(plan, self._account, wiring.here, narrator, self._app.settings.policy, wiring.clockwork)
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
        caching.remember(self._wiring, self._app, stored)
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
