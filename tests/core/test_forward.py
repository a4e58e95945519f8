"""What a step changes in the facts, and that carrying them forward comes to an end whatever they are."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotate_my_key.core.model import AccessKey
from rotate_my_key.core.plan import (
    ENDS,
    Note,
    PlaceState,
    Step,
    World,
    after,
    next_step,
    stranger,
    to_discard,
    waits_for_owed,
)
from rotate_my_key.core.policy import Policy
from tests.core.worlds import (
    ALICE,
    BACK,
    ELSE,
    EMPTY,
    HOME,
    MADE,
    MERGE,
    NEW,
    NEW_KEY,
    NOTE,
    NOW,
    OLD,
    OLD_KEY,
    OTHER,
    TORN,
    UNWANTED,
    WANTED,
    WORK,
    key,
    seconds,
    world,
)

SENT = replace(NOTE, sent=NOW - seconds(30))
STRAY = key(OTHER, seconds(29))
LIMIT = 60  # steps; a rotation takes nine


def run_through(facts: World) -> list[tuple[Step, World]]:
    """The steps that are taken if all goes well, each with the facts before it; the last one is an end."""
    steps: list[tuple[Step, World]] = []
    now = NOW
    while not steps or (steps[-1][0] not in ENDS and len(steps) < LIMIT):
        step = next_step(facts, Policy(), now)
        steps.append((step, facts))
        now += seconds(1)
        full = step is Step.CREATE and len(facts.keys) >= 2
        made = AccessKey(NEW, "Active", now)
        facts = replace(facts, full=True) if full else after(step, facts, now, made)
        if step is Step.BEGIN:
            facts = replace(facts, places={HOME: UNWANTED, WORK: UNWANTED})
    return steps


def runs(name: str, steps: str) -> Callable[..., Any]:
    """The steps of a whole run, and then what is so before it."""
    return lambda *facts, **more: pytest.param(world(*facts, **more), steps, id=name)


GONE = "deactivate, delete, finish, done"
PLACED = f"prove, switch, {GONE}"
DRAFT = {"asked": True, "draft": NOTE}
UNDO = replace(BACK, undo=True)
OFF = replace(OLD_KEY, status="Inactive")
ROOM = replace(NOTE, known=(OLD, OTHER), may_delete=OTHER)


@pytest.mark.parametrize(
    ("facts", "steps"),
    [
        runs("an ordinary rotation", f"begin, create, {PLACED}")(None, **DRAFT),
        runs("with copies", f"begin, create, prove, switch, follow, {GONE}")(
            None, **DRAFT | {"draft": replace(NOTE, copies=True)}
        ),
        runs("two keys become one", f"begin, {PLACED}")(None, OLD_KEY, NEW_KEY, **DRAFT | {"draft": MERGE}),
        runs("with an inactive key that goes first", f"begin, create, make room, create, {PLACED}")(
            None, OLD_KEY, key(OTHER, status="Inactive"), **DRAFT | {"draft": ROOM}
        ),
        runs("the old key is kept", "begin, create, prove, switch, deactivate, wait")(
            None, **DRAFT | {"draft": replace(NOTE, delete_at=NOW + timedelta(days=7))}
        ),
        runs("a lost answer", f"look, discard, create, {PLACED}")(SENT, OLD_KEY, STRAY),
        runs("undone where a file was emptied", f"switch on, prove, restore, {GONE}")(
            UNDO, OFF, NEW_KEY, home=EMPTY, work=ELSE
        ),
        runs("taken back half-way", PLACED)(BACK, OLD_KEY, NEW_KEY, home=UNWANTED, work=WANTED),
        runs("undone", f"switch on, {PLACED}")(UNDO, OFF, NEW_KEY),
        runs("killed before the end", "check, delete, finish, done")(MADE, OFF, NEW_KEY, home=WANTED),
        runs("no place may take the old key", "blocked")(UNDO, OLD_KEY, home=PlaceState.OWN, secrets=(OLD,)),
        runs("dropped, and not begun again", "drop, done")(MADE, OLD_KEY),
        runs("the secret is lost", "discard, drop, done")(MADE, OLD_KEY, NEW_KEY, secrets=()),
    ],
)
def test_all_goes_well(facts: World, steps: str) -> None:
    """As `--dry-run` would tell them."""
    assert ", ".join(step.value for step, _ in run_through(facts)) == steps


@pytest.mark.parametrize("step", sorted(ENDS, key=str))
def test_an_end_changes_nothing(step: Step) -> None:
    """WAIT, BLOCKED and DONE are not done."""
    assert after(step, world(MADE), NOW) == world(MADE)
    assert after(step, world(None), NOW) == world(None)


def test_a_key_that_goes_is_remembered() -> None:
    """A list that lags must not bring it back. One request makes one key: once that of a lost answer is discarded, what
    else was made in its time is somebody else's, and another is to be made."""
    facts = after(Step.DELETE, world(MADE, OLD_KEY, NEW_KEY), NOW)
    assert (set(facts.keys), facts.gone, facts.fresh_list) == ({NEW}, frozenset({OLD}), False)
    facts = after(Step.DISCARD, world(SENT, OLD_KEY, STRAY, unused=[OTHER], full=True), NOW)
    assert (facts.note, facts.full) == (replace(SENT, sent=None, lost=(), again=True), False)
    facts = after(Step.DISCARD, world(replace(MADE, lost=(NOW,)), OLD_KEY, NEW_KEY, secrets=()), NOW)
    assert facts.note == replace(NOTE, lost=(NOW,))


def test_what_places_hold_and_keys_are_used_for_after_a_step() -> None:
    """Taking back writes nothing: what was there is now what is not wanted. A switch leaves alone what a person
    changed. Carried forward, a look shows nothing new: nobody uses the stranger."""
    facts = after(Step.TAKE_BACK, world(MADE, home=WANTED, work=ELSE), NOW)
    assert (facts.note, facts.places) == (MADE.swapped(), {HOME: UNWANTED, WORK: ELSE})
    assert after(Step.SWITCH, world(MADE, home=TORN, work=ELSE), NOW).places == {HOME: WANTED, WORK: ELSE}
    assert after(Step.LOOK, world(SENT, OLD_KEY, STRAY), NOW).unused == {OTHER}
    assert after(Step.LOOK, world(SENT), NOW).unused == frozenset()


# Whatever the facts are

IDS = (OLD, NEW, OTHER)
ids = st.frozensets(st.sampled_from(IDS))
times = st.integers(-40, 10).map(lambda second: NOW + seconds(second))
access_keys = st.builds(AccessKey, st.sampled_from(IDS), st.sampled_from(["Active", "Inactive"]), times)


@st.composite
def notes(draw: st.DrawFn) -> Note:
    """Any note: also such as no run would leave."""
    unwanted, wanted = draw(st.sampled_from([(OLD, NEW), (OLD, None), (NEW, OLD)]))
    return Note(
        name=OLD,
        identity=ALICE,
        endpoint="aws",
        unwanted=unwanted,
        wanted=wanted,
        known=draw(st.sampled_from([(OLD,), (OLD, NEW), (OLD, OTHER)])),
        places=(HOME, WORK),
        began=NOW - seconds(60),
        switch_off_at=draw(st.sampled_from([NOW - seconds(60), NOW + seconds(60)])),
        delete_at=draw(st.sampled_from([NOW - seconds(60), NOW + seconds(60)])),
        may_delete=draw(st.sampled_from([None, OTHER, NEW])),
        sent=draw(st.none() | times),
        lost=tuple(draw(st.lists(times, max_size=2))),
        undo=draw(st.booleans()),
        copies=draw(st.booleans()),
        followed=draw(st.booleans()),
        leaked=draw(st.booleans()),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any facts with a note."""
    keys = draw(st.lists(access_keys, max_size=2, unique_by=lambda k: k.key_id))
    return World(
        key_id=OLD,
        keys={k.key_id: k for k in keys},
        places={place: draw(st.sampled_from(PlaceState)) for place in (HOME, WORK)},
        first_look=draw(times),
        listed_at=draw(times),
        note=draw(notes()),
        secrets=draw(ids),
        asked=draw(st.booleans()),
        begun=draw(st.booleans()),
        full=draw(st.booleans()),
        fresh_list=draw(st.booleans()),
        used=draw(ids),
        unused=draw(ids),
        proven=draw(ids),
        checked=draw(ids),
        denied=draw(st.frozensets(st.sampled_from([Step.DEACTIVATE, Step.DELETE, Step.TAKE_BACK]))),
        owed=draw(st.sampled_from([None, (), ("a",)])),
        untold=draw(st.sampled_from([(), ("a",)])),
    )


@settings(max_examples=300)
@given(worlds())
def test_whatever_the_facts_are_the_steps_end_and_break_no_promise(facts: World) -> None:
    """No facts lead in circles; no step retires a key that a place holds, or deletes one that is not ours to delete."""
    steps = run_through(facts)
    assert steps[-1][0] in ENDS
    for step, before in steps:
        note = before.note
        held = before.places_in(PlaceState.UNWANTED, PlaceState.TORN)
        match step:
            case Step.DEACTIVATE | Step.DELETE:
                assert note and not held
                assert not (note.back and note.unwanted in note.known)
                assert not waits_for_owed(before, note)
                assert before.owed is not None or not note.copies or not {note.wanted, note.unwanted} <= before.secrets
                assert not before.places_in(PlaceState.WANTED) or note.wanted in before.checked
            case Step.SWITCH:
                assert note and note.wanted in before.proven and before.keys[note.wanted].active
            case Step.DISCARD:
                gone = to_discard(before)
                assert note and gone not in note.known and gone != note.name and gone not in before.secrets
                assert gone == note.wanted or (gone == stranger(before) and gone in before.unused)
            case Step.MAKE_ROOM:
                assert note and note.may_delete and not before.keys[note.may_delete].active
            case Step.CREATE:
                assert note and note.wanted is None and before.places_in(PlaceState.UNWANTED)
