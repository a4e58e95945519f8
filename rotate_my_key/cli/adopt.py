"""`adopt`: a key that IT or the console gave goes into a profile and is replaced at once, so that whoever saw it on the
way holds a dead one."""

from __future__ import annotations

import csv
import io
import re
import sys

import click

from ..errors import NeedsPerson, Problem, WrongUsage, mask
from ..files.regular import read_regular
from ..model import Credentials
from ..profiles.edit import add_pair
from ..profiles.file import Kind, sections
from ..profiles.which import named_profile
from ..rotation.adopt import Adoption, Way, plan_adoption
from ..rotation.importing import sign_in
from ..rotation.prepare import first_look
from . import moves, show
from .app import App
from .delivery import is_delivery, is_link, refuse_link
from .rotating import Rotate, exit_code
from .signing import signing_options
from .taken import say_replaced, was_replaced
from .wiring import Wiring

_ID = re.compile(r"AKIA[A-Z0-9]{12,124}")  # IAM user guide, "unique identifiers"
_SECRET = re.compile(r"[\x21-\x7e]{16,128}")
_MOST = 1 << 16  # bytes
_HEADS = ("access key id", "secret access key")  # of the console's accessKeys.csv, in any case


@click.command("adopt")
@click.argument("source", required=False, metavar="[accessKeys.csv | DELIVERY]", type=click.Path())
@click.option("-p", "--profile", metavar="NAME", help="The profile to put it in (else AWS_PROFILE, else default).")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--give-up", metavar="KEY_ID", help="The old key of a DELIVERY may go though it was used since.")
@signing_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(app: App, /, source: str | None, profile: str | None, yes: bool, give_up: str | None, as_json: bool) -> int:
    """Take a first or new key that IT or the console gave.

    Reads the console's accessKeys.csv (or - for standard input), or asks for the key, hidden. Proves it with AWS, puts
    it into the profile, which is made if it is absent, and rotates it at once: the key that was handed over is dead
    afterwards.

    A DELIVERY is what IT made with fleet reissue: secretsmanager:NAME or s3://BUCKET/NAME, fetched with --auth-profile
    or with the profile's own key; or a link, which is a secret: paste it when asked, or give it to - on standard input.
    """
    given = _given(app, source)
    if isinstance(given, str):
        from .handed_over import adopt_delivery

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
        sign_in(pair, account, wiring.clockwork.pause)
        look = first_look(pair, account, wiring.here, wiring.clockwork.pause, young=True)
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
