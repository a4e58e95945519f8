"""Everything that is asked and refused before a rotation begins; nothing is changed here.

`prepare` gives a `RotationPlan`: what the key is, what would happen, and what a person must agree to. The same call is
made again under the lock, so that what was agreed to is what is done.

AWS allows a user two access keys, so what the second one is decides whether a rotation may begin: a key that this tool
switched off goes by itself, another inactive one on consent, an active one never."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from ..core.errors import Declined, Denied, KeyRefused, NeedsPerson, NotAllowed, Problem, TryLater
from ..core.hints import Again, Hint
from ..core.model import (
    AccessKey,
    Credentials,
    Holding,
    LastUse,
    Look,
    Place,
    PlaceKind,
    Recall,
    is_exempt,
    recalled,
    second_in_use,
    wanted_by_it,
)
from ..core.plan import ENDS, Note, PlaceState, Step, World, after, next_step
from ..core.policy import LIVE, TWO_KEYS, Hook, Policy, Verdict, clock, gone, mask
from .facts import LocalState, first_note, first_world, is_new, listed, readable_notes
from .ports import Account

_MORE = 2  # sign-ins of a key that AWS has refused: a look costs four calls, and a dead key may cost six
NEW_KEY = "(new)"  # the id of a key that is not made yet, in a dry run


@dataclass(frozen=True, slots=True)
class RotateOptions:
    """What the person asked for, for all keys of a run: how long the old key goes on working after the switch
    (`overlap`; `overlap_most` if something else uses it still), and is then kept, switched off (`keep_old`). `young`:
    the keys were handed over just now; those of `leaked`, by id, wait for nobody."""

    policy: Policy
    forced: bool = False
    overlap: timedelta = timedelta(0)
    overlap_most: timedelta = timedelta(0)
    keep_old: timedelta = timedelta(0)
    young: bool = False
    leaked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Second:
    """The user's other access key. `kept` is the note that keeps it, if this tool switched it off."""

    key: AccessKey
    last_use: LastUse | None
    kept: Note | None
    pair: Credentials | None
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class RotationPlan:
    """What would happen to a key. `draft` is the note that BEGIN would write; None if nothing is to be done. `hooks`
    are the person's commands that would be told."""

    pair: Credentials
    options: RotateOptions
    look: Look
    key: AccessKey
    verdict: Verdict
    exempt: bool
    places: tuple[Place, ...]
    warnings: tuple[str, ...] = ()
    second: Second | None = None
    draft: Note | None = None
    hooks: tuple[Hook, ...] = ()
    recall: Recall | None = None

    @property
    def due(self) -> bool:
        """Whether the rotation would begin."""
        return self.draft is not None

    @property
    def leaked(self) -> bool:
        """Whether the key waits for nobody."""
        return self.pair.key_id in self.options.leaked

    @property
    def merge(self) -> bool:
        """Whether the places of one of the user's keys take the pair of the other one first."""
        return self.draft is not None and self.draft.wanted is not None

    def pairs(self) -> dict[str, Credentials]:
        """The pairs known, by id."""
        known = [self.pair, *([self.second.pair] if self.second and self.second.pair else [])]
        return {pair.key_id: pair for pair in known}

    def world(self, here: LocalState, *, make_room: bool = False) -> World:
        """The facts to start from; `make_room`: the person agreed to give up the inactive second key."""
        draft = self.draft
        if draft and make_room and self.second and not self.merge:
            draft = replace(draft, may_delete=self.second.key.key_id)
        name = draft.name if draft else self.key.key_id
        world = first_world(self.look, name, here, None)
        untold = tuple(hook.name for hook in self.hooks if hook.holds_old)
        return replace(world, draft=draft, asked=draft is not None, forced=draft is not None, untold=untold)


def prepare(
    pair: Credentials, options: RotateOptions, account: Account, here: LocalState, pause: Callable[[float], None]
) -> RotationPlan:
    """Look at the key, and refuse what cannot end well. Raises Problem (root, a role, a key that is not the user's, a
    place that cannot be written), NotAllowed (AWS refuses the key or denies IAM), TryLater."""
    look = first_look(pair, account, here, pause, young=options.young)
    look, key = _own_key(look, pair, account, here, pause)
    verdict = options.policy.verdict(key, look.now)
    recall = recalled(look.tags, key.created, look.now)
    if recall:
        verdict = Verdict.OVERDUE
    elif verdict is Verdict.FRESH and wanted_by_it(look.tags, key.key_id):
        verdict = Verdict.DUE
    plan = RotationPlan(pair, options, look, key, verdict, is_exempt(look.tags), (), recall=recall)
    holdings = [h for h in here.places.search([key.key_id]) if h.pair]
    places = tuple(h.place for h in holdings if h.pair == pair)
    warnings = left_alone(holdings, pair)
    plan = replace(plan, places=places, warnings=warnings)
    fresh = verdict is Verdict.FRESH and not look.dead
    if not options.forced and (fresh or plan.exempt):
        return plan
    second = _second(look, key, account, here)
    draft = _draft(plan, first_note(key.key_id, look, places, account.endpoint, here))
    draft = _merged(plan, second, draft) or draft
    old = pair if draft.name == key.key_id or second is None else second.pair
    assert old is not None
    if not draft.places:
        raise Problem(f"no profile here holds key {mask(draft.name)} any more", Hint("status"))
    return replace(
        plan,
        second=second,
        draft=draft,
        hooks=here.commands.of(draft.places),
        warnings=(*warnings, *here.places.rehearse(draft.places, old)),
    )


def left_alone(holdings: Sequence[Holding], pair: Credentials) -> tuple[str, ...]:
    """What is said of the places that hold a key's id, and not its pair."""
    return tuple(
        f"{h.place.profile} in {h.place.path} holds this key {_how(h.pair)} and is left alone"
        for h in holdings
        if h.pair and h.pair != pair
    )


def _how(held: Credentials) -> str:
    return "with a session token" if held.token else "with a different secret" if held.secret else "without its secret"


def foresee(world: World, policy: Policy) -> list[Step]:
    """The steps that would be taken if all goes well, for `--dry-run`: the same table, on facts carried forward."""
    steps: list[Step] = []
    now = world.listed_at
    while (step := next_step(world, policy, now)) not in ENDS:
        steps.append(step)
        made = AccessKey(NEW_KEY, "Active", now) if step is Step.CREATE else None
        world = after(step, world, now, made)
        if step is Step.BEGIN and world.note is not None:
            world = replace(world, places=dict.fromkeys(world.note.places, PlaceState.UNWANTED))
    return steps


def first_look(
    pair: Credentials, account: Account, here: LocalState, pause: Callable[[float], None], *, young: bool = False
) -> Look:
    """Look at a key. A dead one is cheap, in `--all` as well as alone: four calls at once and two more, a second apart,
    as AWS may say no once to a key that it knows. Only one that was made here within two minutes, by AWS's clock, or
    handed over just now (`young`) is waited for. Raises KeyRefused; a wrong secret at once, and a key that this tool
    has deleted, which a backup or a sync brought back, without a call."""
    if end := gone(here.history.entries()).get(pair.key_id):
        raise KeyRefused(
            f"key {mask(pair.key_id)} was {end}; an older file has been restored",
            Hint("adopt", lead="restore the newer file, also where the older one came from; or add a new key"),
        )
    try:
        return account.look([pair])
    except KeyRefused as problem:
        refusal = problem
    if refusal.wrong_secret:
        raise refusal
    if young or is_new(pair.key_id, account.now(), here.history):
        return account.look([pair], patient=True)
    for _ in range(_MORE):
        pause(1.0)
        with suppress(KeyRefused):
            account.identify(pair)
            return account.look([pair], patient=True)
    raise refusal  # of the look, which knows who signed


def _own_key(
    look: Look, pair: Credentials, account: Account, here: LocalState, pause: Callable[[float], None]
) -> tuple[Look, AccessKey]:
    """The entry of this key in its user's list, and the look with the list that has it."""
    who = look.identity
    if who.is_root:
        raise Problem(
            "this is a key of the account's root user, which should have no keys",
            "delete it in the console (root's security credentials) and use an IAM user or `aws login`",
        )
    if not who.is_user:
        raise Problem(f"{who.arn} is not an IAM user; only a user's long-term key can be rotated", Hint("status"))
    key = listed(look.keys, here.history).get(pair.key_id)
    for _ in range(5):
        if key is not None:
            break
        pause(1.0)  # the list lags behind a key that was made just now
        look = replace(look, keys=account.keys(), now=account.now())
        key = listed(look.keys, here.history).get(pair.key_id)
    if key is None:
        raise Problem(f"key {mask(pair.key_id)} is not among the keys of {who.user}", Hint("status"))
    if not key.active and not look.auth_profile:
        raise NotAllowed(
            f"key {mask(pair.key_id)} of {who.user} is inactive",
            Again(
                *("--auth-profile", "NAME"),
                lead="if you can sign in another way",
                rest="; else ask IT to reactivate it",
            ),
        )
    return look, key


def _second(look: Look, key: AccessKey, account: Account, here: LocalState) -> Second | None:
    others = [k for k in listed(look.keys, here.history).values() if k.key_id != key.key_id]
    if not others:
        return None
    other = others[0]
    held = [h for h in here.places.search([other.key_id]) if h.pair]
    ids = other.key_id, key.key_id
    kept = next((note for note in readable_notes(here.notes) if (note.unwanted, note.wanted) == ids), None)
    try:
        use = account.last_use(other.key_id)
    except (Denied, TryLater):
        use = None
    return Second(other, use, kept, held[0].pair if held else None, tuple(h.place for h in held))


def _draft(plan: RotationPlan, note: Note) -> Note:
    """With how long the old key goes on working. A recalled key works no longer than IT lets it."""
    options, now = plan.options, plan.look.now
    most = max(plan.recall.by - now, timedelta(0)) if plan.recall else timedelta.max
    options = replace(options, overlap=min(options.overlap, most), overlap_most=min(options.overlap_most, most))
    live = not (plan.leaked or options.young) and any(place.kind is PlaceKind.KEYRING for place in plan.places)
    overlap = max(options.overlap, LIVE) if live else options.overlap
    return replace(
        note,
        switch_off_at=now + overlap,
        delete_at=now + overlap + options.keep_old,
        latest=now + max(overlap, options.overlap_most) if overlap else None,
        leaked=plan.leaked,
        live=not options.young,
    )


def _merged(plan: RotationPlan, second: Second | None, note: Note) -> Note | None:
    """If places here hold both of a user's keys, the older one's places take the younger pair first; the one that stays
    must be active."""
    if second is None or second.pair is None:
        return None
    mine, other = plan.key, second.key
    if not mine.active and not other.active:
        raise NotAllowed(f"both keys of {plan.look.identity.user} are inactive", "ask IT to reactivate one")
    younger = other.active and (other.created > mine.created or not mine.active)
    stays, goes = (other, mine) if younger else (mine, other)
    places = plan.places if goes is mine else second.places
    return replace(note, name=goes.key_id, unwanted=goes.key_id, wanted=stays.key_id, places=places)


class Consent(Protocol):
    """Who is asked. Without a terminal each verb raises NeedsPerson, naming the flag."""

    attended: bool  # whether there is a person to ask
    asks: bool  # whether `agree` would ask: not with --yes

    def agree(self, plans: Sequence[RotationPlan]) -> timedelta | None:
        """None if these keys shall not be rotated now, else for how long the old ones shall go on working at least."""

    def introduce(self, plan: RotationPlan) -> None:
        """Tell what will happen, where nothing is asked."""

    def give_up(self, plan: RotationPlan) -> bool:
        """Whether the user's inactive second key may be deleted."""


def gives_up(plan: RotationPlan, asked: Consent) -> bool:
    """Whether the person gives up an inactive second key; False if none is in the way. Raises NeedsPerson."""
    second = plan.second
    if second is None or plan.merge:
        return False
    key_id = second.key.key_id
    if second.kept:
        waits = plan.look.now < second.kept.delete_at and not plan.leaked
        if plan.recall:  # it was recalled, too: what others may still use works until then, and no longer
            waits = waits and second.key.active and plan.look.now < plan.recall.by
        if waits and not asked.attended:
            kind, force = TryLater if plan.recall else NeedsPerson, ["--force"] if plan.options.forced else []
            hint = Hint("rotate", *force, profile=_profile(plan), lead="in a terminal")  # there they can give it up
            raise kind(f"{_kept(second, plan.look.now)}, and {TWO_KEYS}", hint)
        return False
    check_slot(plan)
    if asked.give_up(plan):
        return True
    kind = Declined if asked.asks and asked.attended else NeedsPerson
    hint = Hint("delete-key", key_id, profile=_profile(plan))
    raise kind(f"your other key, {mask(key_id)}, is inactive, and {TWO_KEYS}", hint)


def _kept(second: Second, now: datetime) -> str:
    """What an earlier rotation promised of its old key."""
    assert second.kept is not None
    how, until = "stays inactive", second.kept.delete_at
    if second.key.active:
        how, until = "works", second.kept.switch_off_at
    return f"old key {mask(second.key.key_id)} {how} until {clock(until, now)}"


def check_slot(plan: RotationPlan) -> None:
    """Raises NeedsPerson if the user's second key is active, so that there is no room for a new one."""
    second = plan.second
    if second and second.key.active and not second.kept and not plan.merge:
        said, hint = second_in_use(_profile(plan), plan.key, second.key, second.last_use, plan.look)
        raise NeedsPerson(f"{plan.look.identity.user} has {said}", hint)


def _profile(plan: RotationPlan) -> str:
    names = [place.profile for place in plan.places] or ["default"]
    return "default" if "default" in names else names[0]
