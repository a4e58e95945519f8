"""Which step comes next: the table of the rotation, a sentence a row."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.core.model import LastUse, Place, PlaceKind
from rotate_my_key.core.plan import SETTLE, Note, PlaceState, Step, World, next_step, stranger, to_discard
from rotate_my_key.core.policy import LIVE, LIVE_SOON, Policy
from tests.core.worlds import (
    AWAY,
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
    OWN,
    TORN,
    UNWANTED,
    WANTED,
    WORK,
    key,
    seconds,
    world,
)

OFF = replace(OLD_KEY, status="Inactive")
NEW_OFF = replace(NEW_KEY, status="Inactive")
SENT = replace(NOTE, sent=NOW - seconds(30))  # a CreateAccessKey whose answer is not known
JUST_SENT = replace(NOTE, sent=NOW - seconds(5))
LOST = replace(NOTE, lost=(NOW - seconds(30),))  # it was looked for, and may show late
KEYRING = Place("/home/alice/.aws/config", "vault", PlaceKind.KEYRING)
KEPT = replace(MADE, delete_at=NOW + timedelta(days=7))
KEPT_ACTIVE = replace(KEPT, switch_off_at=KEPT.delete_at)
ROOM = replace(NOTE, known=(OLD, OTHER), may_delete=OTHER)
UNDO = replace(BACK, undo=True)
COPIES = replace(MADE, copies=True)
COPIES_KEPT = replace(COPIES, switch_off_at=NOW + timedelta(days=7), delete_at=NOW + timedelta(days=7))
MADE_LATER = replace(MADE, lost=LOST.lost)
STRAY = key(OTHER, seconds(29))  # made while the answer was due
LATELY: dict[str, Any] = {"listed_at": NOW - seconds(10)}  # so that the list may lack what is young
PLACED: dict[str, Any] = {"home": WANTED, "checked": [NEW]}  # the places hold the new pair, and it has signed in


def row(name: str, step: Step) -> Callable[..., Any]:
    """What comes next, and then what is so."""
    return lambda *facts, **more: pytest.param(world(*facts, **more), step, id=name)


@pytest.mark.parametrize(
    ("note", "stray", "facts", "ours"),
    [
        pytest.param(SENT, STRAY, {}, True, id="made while the answer was due"),
        pytest.param(LOST, STRAY, {}, True, id="made while an earlier answer was due"),
        pytest.param(replace(LOST, sent=NOW), STRAY, {}, True, id="the same, with another one under way"),
        pytest.param(SENT, key(OTHER, seconds(32)), {}, True, id="CreateDate has whole seconds: 2 seconds earlier"),
        pytest.param(SENT, key(OTHER, seconds(33)), {}, False, id="made before the request"),
        pytest.param(SENT, key(OTHER, seconds(10)), {}, True, id="made 20 seconds after the request"),
        pytest.param(SENT, key(OTHER, seconds(9)), {}, False, id="made when the request was over"),
        pytest.param(NOTE, STRAY, {}, False, id="nothing was sent"),
        pytest.param(replace(SENT, known=(OLD, OTHER)), STRAY, {}, False, id="it was there before"),
        pytest.param(SENT, STRAY, {"secrets": (OTHER,)}, False, id="its secret is here"),
        pytest.param(SENT, STRAY, {"used": [OTHER]}, False, id="somebody uses it"),
        pytest.param(replace(SENT, wanted=OTHER), STRAY, {}, False, id="it is the wanted key"),
        pytest.param(replace(SENT, known=(), unwanted=OTHER), STRAY, {}, False, id="it is the unwanted key"),
    ],
)
def test_whose_an_unknown_key_is(note: Note, stray: object, facts: dict[str, object], ours: bool) -> None:
    """Only the one key that can be nothing but the lost answer is ours; without a note nothing was lost."""
    seen = world(note, OLD_KEY, stray, **{"secrets": (), **facts})  # type: ignore[arg-type]
    assert stranger(seen) == (OTHER if ours else None)
    assert stranger(replace(seen, note=None)) is None


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        # A rotation begins if it was asked for and is due or forced.
        row("a due key is rotated", Step.BEGIN)(None, asked=True),
        row("a fresh key is left alone", Step.DONE)(None, key(OLD), asked=True),
        row("due means 75 days old", Step.BEGIN)(None, key(OLD, timedelta(days=75)), asked=True),
        row("a fresh key is rotated by force", Step.BEGIN)(None, key(OLD), asked=True, forced=True),
        row("what nobody asked for does not begin", Step.DONE)(None),
        row("a key that is gone is not rotated", Step.DONE)(None, NEW_KEY, asked=True, forced=True),
        # No wanted key is known yet.
        row("begun in this run: a new key is made", Step.CREATE)(NOTE, begun=True),
        row("nothing was ever sent: the note is dropped", Step.DROP)(NOTE),
        row("no place holds the old pair any more: it is kept", Step.BLOCKED)(NOTE, begun=True, home=ELSE),
        row("but not if its key is gone", Step.DROP)(NOTE, NEW_KEY, home=ELSE),
        row("one place is enough", Step.CREATE)(NOTE, begun=True, work=ELSE),
        row("an answer is missing: look for 15 seconds", Step.LOOK)(JUST_SENT),
        row("also if no place is left", Step.LOOK)(JUST_SENT, home=ELSE),
        row("nothing showed in 15 seconds: send once more", Step.CREATE)(SENT),
        row("nothing showed and no place is left: the pair is kept", Step.BLOCKED)(SENT, home=EMPTY),
        row("nothing is left that could be kept: dropped", Step.DROP)(SENT, home=ELSE, secrets=()),
        row("a later run goes on where an answer was lost", Step.CREATE)(LOST),
        row("a key shows: first see whether anybody uses it", Step.LOOK)(SENT, OLD_KEY, STRAY),
        row("nobody does: it is ours, and goes", Step.DISCARD)(SENT, OLD_KEY, STRAY, unused=[OTHER]),
        row("somebody does: it is left alone", Step.CREATE)(SENT, OLD_KEY, STRAY, used=[OTHER]),
        row("of two that might be ours none is touched", Step.CREATE)(
            SENT, STRAY, NEW_KEY, secrets=(), unused=[OTHER, NEW]
        ),
        row("at once", Step.DISCARD)(JUST_SENT, OLD_KEY, key(OTHER, seconds(5)), unused=[OTHER]),
        row("no third key is allowed: dropped", Step.DROP)(NOTE, begun=True, full=True),
        row("no third key is allowed, and the person gave up an inactive one: it goes", Step.MAKE_ROOM)(
            ROOM, OLD_KEY, key(OTHER, status="Inactive"), begun=True, full=True
        ),
        row("it goes only if AWS has said that there is no room", Step.CREATE)(
            ROOM, OLD_KEY, key(OTHER, status="Inactive"), begun=True
        ),
        row("somebody has switched it on since: the consent does not cover it", Step.DROP)(
            ROOM, OLD_KEY, key(OTHER), begun=True, full=True
        ),
        row("it is gone and there is still no room: dropped", Step.DROP)(ROOM, begun=True, full=True),
        row("no room, but the list shows one key: the lost one may show yet", Step.LOOK)(
            LOST, begun=True, full=True, listed_at=NOW - seconds(1)
        ),
        row("it did not show in 30 seconds: dropped", Step.DROP)(
            LOST, begun=True, full=True, first_look=NOW - seconds(30)
        ),
        row("the list shows whose the other key is: dropped", Step.DROP)(
            LOST, OLD_KEY, key(OTHER, timedelta(days=2)), begun=True, full=True
        ),
        # A wanted key is known, and not all places hold its pair yet.
        row("staged, not proven in this run: prove", Step.PROVE)(MADE, OLD_KEY, NEW_KEY),
        row("proven: into its places", Step.SWITCH)(MADE, OLD_KEY, NEW_KEY, proven=[NEW]),
        row("a place holds the old pair again: switch again", Step.SWITCH)(
            MADE, OLD_KEY, NEW_KEY, home=WANTED, work=UNWANTED, proven=[NEW], checked=[NEW]
        ),
        row("a torn place: prove first", Step.PROVE)(MADE, OLD_KEY, NEW_KEY, home=WANTED, work=TORN),
        row("a torn place, proven: heal it", Step.SWITCH)(MADE, OLD_KEY, NEW_KEY, home=TORN, proven=[NEW]),
        row("a place that a person changed leaves the rotation; the other one goes on", Step.SWITCH)(
            MADE, OLD_KEY, NEW_KEY, home=UNWANTED, work=ELSE, proven=[NEW]
        ),
        row("the old key is off: the only way is forward", Step.PROVE)(MADE, OFF, NEW_KEY),
        row("the old key is deleted: forward too", Step.PROVE)(MADE, NEW_KEY),
        row("the new secret is not here any more: discard", Step.DISCARD)(MADE, OLD_KEY, NEW_KEY, secrets=(OLD,)),
        row("but a key that was there before stays", Step.DROP)(MERGE, OLD_KEY, NEW_KEY, secrets=(OLD,)),
        row("and so does the one that was to be replaced", Step.DROP)(BACK, OLD_KEY, NEW_KEY, secrets=(NEW,)),
        row("the list lacks the new key: look for 15 s", Step.LOOK)(MADE, OLD_KEY, **LATELY),
        row("a settled list lacks it: dropped", Step.DROP)(MADE, OLD_KEY),
        row("somebody switched the new key off: take back", Step.TAKE_BACK)(MADE, OLD_KEY, NEW_OFF),
        row("somebody deleted it, places hold it: take back", Step.TAKE_BACK)(MADE, OLD_KEY, home=WANTED),
        row("the same, torn", Step.TAKE_BACK)(MADE, OLD_KEY, home=TORN),
        row("but the old secret is not here: nothing can be done", Step.BLOCKED)(
            MADE, OLD_KEY, NEW_OFF, home=WANTED, secrets=(NEW,)
        ),
        row("no place is ours and no pair is stored: that is the end of it", Step.DROP)(
            MADE, OLD_KEY, NEW_OFF, home=ELSE, secrets=()
        ),
        row("the new one gone, the old one in a place: over", Step.DROP)(MADE, OFF, home=WANTED, work=UNWANTED),
        row("but not if the old pair is only stored", Step.BLOCKED)(MADE, OFF, home=WANTED),
        row("both keys are off: nothing can be done", Step.BLOCKED)(MADE, OFF, NEW_OFF),
        row("the old key is gone, the new one off", Step.BLOCKED)(MADE, NEW_OFF),
        row("taking back was tried in this run", Step.BLOCKED)(MADE, OLD_KEY, NEW_OFF, denied=[Step.TAKE_BACK]),
        row("taking back, but the old key is gone: forward again", Step.TAKE_BACK)(BACK, NEW_KEY),
        row("taking back, but the old key is off: forward again", Step.TAKE_BACK)(BACK, OFF, NEW_KEY),
        row("undo switches the old key on", Step.SWITCH_ON)(UNDO, OFF, NEW_KEY),
        row("the list may be older than that it was switched off", Step.SWITCH_ON)(UNDO, OLD_KEY, NEW_KEY),
        row("then it is proven as any other", Step.PROVE)(UNDO, OLD_KEY, NEW_KEY, on=[OLD]),
        row("so it is if AWS denies to switch it on", Step.PROVE)(UNDO, OLD_KEY, NEW_KEY, denied=[Step.SWITCH_ON]),
        row("once the list is younger than any run that switched it off", Step.LOOK)(
            UNDO, OLD_KEY, NEW_KEY, denied=[Step.SWITCH_ON], **LATELY
        ),
        # No place holds the unwanted pair any more.
        row("what is read from the places must sign in first", Step.CHECK)(MADE, OLD_KEY, NEW_KEY, home=WANTED),
        row("then the old key goes off", Step.DEACTIVATE)(MADE, OLD_KEY, NEW_KEY, **PLACED),
        row("one place that holds the new pair is enough", Step.DEACTIVATE)(
            MADE, OLD_KEY, NEW_KEY, home=WANTED, work=ELSE, checked=[NEW]
        ),
        row("switched off by an earlier run: check", Step.CHECK)(MADE, OFF, NEW_KEY, home=WANTED),
        row("then delete", Step.DELETE)(MADE, OFF, NEW_KEY, **PLACED),
        row("expired is off", Step.DELETE)(MADE, replace(OFF, status="Expired"), NEW_KEY, **PLACED),
        row("switching off is denied: delete all the same", Step.DELETE)(
            MADE, OLD_KEY, NEW_KEY, **PLACED, denied=[Step.DEACTIVATE]
        ),
        row("switching off is denied and the key is to be kept: wait", Step.WAIT)(
            KEPT, OLD_KEY, NEW_KEY, **PLACED, denied=[Step.DEACTIVATE]
        ),
        row("deleting is denied", Step.BLOCKED)(MADE, OFF, NEW_KEY, home=WANTED, denied=[Step.DELETE]),
        row("kept: switched off", Step.DEACTIVATE)(KEPT, OLD_KEY, NEW_KEY, **PLACED),
        row("kept: then waited for", Step.WAIT)(KEPT, OFF, NEW_KEY, **PLACED),
        row("kept active", Step.WAIT)(KEPT_ACTIVE, OLD_KEY, NEW_KEY, **PLACED),
        row("while it is kept, a place that holds it again is switched", Step.SWITCH)(
            KEPT_ACTIVE, OLD_KEY, NEW_KEY, home=WANTED, work=UNWANTED, proven=[NEW]
        ),
        row("taken back: check what the places hold", Step.CHECK)(BACK, OLD_KEY, NEW_KEY, home=WANTED),
        row("then the new key goes off", Step.DEACTIVATE)(BACK, OLD_KEY, NEW_KEY, home=WANTED, checked=[OLD]),
        row("and is deleted", Step.DELETE)(BACK, OLD_KEY, NEW_OFF, home=WANTED, checked=[OLD]),
        row("and the list lacks it: finished", Step.FINISH)(BACK, OLD_KEY, home=WANTED, checked=[OLD]),
        row("a list that is not settled may lack the new key because it is young", Step.LOOK)(
            BACK, OLD_KEY, home=WANTED, **LATELY
        ),
        row("unless this run has deleted it", Step.FINISH)(
            BACK, OLD_KEY, home=WANTED, **LATELY, gone=[NEW], checked=[OLD]
        ),
        row("the old key is gone: finished", Step.FINISH)(MADE, NEW_KEY, **PLACED),
        row("an old key does not show late", Step.FINISH)(MADE, NEW_KEY, home=WANTED, **LATELY, checked=[NEW]),
        row("an answer was lost on the way: look once more", Step.LOOK)(
            MADE_LATER, NEW_KEY, home=WANTED, fresh_list=False
        ),
        row("its key shows: who uses it?", Step.LOOK)(MADE_LATER, NEW_KEY, STRAY, home=WANTED),
        row("nobody: it goes", Step.DISCARD)(MADE_LATER, NEW_KEY, STRAY, home=WANTED, unused=[OTHER]),
        row("somebody: it is left alone", Step.FINISH)(
            MADE_LATER, NEW_KEY, STRAY, home=WANTED, used=[OTHER], checked=[NEW]
        ),
        row("two keys become one: the younger is proven", Step.PROVE)(MERGE, OLD_KEY, NEW_KEY),
        row("and the older goes", Step.DELETE)(MERGE, OFF, NEW_KEY, **PLACED),
        row("taken back: the younger, which was there before, stays", Step.FINISH)(
            MERGE.swapped(), OLD_KEY, NEW_KEY, home=WANTED, work=OWN, checked=[OLD]
        ),
        # While no place holds one key, the other is not retired, and no stored pair is removed.
        row("before the switch: both keys stay", Step.BLOCKED)(MADE, OLD_KEY, NEW_KEY, home=EMPTY),
        row("the same if another key is there", Step.BLOCKED)(MADE, OLD_KEY, NEW_KEY, home=ELSE),
        row("the same if the file is away", Step.BLOCKED)(MADE, OLD_KEY, NEW_KEY, home=AWAY),
        row("the old key was switched off before that", Step.BLOCKED)(MADE, OFF, NEW_KEY, home=EMPTY),
        row("while the old key is kept", Step.BLOCKED)(KEPT_ACTIVE, OLD_KEY, NEW_KEY, home=ELSE),
        row("as the old key was deleted: the new pair stays", Step.BLOCKED)(MADE, NEW_KEY, home=ELSE),
        row("and somebody switched the new key off", Step.BLOCKED)(MADE, OLD_KEY, NEW_OFF, home=EMPTY),
        row("undo of a key that is gone puts nothing back", Step.BLOCKED)(UNDO, NEW_KEY, home=EMPTY),
        row("nothing that is stored works: it goes", Step.DROP)(MADE, NEW_OFF, home=EMPTY, secrets=(OLD,)),
        row("the list may lack the new key, whose pair is stored, because it is young", Step.LOOK)(
            BACK, OFF, home=ELSE, secrets=(NEW,), **LATELY
        ),
        row("it is gone, and the old one is in its place: over", Step.DROP)(BACK, OFF, home=WANTED),
        row("both keys are gone: nothing is left to keep", Step.DROP)(MADE, key(OTHER), home=ELSE),
        row("even if places still name one", Step.DROP)(MADE, key(OTHER), home=WANTED),
        row("taken back: the new key stays as well", Step.BLOCKED)(BACK, OLD_KEY, NEW_KEY, home=EMPTY),
        row("undo switches the old key on", Step.SWITCH_ON)(UNDO, OFF, NEW_KEY, home=EMPTY),
        row("proves it", Step.PROVE)(UNDO, OLD_KEY, NEW_KEY, home=EMPTY, on=[OLD]),
        row("and puts it back", Step.RESTORE)(UNDO, OLD_KEY, NEW_KEY, home=EMPTY, on=[OLD], proven=[OLD]),
        row("wherever nothing is in its way", Step.RESTORE)(
            UNDO, OLD_KEY, NEW_KEY, home=AWAY, work=ELSE, on=[OLD], proven=[OLD]
        ),
        row("undo does not touch what a person put there", Step.BLOCKED)(UNDO, OFF, NEW_KEY, home=ELSE),
        row("undo has no old pair to put back", Step.BLOCKED)(UNDO, OLD_KEY, NEW_KEY, home=EMPTY, secrets=(NEW,)),
        row("an emptied place leaves the rotation, the other one goes on", Step.DEACTIVATE)(
            MADE, OLD_KEY, NEW_KEY, home=WANTED, work=EMPTY, checked=[NEW]
        ),
        row("a file that is away may still hold the old key, which stays", Step.BLOCKED)(
            MADE, OLD_KEY, NEW_KEY, home=WANTED, work=AWAY, checked=[NEW]
        ),
        row("switched off or not", Step.BLOCKED)(MADE, OFF, NEW_KEY, home=WANTED, work=AWAY, checked=[NEW]),
        row(
            "two keys that became one and are parted again: the other one's pair is kept while no place has it",
            Step.BLOCKED,
        )(replace(MERGE, undo=True).swapped(undo=True), OLD_KEY, NEW_KEY, home=WANTED, on=[OLD], checked=[OLD]),
        # A time is over at its last instant; a sign-in before the switch does not count for the places.
        row("15 s after a lost answer: send again", Step.CREATE)(replace(NOTE, sent=NOW - SETTLE)),
        row("15 s without the new key in the list: dropped", Step.DROP)(MADE, OLD_KEY, first_look=NOW - SETTLE),
        row("15 s without the new key in the list, as it is taken back: finished", Step.FINISH)(
            BACK, OLD_KEY, home=WANTED, first_look=NOW - SETTLE, checked=[OLD]
        ),
        row("15 s with the old key active in the list: so it is", Step.PROVE)(
            UNDO, OLD_KEY, NEW_KEY, denied=[Step.SWITCH_ON], first_look=NOW - SETTLE
        ),
        row("the old key is kept until then, and no longer", Step.DELETE)(
            replace(KEPT, delete_at=NOW), OFF, NEW_KEY, **PLACED
        ),
        row("proven before it was put in its places: what is read there must sign in too", Step.CHECK)(
            MADE, OLD_KEY, NEW_KEY, home=WANTED, proven=[NEW]
        ),
        row("the same, before the stored pairs go", Step.CHECK)(MADE, NEW_KEY, home=WANTED, proven=[NEW]),
        # Nothing waits for a key that is off: what could not take the new one is named at the end.
        row("somebody switched the old key off: copies follow all the same", Step.FOLLOW)(
            COPIES, OFF, NEW_KEY, **PLACED
        ),
        row("and it goes: it is of no use to those that could not", Step.DELETE)(
            COPIES, OFF, NEW_KEY, **PLACED, owed=("a",)
        ),
        row("somebody deleted it: copies follow", Step.FOLLOW)(COPIES, NEW_KEY, **PLACED),
        row("and that is the end", Step.FINISH)(COPIES, NEW_KEY, **PLACED, owed=("a",)),
    ],
)
def test_what_comes_next(facts: World, step: Step) -> None:
    """By the built-in policy, whichever way led to these facts."""
    assert next_step(facts, Policy(), NOW) is step


@pytest.mark.parametrize(
    ("facts", "gone"),
    [
        pytest.param(world(SENT, OLD_KEY, STRAY, unused=[OTHER]), OTHER, id="the key of the lost answer"),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, secrets=(OLD,)), NEW, id="the wanted key, if its secret is not here"
        ),
        pytest.param(
            world(MADE_LATER, OLD_KEY, NEW_KEY, STRAY, secrets=(OLD,)),
            NEW,
            id="never a key of which nobody knows yet whether it is used",
        ),
        pytest.param(
            world(MADE_LATER, OLD_KEY, NEW_KEY, STRAY, secrets=(OLD,), unused=[OTHER]),
            OTHER,
            id="of both, the lost one first",
        ),
    ],
)
def test_what_discard_deletes(facts: World, gone: str) -> None:
    """A key whose secret never arrived, or is lost."""
    assert to_discard(facts) == gone


def test_places_are_told_by_their_state() -> None:
    """In the order in which they were found."""
    seen = world(MADE, home=WANTED, work=TORN)
    assert seen.places_in(WANTED, TORN) == [HOME, WORK]
    assert seen.places_in(UNWANTED, ELSE) == []


def test_turning_round_swaps_the_keys_and_waits_no_longer() -> None:
    """The same rotation in the other direction; twice is as before, but for the times."""
    back = KEPT.swapped(undo=True)
    assert (back.wanted, back.unwanted, back.back, back.undo) == (OLD, NEW, True, True)
    assert back.switch_off_at == back.delete_at == KEPT.began
    forth = back.swapped()
    assert (forth.wanted, forth.unwanted, forth.back, forth.undo) == (NEW, OLD, False, False)


@pytest.mark.parametrize(
    ("note", "place", "later"),
    [
        pytest.param(replace(MADE, live=True), KEYRING, LIVE, id="a program that has the old key asks again"),
        pytest.param(replace(BACK, live=True), KEYRING, LIVE_SOON, id="undo: it was given the new key for less"),
        pytest.param(replace(MADE, live=True), HOME, timedelta(0), id="no program is given a key that is in a file"),
        pytest.param(replace(MADE, live=True, leaked=True), KEYRING, timedelta(0), id="a leaked key waits for nobody"),
        pytest.param(MADE, KEYRING, timedelta(0), id="a key that was handed over goes at once"),
    ],
)
def test_programs_that_follow(note: Note, place: Place, later: timedelta) -> None:
    """From the very switch on, also of a rotation that was begun long ago; and another one counts anew."""
    for now in (NOW, NOW + timedelta(days=3)):
        note = note.switched([WORK, place], now)
        assert (note.switch_off_at, note.delete_at) == ((now + later,) * 2 if later else (note.began,) * 2)


@pytest.mark.parametrize(
    ("note", "facts", "step"),
    [
        pytest.param(COPIES, {}, Step.FOLLOW, id="the places have the new key: copies follow"),
        pytest.param(COPIES, {"checked": ()}, Step.CHECK, id="if it has signed in as read from them in this run"),
        pytest.param(COPIES, {"owed": ()}, Step.DEACTIVATE, id="they have: the old key goes"),
        pytest.param(COPIES, {"owed": ("a",)}, Step.BLOCKED, id="one could not: the old key stays"),
        pytest.param(replace(COPIES, leaked=True), {"owed": ("a",)}, Step.DEACTIVATE, id="a leak waits for nobody"),
        pytest.param(replace(COPIES, leaked=True), {}, Step.FOLLOW, id="but it is tried"),
        pytest.param(replace(COPIES, followed=True), {}, Step.FOLLOW, id="an earlier run did it: look again"),
        pytest.param(COPIES, {"secrets": (NEW,)}, Step.DEACTIVATE, id="the old secret is not here: none can be found"),
        pytest.param(COPIES_KEPT, {}, Step.FOLLOW, id="the old key is kept working: they follow at once"),
        pytest.param(COPIES_KEPT, {"owed": ("a",)}, Step.BLOCKED, id="one could not: that is no quiet wait"),
        pytest.param(COPIES_KEPT, {"owed": ()}, Step.WAIT, id="they have: wait"),
        pytest.param(replace(COPIES_KEPT, followed=True), {}, Step.WAIT, id="so they had in an earlier run: wait"),
        pytest.param(MADE, {"untold": ("a",)}, Step.FOLLOW, id="a command is to be told: it is run"),
        pytest.param(MADE, {"untold": ("a",), "owed": ()}, Step.BLOCKED, id="it failed: the old key stays"),
        pytest.param(replace(MADE, leaked=True), {"untold": ("a",)}, Step.DEACTIVATE, id="a leak waits for no command"),
        pytest.param(KEPT_ACTIVE, {"untold": ("a",)}, Step.FOLLOW, id="the old key is kept working: it is run at once"),
        pytest.param(
            replace(COPIES_KEPT, followed=True),
            {"untold": ("a",), "owed": ()},
            Step.BLOCKED,
            id="that is no quiet wait",
        ),
        pytest.param(
            replace(MERGE, copies=True).swapped(),
            {"checked": (OLD,), "work": PlaceState.OWN},
            Step.FINISH,
            id="both keys stay: no copy is touched",
        ),
    ],
)
def test_what_was_asked_to_follow(note: Note, facts: dict[str, Any], step: Step) -> None:
    """Copies take the wanted key once a run, before the other one goes; what could not take it keeps that working."""
    seen = world(note, OLD_KEY, NEW_KEY, home=WANTED, **{"checked": (NEW,), **facts})
    assert next_step(seen, Policy(), NOW) is step


DAY = timedelta(days=1)
KEPT_ON = replace(KEPT_ACTIVE, switch_off_at=NOW, delete_at=NOW + DAY, latest=NOW + 10 * DAY, since=NOW - 2 * DAY)


@pytest.mark.parametrize(
    ("note", "over"),
    [
        pytest.param(replace(KEPT, since=NOW, delete_at=NOW), True, id="kept as long as was agreed"),
        pytest.param(KEPT, False, id="not yet"),
        pytest.param(KEPT_ON, True, id="the overlap is over"),
        pytest.param(replace(KEPT_ON, switch_off_at=NOW + DAY), False, id="it is not"),
        pytest.param(MADE, False, id="nothing is kept"),
        pytest.param(replace(BACK, since=NOW), False, id="it is taken back"),
        pytest.param(replace(NOTE, since=NOW), False, id="no key was made"),
    ],
)
def test_what_was_agreed_to_ends(note: Note, over: bool) -> None:
    """A login may finish only what is over."""
    assert note.is_over(NOW) is over


@pytest.mark.parametrize(
    ("note", "until"),
    [
        pytest.param(KEPT_ON, NOW + 2 * DAY, id="as long again"),
        pytest.param(replace(KEPT_ON, since=NOW - timedelta(hours=1)), NOW + DAY, id="a day at least"),
        pytest.param(replace(KEPT_ON, latest=NOW + DAY / 2), NOW + DAY / 2, id="not longer than it may be"),
        pytest.param(replace(KEPT_ON, latest=NOW), None, id="as long as it may be already"),
        pytest.param(replace(KEPT_ON, latest=None, began=NOW - DAY), NOW + 2 * DAY, id="a note of an older version"),
        pytest.param(replace(KEPT_ON, latest=None, extended=True), None, id="which was kept on once already"),
    ],
)
def test_an_old_key_in_use_is_kept_on(note: Note, until: datetime | None) -> None:
    """And for as long as before switched off after that; who used it is noted."""
    kept = note.kept_on(LastUse(NOW, "s3", "eu-west-1"), NOW)
    assert (kept and kept.switch_off_at) == until
    assert kept is None or (kept.delete_at - kept.switch_off_at, kept.used_by) == (DAY, "s3 in eu-west-1")
