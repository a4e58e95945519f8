"""`adopt`: a key that IT or the console gave goes into a profile and is replaced at once, so that whoever saw it on the
way holds a dead one. It comes as the console's file, is typed, or is what `fleet reissue` has delivered."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime

from ..core.errors import Denied, NeedsPerson, Problem, WrongUsage
from ..core.hints import Hint
from ..core.model import Credentials, Look
from ..core.policy import day, mask
from ..files.regular import read_regular
from ..profiles.kinds import sections
from ..profiles.which import PROFILE_VARIABLES, named_profile
from ..rotation import incoming
from ..rotation.ports import Ending
from ..rotation.prepare import first_look
from ..rotation.run import Result
from ..rotation.session import exit_code, of_commands
from ..rotation.unfinished import unfinished
from ..state.history import Mark
from ..state.transit import Delivered
from . import show
from .app import App
from .handover import Delivery, check_named, give_up, holder, holds, is_delivery, is_link, only_profile
from .rotate import Rotate, remember
from .talk import Narrator
from .wiring import Wiring

_ID = re.compile(r"AKIA[A-Z0-9]{12,124}")  # IAM user guide, "unique identifiers"
_SECRET = re.compile(r"[\x21-\x7e]{16,128}")
_MOST = 1 << 16  # bytes
_HEADS = ("access key id", "secret access key")  # of the console's accessKeys.csv, in any case
_VALUE = r"""["']?[ \t]*[ \t=:|][ \t|]*["']?([^\s"',;|}]+)"""
_NAMED = re.compile(f"(?i:access[_ ]?key[_ ]?id){_VALUE}|(?i:secret[_ ]?access[_ ]?key){_VALUE}")
_LOOKS = [re.compile(rf"(?<![\w/+-]){looks}(?![\w/+=-])") for looks in (_ID.pattern, "[A-Za-z0-9/+]{40}")]
_COMMENT = re.compile(r"\s*[#;]|sep=")  # the latter is Excel's
_ACCEPTED = "accessKeys.csv, the JSON of aws iam create-access-key, a section of a credentials file, lines with export"


def run(app: App, *, source: str | None, profile: str | None, yes: bool, give_up: str | None, as_json: bool) -> int:
    """Take the key; gives the exit code. `give_up` is the old key that may go though something else has used it since
    the delivery."""
    pair, name = _given(app, source), profile or named_profile(app.env)[0]
    delivery: Delivery | None = None
    delivered: Delivered | None = None
    if isinstance(pair, str):
        delivery, delivered, name = _fetch(app, pair, profile, give_up)
        pair = delivered.pair
    elif give_up is not None:
        raise WrongUsage("--give-up is only for a new key from IT (LOCATION)", Hint("adopt", "LOCATION"))
    else:
        for result in Wiring.of(app).finish_moves():
            if result.problem:
                raise result.problem
    rotate = Rotate.of(app, name)
    settled = rotate.settle()
    if any(past.new and pair.key_id in past.deleted for past in rotate.wiring.history.entries()):  # by an earlier run
        delivery.remove(name) if delivery else _file_can_go(app, source)
        return _say_replaced(app, rotate, pair.key_id, name, settled, as_json=as_json)
    adopting = _Adopting(app, name, pair, delivered)
    adopting.introduce()
    if not _ask(app, adopting.elsewhere, delivered, yes=yes, named=give_up is not None):
        app.say(show.CANCELLED)
        return 4
    results = adopting.store(delivery.mark if delivery else Mark())
    if delivery:
        delivery.remove(name)
        handed = rotate.wiring.handed
        if pair.key_id in handed.ids():  # no later run removes it any more: another key may wait there by then
            handed.mark(pair.key_id, handed.read(pair.key_id)._replace(delivery="", signer=""))
    results += adopting.rotate(results)
    if not delivery and not exit_code(results):
        _file_can_go(app, source)
    return adopting.end(results, as_json=as_json)


def _fetch(app: App, text: str, profile: str | None, old: str | None) -> tuple[Delivery, Delivered, str]:
    """The delivery that `text` names, or is the link of, and the profile that its key is for: if `profile` is None the
    one that holds the old key."""
    name, _ = named_profile(app.env)
    asked = profile or (name if any(map(app.env.get, PROFILE_VARIABLES)) else "")
    signer = asked or ("" if is_link(text) else only_profile(app))
    delivery = Delivery(app, text, signer)
    delivered = delivery.fetch()
    check_named(old, delivered)
    app.without("auth_profile")  # it has signed what it was named for; the key itself signs the calls about it
    return delivery, delivered, asked or holder(app, delivered) or delivered.profile or signer or only_profile(app)


def _file_can_go(app: App, file: str | None) -> None:
    if file and file != "-":
        app.say(f"{file} no longer holds a valid key; you can delete it.")


def _say_replaced(
    app: App, rotate: Rotate, key_id: str, profile: str, settled: Sequence[Result], *, as_json: bool
) -> int:
    """There is nothing to take; gives the exit code. `settled` is what came of what earlier runs had begun. Raises
    Problem if the profile holds no key, or one that AWS refuses."""
    wiring, said = rotate.wiring, "was already adopted here and replaced"
    facts = sections(wiring.files, wiring.keyring.pair)
    pair = next((fact.pair for fact in facts if fact.profile == profile and fact.pair), None)
    if pair is None:
        raise Problem(f"key {mask(key_id)} {said}; profile {profile} holds no key", Hint("status"))
    with app.waiting("checking your keys..."):
        wiring.account(profile).look([pair])
    wiring.forget_handed()
    if not as_json:
        app.out(
            f"Nothing to do: key {mask(key_id)} {said}; profile {profile} now has {mask(pair.key_id)}, which works."
        )
    return _end(app, rotate, settled, as_json=as_json)


def _end(app: App, rotate: Rotate, results: Sequence[Result], *, as_json: bool) -> int:
    """Run what follows a rotation; gives the exit code."""
    told = rotate.wiring.here.commands.run()
    if as_json:
        keys = [show.result_json(result, app.settings.policy) for result in results]
        app.json({"keys": keys, "after_rotate": show.commands_json(told)})
    return exit_code([*results, *of_commands(told)])


def _ask(app: App, old: incoming.Elsewhere | None, delivered: Delivered | None, *, yes: bool, named: bool) -> bool:
    """The one question. A key that something has used since needs a yes that names it. Raises NeedsPerson."""
    if old is None or delivered is None or named or not old.key.active or not old.is_in_use_since(delivered.made):
        return yes or app.confirm("Use this key?", default=True)
    key, use = mask(old.key.key_id), old.use
    what = f"AWS does not tell whether key {key} is in use elsewhere"
    if use and use.at:
        where = f"by {use.service} in {use.region} at {use.at:%Y-%m-%d %H:%M} UTC"
        what = f"something else still uses the old key {key}: {where}, after IT created the new one"
    flags = ("--yes", "--give-up", old.key.key_id)
    if yes or not app.terminal:
        raise NeedsPerson(f"{what}, and {key} would stop working there; nothing was changed", app.again(*flags))
    app.complain(f"{app.style('note:', fg='yellow')} {what}")
    return app.confirm(f"Use the new key and delete {key}?", default=False, flags=flags)


class _Adopting:
    """One key on its way into a profile."""

    def __init__(self, app: App, profile: str, pair: Credentials, delivered: Delivered | None = None) -> None:
        self._app, self._profile, self._pair, self._delivered = app, profile, pair, delivered
        self._wiring = wiring = Wiring.of(app)
        self._rotate = Rotate.of(app, profile, young=True)
        _, _, self._account = holds(wiring, profile)
        with wiring.stop.on_interrupt(), app.waiting("checking your keys..."):
            if delivered:
                incoming.check_delivery(pair, delivered.identity, self._account, wiring.waiter.pause)
            else:
                incoming.sign_in(pair, self._account, wiring.waiter.pause)
            self._look: Look | None = None
            self._denied: Denied | None = None
            try:
                self._look = first_look(pair, self._account, wiring.here, wiring.waiter.pause, young=True)
            except Denied as problem:  # who may not even list their keys can use the one that was delivered
                if not delivered:
                    raise
                self._denied = problem
            self._plan = self._planned()
            self.elsewhere: incoming.Elsewhere | None = None  # the old key that goes though no place here holds it
            if delivered and self._look:
                self.elsewhere = incoming.elsewhere(delivered.replaces, self._look, self._account, wiring.here)

    def _planned(self) -> incoming.Placement:
        pairs, others, _ = holds(self._wiring, self._profile)
        if self._delivered:
            who, replaces = self._delivered.identity, self._delivered.replaces
            key = incoming.Incoming(incoming.Origin.DELIVERY, self._pair, who, self._profile, replaces)
        else:
            assert self._look is not None
            key = incoming.Incoming(incoming.Origin.CONSOLE, self._pair, self._look.identity, self._profile)
        return incoming.plan_incoming(key, pairs, others, self._account)

    def introduce(self) -> None:
        """Who, which key, what becomes of the old one."""
        given, old, who = self._delivered, self._plan.old, self._plan.key.identity
        say = self._app.complain if given else self._app.say
        made = f" created by IT on {day(given.made)}" if given else ""
        say(f"{who.user} in {who.account}, key {mask(self._pair.key_id)}{made}, for profile {self._profile}")
        if old:
            fate = ", which will be deactivated and deleted" if self._takes_over else ""
            fate = fate if given else ", which AWS no longer accepts"
            say(f"It replaces {mask(old.key_id)}{fate}.")
        if self._denied:
            say("You are not allowed to manage your own keys, so it will not be replaced.")
        else:
            say("It will be replaced now and deleted, so any copy of it stops working.")
        if self.elsewhere:
            key, use = self.elsewhere.key, show.last_used(self.elsewhere.use, datetime.now(UTC))
            state = "" if key.active else " (inactive)"
            say(f"The old key {mask(key.key_id)}{state} is in no profile here; {use}.")
            say("It will be deactivated and deleted, so it stops working everywhere.")

    @property
    def _takes_over(self) -> bool:
        old, given = self._plan.old, self._delivered
        return bool(old and given and self._look and old.key_id == given.replaces)

    # Storing it

    def store(self, mark: Mark) -> list[Result]:
        """Put it into its places, then give up the old key that none of them held. Raises Problem if it is not there in
        the end."""
        wiring, pair = self._wiring, self._pair
        with wiring.stop.on_interrupt(), wiring.lock():
            if self._delivered:
                self._plan = self._planned()
                incoming.check_unfinished(unfinished(wiring.here, mend=True), pair, self._plan.old)
            if not self._denied:
                old = self.elsewhere.key.key_id if self.elsewhere else ""
                wiring.handed.mark(pair.key_id, mark._replace(replaces=old))
            placed = self._take_over() if self._takes_over else self._put()
            if self.elsewhere is None or self._look is None:
                return placed
            old = self.elsewhere.key.key_id
            return placed + give_up(self._app, self._account, self._look, pair, old, self._profile)

    def _put(self) -> list[Result]:
        app, file = self._app, self._app.paths.credentials
        places = incoming.put(self._plan, file, self._wiring.here, self._wiring.warn)
        if self._plan.way is incoming.Way.ADD:
            app.say(f"  {app.show_path(file)}: added {self._profile}")
        elif self._plan.way is incoming.Way.REPLACE:
            app.say(f"  updated {show.names(places)}")
        return []

    def _take_over(self) -> list[Result]:
        wiring, app, old = self._wiring, self._app, self._plan.old
        assert old is not None and self._look is not None
        plan = incoming.plan_takeover(self._pair, old, self._look, self._account, wiring.here)
        profiles = tuple(dict.fromkeys(place.profile for place in plan.note.places))
        with closing(Narrator(app)) as narrator:
            for warning in plan.warnings:
                narrator.warn(warning)
            try:
                outcome = incoming.take_over(
                    plan, self._account, wiring.here, narrator, app.settings.policy, wiring.waiter
                )
                return [Result(profiles, old.key_id, outcome)]
            except Problem as problem:
                # The old key could not be given up, but the new one is where it belongs
                held = wiring.here.places.search([self._pair.key_id], plan.note.places)
                if not any(h.pair == self._pair for h in held):
                    raise
                return [Result(profiles, old.key_id, problem=problem)]

    # Afterwards

    def rotate(self, stored: list[Result]) -> list[Result]:
        """Replace it at once, if it may be and there is room."""
        for result in stored:
            if result.problem:
                self._rotate.tell(result)
            elif result.outcome and result.outcome.ending is not Ending.MERGED:
                raise Problem("the profiles changed in the meantime, so nothing was done", "repeat the command")
        remember(self._wiring, self._app, stored)
        if self._denied:
            message = f"the key is set up but was not replaced: {self._denied.message}"
            problem = Denied(message, Hint("policy", "self", lead="ask IT for"), action=self._denied.action)
            result = Result((self._profile,), self._pair.key_id, problem=problem)
            self._rotate.tell(result)
            return [result]
        if any(result.problem for result in stored):
            return []
        return self._rotate.run()

    def end(self, results: list[Result], *, as_json: bool) -> int:
        """Tell what came of it; who may not make keys is not reminded of one that was delivered."""
        self._wiring.forget_handed()
        if self._denied or (self._delivered and any(incoming.cannot_rotate(result.problem) for result in results)):
            self._wiring.handed.clear(self._pair.key_id)
        return _end(self._app, self._rotate, results, as_json=as_json)


# What was typed


def _given(app: App, source: str | None) -> Credentials | str:
    """The pair, or the name or link of a delivery."""
    if source is None:
        return _asked(app)
    if is_link(source):
        raise WrongUsage(
            "a link is as secret as the key itself, and others can read what is typed here",
            Hint("adopt", rest=", and paste the link when asked (or - to read it from a pipe)"),
        )
    if is_delivery(source):
        return source
    text, name = _text(source), "standard input" if source == "-" else source
    line = text.strip()
    if source == "-" and (is_link(line) or is_delivery(line)) and not any(map(str.isspace, line)):
        return line
    keys = keys_in(text)
    if not keys:
        accepted = f"{_ACCEPTED}, or a link from IT" if source == "-" else _ACCEPTED
        raise Problem(f"{name} holds no access key that can be read; accepted are {accepted}", Hint("adopt"))
    if len(keys) > 1:
        raise Problem(f"{name} holds {len(keys)} keys, and one is taken at a time", Hint("adopt"))
    return _checked(*keys[0])


def _asked(app: App) -> Credentials | str:
    if not app.terminal:
        raise NeedsPerson(
            "not running in a terminal, so the key cannot be asked for", Hint("adopt", "accessKeys.csv", "--yes")
        )
    typed = app.ask("Access key ID, or the link from IT (hidden)", hide_input=True).strip()
    if is_link(typed) or is_delivery(typed):
        return typed
    if keys := keys_in(typed):  # both were pasted, in one line
        return _checked(*keys[0])

    def value(text: str, group: int) -> str:
        """What was typed, without a name before it (`aws_access_key_id = `)."""
        found = _NAMED.search(text)
        return found[group] if found and found[group] else text

    key_id = value(typed, 1)
    check_id(key_id)
    app.complain(f"Access key ID: {key_id}")  # it is no secret, and a typing error can be seen
    return _checked(key_id, value(app.ask("Secret access key (hidden)", hide_input=True).strip(), 2))


def keys_in(text: str) -> tuple[tuple[str, str], ...]:
    """Each id with its secret, as they are written: by their names, or, where those are others, by how they look, if
    there is just one of each. Whether they can be a key is not looked at."""
    named = _by_names(text)
    if any(_ID.fullmatch(key_id) for key_id, _ in named):
        return named
    ids, secrets = (set(looks.findall(text.replace("\\/", "/"))) for looks in _LOOKS)
    return ((*ids, *secrets),) if len(ids) == len(secrets) == 1 else named


def _by_names(text: str) -> tuple[tuple[str, str], ...]:
    """Behind names (JSON, a section, lines for a shell), below names (the console's table, with commas, semicolons or
    tabs), or alone."""
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip() and not _COMMENT.match(line)]
    for delimiter in ",;\t":
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
        heads = [cell.lower() for row in rows[:1] for cell in row]
        if set(_HEADS) <= set(heads):
            key_id, secret = map(heads.index, _HEADS)
            full = [row for row in rows[1:] if len(row) > max(key_id, secret) and (row[key_id] or row[secret])]
            return tuple({(row[key_id], row[secret]): None for row in full})
    named = _NAMED.findall("\n".join(lines).replace("\\/", "/"))
    ids, secrets = [key_id for key_id, _ in named if key_id], [secret for _, secret in named if secret]
    words = re.split(r"[\s,;|]+", text.strip())
    if not named and len(words) == 2 and _ID.fullmatch(words[0]):
        return ((words[0], words[1]),)
    return tuple(dict.fromkeys(zip(ids, secrets, strict=True))) if len(ids) == len(secrets) else ()


def _text(path: str) -> str:
    """A file's text, whichever editor wrote it: what is no UTF-8 stands beside the key, which is plain ASCII."""
    data = sys.stdin.buffer.read(_MOST) if path == "-" else read_regular(path, Hint("adopt", "-"), _MOST)
    return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")


def _checked(key_id: str, secret: str) -> Credentials:
    check_id(key_id)
    if not _SECRET.fullmatch(secret):
        raise Problem("that is not a secret access key", "copy the whole of it, without blanks")
    return Credentials(key_id, secret)


def check_id(key_id: str) -> None:
    """Raises Problem for what is no id of a long-term key; it shows nothing of what it was."""
    if key_id.startswith("ASIA"):
        raise Problem("that is a temporary key (ASIA...); only long-term keys can be rotated", Hint("adopt"))
    if not _ID.fullmatch(key_id):
        raise Problem("that is neither an access key ID of an IAM user (AKIA...) nor a link", Hint("adopt"))
