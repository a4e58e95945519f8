"""Which step comes next: the table of the rotation, a sentence a row."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.core.model import AccessKey, LastUse, Place, PlaceKind
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
STRAY = key(OTHER, seconds(29))  # made while the answer was due


def decide(facts: World) -> Step:
    """What comes next, by the built-in policy."""
    return next_step(facts, Policy(), NOW)


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        pytest.param(world(None, asked=True), Step.BEGIN, id="a due key is rotated"),
        pytest.param(world(None, key(OLD), asked=True), Step.DONE, id="a fresh key is left alone"),
        pytest.param(world(None, key(OLD, timedelta(days=75)), asked=True), Step.BEGIN, id="due means 75 days old"),
        pytest.param(world(None, key(OLD), asked=True, forced=True), Step.BEGIN, id="a fresh key is rotated by force"),
        pytest.param(world(None), Step.DONE, id="what nobody asked for does not begin"),
        pytest.param(world(None, NEW_KEY, asked=True, forced=True), Step.DONE, id="a key that is gone is not rotated"),
    ],
)
def test_beginning(facts: World, step: Step) -> None:
    """A rotation begins if it was asked for and is due or forced."""
    assert decide(facts) is step


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        pytest.param(world(NOTE, begun=True), Step.CREATE, id="begun in this run: a new key is made"),
        pytest.param(world(NOTE), Step.DROP, id="nothing was ever sent: the note is dropped"),
        pytest.param(
            world(NOTE, begun=True, home=ELSE), Step.BLOCKED, id="no place holds the old pair any more: it is kept"
        ),
        pytest.param(world(NOTE, NEW_KEY, home=ELSE), Step.DROP, id="but not if its key is gone"),
        pytest.param(world(NOTE, begun=True, work=ELSE), Step.CREATE, id="one place is enough"),
        pytest.param(world(JUST_SENT), Step.LOOK, id="an answer is missing: look for 15 seconds"),
        pytest.param(world(JUST_SENT, home=ELSE), Step.LOOK, id="also if no place is left"),
        pytest.param(world(SENT), Step.CREATE, id="nothing showed in 15 seconds: send once more"),
        pytest.param(world(SENT, home=EMPTY), Step.BLOCKED, id="nothing showed and no place is left: the pair is kept"),
        pytest.param(world(SENT, home=ELSE, secrets=()), Step.DROP, id="nothing is left that could be kept: dropped"),
        pytest.param(world(LOST), Step.CREATE, id="a later run goes on where an answer was lost"),
        pytest.param(world(SENT, OLD_KEY, STRAY), Step.LOOK, id="a key shows: first see whether anybody uses it"),
        pytest.param(world(SENT, OLD_KEY, STRAY, unused=[OTHER]), Step.DISCARD, id="nobody does: it is ours, and goes"),
        pytest.param(world(SENT, OLD_KEY, STRAY, used=[OTHER]), Step.CREATE, id="somebody does: it is left alone"),
        pytest.param(world(JUST_SENT, OLD_KEY, key(OTHER, seconds(5)), unused=[OTHER]), Step.DISCARD, id="at once"),
        pytest.param(world(NOTE, begun=True, full=True), Step.DROP, id="no third key is allowed: dropped"),
        pytest.param(
            world(ROOM, OLD_KEY, key(OTHER, status="Inactive"), begun=True, full=True),
            Step.MAKE_ROOM,
            id="no third key is allowed, and the person gave up an inactive one: it goes",
        ),
        pytest.param(
            world(ROOM, OLD_KEY, key(OTHER, status="Inactive"), begun=True),
            Step.CREATE,
            id="it goes only if AWS has said that there is no room",
        ),
        pytest.param(
            world(ROOM, OLD_KEY, key(OTHER), begun=True, full=True),
            Step.DROP,
            id="somebody has switched it on since: the consent does not cover it",
        ),
        pytest.param(
            world(ROOM, begun=True, full=True), Step.DROP, id="it is gone and there is still no room: dropped"
        ),
        pytest.param(
            world(LOST, begun=True, full=True, listed_at=NOW - seconds(1)),
            Step.LOOK,
            id="no room, but the list shows one key: the lost one may show yet",
        ),
        pytest.param(
            world(LOST, begun=True, full=True, first_look=NOW - seconds(30)),
            Step.DROP,
            id="it did not show in 30 seconds: dropped",
        ),
        pytest.param(
            world(LOST, OLD_KEY, key(OTHER, timedelta(days=2)), begun=True, full=True),
            Step.DROP,
            id="the list shows whose the other key is: dropped",
        ),
    ],
)
def test_making_the_new_key(facts: World, step: Step) -> None:
    """No wanted key is known yet."""
    assert decide(facts) is step


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
    """Only the one key that can be nothing but the lost answer is ours; any other is somebody else's."""
    seen = world(note, OLD_KEY, stray, **{"secrets": (), **facts})  # type: ignore[arg-type]
    assert stranger(seen) == (OTHER if ours else None)


def test_of_two_unknown_keys_none_is_ours() -> None:
    """If two keys might be the lost answer, neither is touched."""
    seen = world(SENT, STRAY, NEW_KEY, secrets=(), unused=[OTHER, NEW])
    assert stranger(seen) is None
    assert decide(seen) is not Step.DISCARD


def test_without_a_note_no_key_is_a_stranger() -> None:
    """What a rotation has lost stands in its note."""
    assert stranger(world(None, OLD_KEY, STRAY)) is None


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        pytest.param(world(MADE, OLD_KEY, NEW_KEY), Step.PROVE, id="staged, not proven in this run: prove"),
        pytest.param(world(MADE, OLD_KEY, NEW_KEY, proven=[NEW]), Step.SWITCH, id="proven: into its places"),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, home=WANTED, work=UNWANTED, proven=[NEW], checked=[NEW]),
            Step.SWITCH,
            id="a place holds the old pair again: switch again",
        ),
        pytest.param(world(MADE, OLD_KEY, NEW_KEY, home=WANTED, work=TORN), Step.PROVE, id="a torn place: prove first"),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, home=TORN, proven=[NEW]), Step.SWITCH, id="a torn place, proven: heal it"
        ),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, home=UNWANTED, work=ELSE, proven=[NEW]),
            Step.SWITCH,
            id="a place that a person changed leaves the rotation; the other one goes on",
        ),
        pytest.param(world(MADE, OFF, NEW_KEY), Step.PROVE, id="the old key is off: the only way is forward"),
        pytest.param(world(MADE, NEW_KEY), Step.PROVE, id="the old key is deleted: forward too"),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, secrets=(OLD,)),
            Step.DISCARD,
            id="the new secret is not here any more: discard",
        ),
        pytest.param(
            world(MERGE, OLD_KEY, NEW_KEY, secrets=(OLD,)), Step.DROP, id="but a key that was there before stays"
        ),
        pytest.param(
            world(BACK, OLD_KEY, NEW_KEY, secrets=(NEW,)), Step.DROP, id="and so does the one that was to be replaced"
        ),
        pytest.param(
            world(MADE, OLD_KEY, listed_at=NOW - seconds(10)), Step.LOOK, id="the list lacks the new key: look for 15 s"
        ),
        pytest.param(world(MADE, OLD_KEY), Step.DROP, id="a settled list lacks it: dropped"),
        pytest.param(world(MADE, OLD_KEY, NEW_OFF), Step.TAKE_BACK, id="somebody switched the new key off: take back"),
        pytest.param(
            world(MADE, OLD_KEY, home=WANTED), Step.TAKE_BACK, id="somebody deleted it, places hold it: take back"
        ),
        pytest.param(world(MADE, OLD_KEY, home=TORN), Step.TAKE_BACK, id="the same, torn"),
        pytest.param(
            world(MADE, OLD_KEY, NEW_OFF, home=WANTED, secrets=(NEW,)),
            Step.BLOCKED,
            id="but the old secret is not here: nothing can be done",
        ),
        pytest.param(
            world(MADE, OLD_KEY, NEW_OFF, home=ELSE, secrets=()),
            Step.DROP,
            id="no place is ours and no pair is stored: that is the end of it",
        ),
        pytest.param(
            world(MADE, OFF, home=WANTED, work=UNWANTED), Step.DROP, id="the new one gone, the old one in a place: over"
        ),
        pytest.param(world(MADE, OFF, home=WANTED), Step.BLOCKED, id="but not if the old pair is only stored"),
        pytest.param(world(MADE, OFF, NEW_OFF), Step.BLOCKED, id="both keys are off: nothing can be done"),
        pytest.param(world(MADE, NEW_OFF), Step.BLOCKED, id="the old key is gone, the new one off"),
        pytest.param(
            world(MADE, OLD_KEY, NEW_OFF, denied=[Step.TAKE_BACK]), Step.BLOCKED, id="taking back was tried in this run"
        ),
        pytest.param(world(BACK, NEW_KEY), Step.TAKE_BACK, id="taking back, but the old key is gone: forward again"),
        pytest.param(
            world(BACK, OFF, NEW_KEY), Step.TAKE_BACK, id="taking back, but the old key is off: forward again"
        ),
        pytest.param(world(UNDO, OFF, NEW_KEY), Step.SWITCH_ON, id="undo switches the old key on"),
        pytest.param(
            world(UNDO, OLD_KEY, NEW_KEY), Step.SWITCH_ON, id="the list may be older than that it was switched off"
        ),
        pytest.param(world(UNDO, OLD_KEY, NEW_KEY, on=[OLD]), Step.PROVE, id="then it is proven as any other"),
        pytest.param(
            world(UNDO, OLD_KEY, NEW_KEY, denied=[Step.SWITCH_ON]),
            Step.PROVE,
            id="so it is if AWS denies to switch it on",
        ),
        pytest.param(
            world(UNDO, OLD_KEY, NEW_KEY, denied=[Step.SWITCH_ON], listed_at=NOW - seconds(10)),
            Step.LOOK,
            id="once the list is younger than any run that switched it off",
        ),
    ],
)
def test_bringing_the_wanted_pair_into_its_places(facts: World, step: Step) -> None:
    """A wanted key is known, and not all places hold its pair yet."""
    assert decide(facts) is step


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, home=WANTED), Step.CHECK, id="what is read from the places must sign in first"
        ),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, home=WANTED, checked=[NEW]), Step.DEACTIVATE, id="then the old key goes off"
        ),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, home=WANTED, work=ELSE, checked=[NEW]),
            Step.DEACTIVATE,
            id="one place that holds the new pair is enough",
        ),
        pytest.param(world(MADE, OFF, NEW_KEY, home=WANTED), Step.CHECK, id="switched off by an earlier run: check"),
        pytest.param(world(MADE, OFF, NEW_KEY, home=WANTED, checked=[NEW]), Step.DELETE, id="then delete"),
        pytest.param(
            world(MADE, replace(OFF, status="Expired"), NEW_KEY, home=WANTED, checked=[NEW]),
            Step.DELETE,
            id="expired is off",
        ),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, home=WANTED, checked=[NEW], denied=[Step.DEACTIVATE]),
            Step.DELETE,
            id="switching off is denied: delete all the same",
        ),
        pytest.param(
            world(KEPT, OLD_KEY, NEW_KEY, home=WANTED, checked=[NEW], denied=[Step.DEACTIVATE]),
            Step.WAIT,
            id="switching off is denied and the key is to be kept: wait",
        ),
        pytest.param(
            world(MADE, OFF, NEW_KEY, home=WANTED, denied=[Step.DELETE]), Step.BLOCKED, id="deleting is denied"
        ),
        pytest.param(
            world(KEPT, OLD_KEY, NEW_KEY, home=WANTED, checked=[NEW]), Step.DEACTIVATE, id="kept: switched off"
        ),
        pytest.param(world(KEPT, OFF, NEW_KEY, home=WANTED, checked=[NEW]), Step.WAIT, id="kept: then waited for"),
        pytest.param(world(KEPT_ACTIVE, OLD_KEY, NEW_KEY, home=WANTED, checked=[NEW]), Step.WAIT, id="kept active"),
        pytest.param(
            world(KEPT_ACTIVE, OLD_KEY, NEW_KEY, home=WANTED, work=UNWANTED, proven=[NEW]),
            Step.SWITCH,
            id="while it is kept, a place that holds it again is switched",
        ),
        pytest.param(
            world(BACK, OLD_KEY, NEW_KEY, home=WANTED), Step.CHECK, id="taken back: check what the places hold"
        ),
        pytest.param(
            world(BACK, OLD_KEY, NEW_KEY, home=WANTED, checked=[OLD]), Step.DEACTIVATE, id="then the new key goes off"
        ),
        pytest.param(world(BACK, OLD_KEY, NEW_OFF, home=WANTED, checked=[OLD]), Step.DELETE, id="and is deleted"),
        pytest.param(
            world(BACK, OLD_KEY, home=WANTED, checked=[OLD]), Step.FINISH, id="and the list lacks it: finished"
        ),
        pytest.param(
            world(BACK, OLD_KEY, home=WANTED, listed_at=NOW - seconds(10)),
            Step.LOOK,
            id="a list that is not settled may lack the new key because it is young",
        ),
        pytest.param(
            world(BACK, OLD_KEY, home=WANTED, listed_at=NOW - seconds(10), gone=[NEW], checked=[OLD]),
            Step.FINISH,
            id="unless this run has deleted it",
        ),
        pytest.param(world(MADE, NEW_KEY, home=WANTED, checked=[NEW]), Step.FINISH, id="the old key is gone: finished"),
        pytest.param(
            world(MADE, NEW_KEY, home=WANTED, listed_at=NOW - seconds(10), checked=[NEW]),
            Step.FINISH,
            id="an old key does not show late",
        ),
        pytest.param(
            world(replace(MADE, lost=LOST.lost), NEW_KEY, home=WANTED, fresh_list=False),
            Step.LOOK,
            id="an answer was lost on the way: look once more",
        ),
        pytest.param(
            world(replace(MADE, lost=LOST.lost), NEW_KEY, STRAY, home=WANTED),
            Step.LOOK,
            id="its key shows: who uses it?",
        ),
        pytest.param(
            world(replace(MADE, lost=LOST.lost), NEW_KEY, STRAY, home=WANTED, unused=[OTHER]),
            Step.DISCARD,
            id="nobody: it goes",
        ),
        pytest.param(
            world(replace(MADE, lost=LOST.lost), NEW_KEY, STRAY, home=WANTED, used=[OTHER], checked=[NEW]),
            Step.FINISH,
            id="somebody: it is left alone",
        ),
        pytest.param(world(MERGE, OLD_KEY, NEW_KEY), Step.PROVE, id="two keys become one: the younger is proven"),
        pytest.param(world(MERGE, OFF, NEW_KEY, home=WANTED, checked=[NEW]), Step.DELETE, id="and the older goes"),
        pytest.param(
            world(MERGE.swapped(), OLD_KEY, NEW_KEY, home=WANTED, work=OWN, checked=[OLD]),
            Step.FINISH,
            id="taken back: the younger, which was there before, stays",
        ),
    ],
)
def test_retiring_the_unwanted_key(facts: World, step: Step) -> None:
    """No place holds the unwanted pair any more."""
    assert decide(facts) is step


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        pytest.param(world(MADE, OLD_KEY, NEW_KEY, home=EMPTY), Step.BLOCKED, id="before the switch: both keys stay"),
        pytest.param(world(MADE, OLD_KEY, NEW_KEY, home=ELSE), Step.BLOCKED, id="the same if another key is there"),
        pytest.param(world(MADE, OLD_KEY, NEW_KEY, home=AWAY), Step.BLOCKED, id="the same if the file is away"),
        pytest.param(
            world(MADE, OFF, NEW_KEY, home=EMPTY), Step.BLOCKED, id="the old key was switched off before that"
        ),
        pytest.param(world(KEPT_ACTIVE, OLD_KEY, NEW_KEY, home=ELSE), Step.BLOCKED, id="while the old key is kept"),
        pytest.param(
            world(MADE, NEW_KEY, home=ELSE), Step.BLOCKED, id="as the old key was deleted: the new pair stays"
        ),
        pytest.param(
            world(MADE, OLD_KEY, NEW_OFF, home=EMPTY), Step.BLOCKED, id="and somebody switched the new key off"
        ),
        pytest.param(
            world(UNDO, NEW_KEY, home=EMPTY),
            Step.BLOCKED,
            id="undo of a key that is gone puts nothing back",
        ),
        pytest.param(
            world(MADE, NEW_OFF, home=EMPTY, secrets=(OLD,)),
            Step.DROP,
            id="nothing that is stored works: it goes",
        ),
        pytest.param(
            world(BACK, OFF, home=ELSE, secrets=(NEW,), listed_at=NOW - seconds(10)),
            Step.LOOK,
            id="the list may lack the new key, whose pair is stored, because it is young",
        ),
        pytest.param(world(BACK, OFF, home=WANTED), Step.DROP, id="it is gone, and the old one is in its place: over"),
        pytest.param(world(MADE, key(OTHER), home=ELSE), Step.DROP, id="both keys are gone: nothing is left to keep"),
        pytest.param(world(MADE, key(OTHER), home=WANTED), Step.DROP, id="even if places still name one"),
        pytest.param(
            world(BACK, OLD_KEY, NEW_KEY, home=EMPTY), Step.BLOCKED, id="taken back: the new key stays as well"
        ),
        pytest.param(world(UNDO, OFF, NEW_KEY, home=EMPTY), Step.SWITCH_ON, id="undo switches the old key on"),
        pytest.param(world(UNDO, OLD_KEY, NEW_KEY, home=EMPTY, on=[OLD]), Step.PROVE, id="proves it"),
        pytest.param(
            world(UNDO, OLD_KEY, NEW_KEY, home=EMPTY, on=[OLD], proven=[OLD]), Step.RESTORE, id="and puts it back"
        ),
        pytest.param(
            world(UNDO, OLD_KEY, NEW_KEY, home=AWAY, work=ELSE, on=[OLD], proven=[OLD]),
            Step.RESTORE,
            id="wherever nothing is in its way",
        ),
        pytest.param(
            world(UNDO, OFF, NEW_KEY, home=ELSE), Step.BLOCKED, id="undo does not touch what a person put there"
        ),
        pytest.param(
            world(UNDO, OLD_KEY, NEW_KEY, home=EMPTY, secrets=(NEW,)),
            Step.BLOCKED,
            id="undo has no old pair to put back",
        ),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, home=WANTED, work=EMPTY, checked=[NEW]),
            Step.DEACTIVATE,
            id="an emptied place leaves the rotation, the other one goes on",
        ),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, home=WANTED, work=AWAY, checked=[NEW]),
            Step.BLOCKED,
            id="a file that is away may still hold the old key, which stays",
        ),
        pytest.param(
            world(MADE, OFF, NEW_KEY, home=WANTED, work=AWAY, checked=[NEW]), Step.BLOCKED, id="switched off or not"
        ),
        pytest.param(
            world(replace(MERGE, undo=True).swapped(undo=True), OLD_KEY, NEW_KEY, home=WANTED, on=[OLD], checked=[OLD]),
            Step.BLOCKED,
            id="two keys that became one and are parted again: the other one's pair is kept while no place has it",
        ),
    ],
)
def test_places_that_were_emptied(facts: World, step: Step) -> None:
    """While no place holds one key, the other is not retired, and no stored pair is removed."""
    assert decide(facts) is step


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        pytest.param(world(replace(NOTE, sent=NOW - SETTLE)), Step.CREATE, id="15 s after a lost answer: send again"),
        pytest.param(
            world(MADE, OLD_KEY, first_look=NOW - SETTLE), Step.DROP, id="15 s without the new key in the list: dropped"
        ),
        pytest.param(
            world(BACK, OLD_KEY, home=WANTED, first_look=NOW - SETTLE, checked=[OLD]),
            Step.FINISH,
            id="15 s without the new key in the list, as it is taken back: finished",
        ),
        pytest.param(
            world(UNDO, OLD_KEY, NEW_KEY, denied=[Step.SWITCH_ON], first_look=NOW - SETTLE),
            Step.PROVE,
            id="15 s with the old key active in the list: so it is",
        ),
        pytest.param(
            world(replace(KEPT, delete_at=NOW), OFF, NEW_KEY, home=WANTED, checked=[NEW]),
            Step.DELETE,
            id="the old key is kept until then, and no longer",
        ),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, home=WANTED, proven=[NEW]),
            Step.CHECK,
            id="proven before it was put in its places: what is read there must sign in too",
        ),
        pytest.param(
            world(MADE, NEW_KEY, home=WANTED, proven=[NEW]), Step.CHECK, id="the same, before the stored pairs go"
        ),
    ],
)
def test_the_very_moment(facts: World, step: Step) -> None:
    """A time is over at its last instant; a sign-in before the switch does not count for the places."""
    assert decide(facts) is step


@pytest.mark.parametrize(
    ("facts", "gone"),
    [
        pytest.param(world(SENT, OLD_KEY, STRAY, unused=[OTHER]), OTHER, id="the key of the lost answer"),
        pytest.param(
            world(MADE, OLD_KEY, NEW_KEY, secrets=(OLD,)), NEW, id="the wanted key, if its secret is not here"
        ),
        pytest.param(
            world(replace(MADE, lost=LOST.lost), OLD_KEY, NEW_KEY, STRAY, secrets=(OLD,)),
            NEW,
            id="never a key of which nobody knows yet whether it is used",
        ),
        pytest.param(
            world(replace(MADE, lost=LOST.lost), OLD_KEY, NEW_KEY, STRAY, secrets=(OLD,), unused=[OTHER]),
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
    assert decide(world(note, OLD_KEY, NEW_KEY, home=WANTED, **{"checked": (NEW,), **facts})) is step


@pytest.mark.parametrize(
    ("keys", "owed", "step"),
    [
        pytest.param(
            (OFF, NEW_KEY), None, Step.FOLLOW, id="somebody switched the old key off: they follow all the same"
        ),
        pytest.param((OFF, NEW_KEY), ("a",), Step.DELETE, id="and it goes: it is of no use to those that could not"),
        pytest.param((NEW_KEY,), None, Step.FOLLOW, id="somebody deleted it: the same"),
        pytest.param((NEW_KEY,), ("a",), Step.FINISH, id="and that is the end"),
    ],
)
def test_nothing_waits_for_a_key_that_is_off(keys: tuple[AccessKey, ...], owed: Any, step: Step) -> None:
    """What could not take the new key is named at the end."""
    assert decide(world(COPIES, *keys, home=WANTED, checked=(NEW,), owed=owed)) is step


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
