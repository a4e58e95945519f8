"""`reissue`: one key, in a place that only its user reads, or nothing at all."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rotate_my_key.core.errors import Denied, Gone, NeedsPerson, Problem, TryLater, WrongUsage
from rotate_my_key.core.model import Credentials, Identity, LastUse
from rotate_my_key.fleet.cleanup import Disposition, cleanup_line
from rotate_my_key.fleet.memory import decode
from rotate_my_key.fleet.reissue import OldKeyEnd, ReissueMode, old_key_end
from rotate_my_key.settings.fleet import Enforce, Exempt
from tests.fleet.fakes import FakeOrganization

from .world import ACCOUNT, DAY, Company, FakeSecrets

both = pytest.mark.parametrize("through", ["secretsmanager", "s3"])


@pytest.fixture
def company() -> Company:
    """Alice has one old key."""
    made = Company()
    made.world.user("alice", 98, owner="alice@example.com")
    return made


@both
def test_a_key_waits_for_its_user(through: str) -> None:
    """It is his, names the key that it replaces, and that one is not touched."""
    company = Company(through)
    company.world.user("alice", 98)
    (old,) = company.status()
    handed = company.reissue()
    delivery = company.delivery()
    assert company.status() == {old: "Active", handed.key_id: "Active"}
    assert delivery.pair == Credentials(handed.key_id, f"secret-of-{handed.key_id}")
    assert (delivery.replaces, handed.replaces) == (old, old)
    assert delivery.identity.arn == "arn:aws:iam::123456789012:user/alice"
    assert handed.way is ReissueMode.MAKE
    assert delivery.pair.secret not in repr(handed)


def test_where_it_waits_is_no_secret(company: Company) -> None:
    """The whole ARN, so that it works from another region and account."""
    handed = company.reissue()
    name = "rotate-my-key/123456789012/alice/handover-AbCdEf"
    assert handed.place == f"secretsmanager:arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}"


def test_in_a_bucket_it_has_a_name_and_no_link() -> None:
    """The link is a secret, and made only if somebody asks for it."""
    company = Company("s3")
    company.world.user("alice")
    company.enabled(region="eu-west-1")
    handed = company.reissue()
    assert handed.place == "s3://handover/rotate-my-key/123456789012/alice/key-run1?region=eu-west-1"
    assert "X-Amz" not in repr(handed)


def test_it_is_remembered_and_recorded(company: Company) -> None:
    """The intent before anything, the deed after, about the key that is replaced; the tag names the day."""
    handed = company.reissue()
    assert [(event.outcome, event.key_id, event.details) for event in company.audit.events] == [
        ("intended", handed.replaces, {}),
        ("done", handed.replaces, {"made": handed.key_id}),
    ]
    memory = decode(company.world.everybody["alice"].tags["rotate-my-key-fleet"])
    assert memory[handed.key_id[-8:]].made == company.now().date()


@both
def test_told_twice_made_once(through: str) -> None:
    """As long as it waits, a second run makes nothing and gives the same place."""
    company = Company(through)
    company.world.user("alice", 98)
    first = company.reissue()
    company.later(timedelta(minutes=1))
    again = company.reissue()
    assert (again.key_id, again.place, again.replaces) == (first.key_id, first.place, first.replaces)
    assert again.way is ReissueMode.AGAIN
    assert company.world.calls["create"] == 1


@both
def test_renew_replaces_a_key_that_waits(through: str) -> None:
    """For a user who lost his way; the first is deleted. In a bucket the new one has another name, so that no old link
    leads to it; a secret is read by its user alone, and keeps its own."""
    company = Company(through)
    company.world.user("alice", 98)
    first = company.reissue()
    before = company.places
    company.later(timedelta(minutes=5))
    second = company.reissue(renew=True)
    assert first.key_id not in company.status()
    assert second.deleted == (first.key_id,)
    assert company.delivery().pair.key_id == second.key_id
    assert (len(company.places), second.place == first.place) == (len(before), through != "s3")
    assert company.reissue().place == second.place


def test_what_an_earlier_version_stored_is_found_and_cleared() -> None:
    """Its object is called `key`; it waits there, and renewing takes it away."""
    company = Company("s3")
    company.world.user("alice", 98)
    first, folder = company.reissue(), "rotate-my-key/123456789012/alice/"
    held = company.objects.held
    held[f"{folder}key"] = held.pop(f"{folder}key-run1")
    body, at = held[f"{folder}slip"]
    held[f"{folder}slip"] = (body.replace(b" in=key-run1", b""), at)
    company.later(timedelta(minutes=5))
    again = company.reissue()
    assert (again.key_id, again.place) == (first.key_id, f"s3://handover/{folder}key")
    company.reissue(renew=True)
    assert company.places == [f"{folder}key-run3", f"{folder}slip"]


def test_renew_spares_a_key_that_was_used(company: Company) -> None:
    """He has it: then he has two keys in use, and there is no room."""
    first = company.reissue()
    company.used(first.key_id)
    company.later(timedelta(minutes=5))
    with pytest.raises(NeedsPerson, match="AWS allows two keys per user"):
        company.reissue(renew=True)
    assert company.status()[first.key_id] == "Active"


# Refused early: nothing is changed


def refused(company: Company, kind: type[Problem], words: str, **wishes: bool) -> Problem:
    """The run ends so, and nothing is made or stored."""
    before = company.status()
    with pytest.raises(kind, match=words) as caught:
        company.reissue(**wishes)
    assert company.status() == before
    assert company.places == []
    return caught.value


def test_it_is_off_unless_it_was_switched_on(company: Company) -> None:
    """A matter of the settings: the hint says where, and names the file in use."""
    company.enabled(enabled=False)
    assert "set enabled = yes under [reissue] in fleet.ini" in refused(company, WrongUsage, "not enabled").hint
    company.settings = replace(company.settings, where="/etc/other.ini")
    hint = refused(company, WrongUsage, r"not enabled \(/etc/other.ini\)").hint
    assert "set enabled = yes under [reissue] in /etc/other.ini" in hint


def test_two_active_keys_leave_no_room(company: Company) -> None:
    """Which they are and when they were used last is said; no flag changes it."""
    other = company.world.key("alice", 10, use=LastUse(company.now(), "s3", "eu-west-1"))
    problem = refused(company, NeedsPerson, "AWS allows two keys per user", replace_inactive=True)
    assert "last used on 2026-11-25 by s3 in eu-west-1" in problem.message
    assert "never used" in problem.message
    assert f"...{other[-4:]}" in problem.message


def test_an_inactive_key_gives_way_only_if_asked(company: Company) -> None:
    """Without the flag nothing is done; the hint names it. With it the key goes, after the place was made; the active
    one stays and is the one replaced."""
    (old,) = company.status()
    inactive = company.world.key("alice", 200, "Inactive")
    problem = refused(company, NeedsPerson, "inactive, never used")
    assert problem.hint == "rotate-my-key fleet reissue alice --replace-inactive"
    company.points.start()
    handed = company.reissue(replace_inactive=True)
    assert company.status() == {old: "Active", handed.key_id: "Active"}
    assert (handed.deleted, handed.replaces) == ((inactive,), old)
    names = company.points.names
    assert names.index("put policy") < names.index("delete") < names.index("create")


@pytest.mark.parametrize(("kms_key", "there"), [("", True), ("arn:aws:kms:eu-west-1:111111111111:key/1", False)])
def test_a_secret_is_in_the_users_own_account(company: Company, kms_key: str, there: bool) -> None:
    """Found, named and removed there; with a KMS key that others may use, it is in IT's account."""
    company.settings = replace(company.settings, reissue=replace(company.settings.reissue, kms_key=kms_key))
    company.me = Identity("111111111111", "arn:aws:sts::111111111111:assumed-role/fleet/it")
    company.elsewhere[ACCOUNT.number] = FakeSecrets(company.points, company.now)
    company.world.user("alice", 98)
    handed = company.reissue()
    home, other = company.elsewhere[ACCOUNT.number], company.secrets
    home, other = (home, other) if there else (other, home)
    assert (len(home.held), len(other.held)) == (1, 0)
    assert f":{ACCOUNT.number if there else '111111111111'}:secret:" in handed.place
    company.world.now += company.settings.reissue.keep
    assert [each.disposition for each in company.sweep()] == [Disposition.DELETED]
    assert not home.held


def test_an_account_that_cannot_be_listed_is_a_row_of_the_sweep(company: Company) -> None:
    """The others are swept."""
    company.me = Identity("111111111111", "arn:aws:sts::111111111111:assumed-role/fleet/it")

    def denied(*args: object) -> object:
        raise Denied("the role may not be assumed")

    company.elsewhere[ACCOUNT.number] = FakeSecrets(company.points, company.now)
    company.elsewhere[ACCOUNT.number].names = denied  # type: ignore[method-assign,assignment]
    (row,) = company.sweep()
    assert cleanup_line(row) == f"new keys in {ACCOUNT.number}: failed (the role may not be assumed)"


def test_what_is_not_ours_or_not_written_down_is_not_done(company: Company) -> None:
    """There must be such a user; the intent must be written first; a secret of that name without a slip of ours is left
    alone."""
    with pytest.raises(Gone, match="no user bob"):
        company.reissue("bob")
    company.audit.broken = Problem("the disk is full")
    refused(company, Problem, "the disk is full")
    company.audit.broken = None
    company.secrets.put(f"rotate-my-key/{ACCOUNT.number}/alice/handover", "mine", "{}", {})
    with pytest.raises(Problem, match="was not written by this version"):
        company.reissue()
    assert company.world.calls["create"] == 0


# What goes wrong in the middle

STEPS = ("create secret", "put policy", "put value", "put tags", "create")


def _names() -> list[str]:
    """The points of an undisturbed run."""
    company = Company()
    company.world.user("alice", 98)
    company.reissue()
    return company.points.names


def faults() -> list[tuple[int, str, str]]:
    """Every call that changes something, with each thing that may happen to it."""
    calls = [(number, name) for number, name in enumerate(_names()) if name in STEPS]
    return [(number, name, word) for number, name in calls for word in ("before", "after", "denied")]


@pytest.mark.parametrize(("number", "name", "word"), faults())
def test_a_failure_leaves_no_key_behind(company: Company, number: int, name: str, word: str) -> None:
    """Whatever call fails, its effect there or not: either the key waits for its user, or there is none; and the next
    run ends with one."""
    (old,) = company.status()
    company.points.start(faults={number: word})
    try:
        company.reissue()
    except Problem as problem:
        assert "secret-of" not in problem.message
    made = set(company.status()) - {old}
    assert company.status()[old] == "Active"
    if made:
        assert made == {company.delivery().pair.key_id}
    company.points.start()
    company.later(timedelta(minutes=3))
    handed = company.reissue()
    assert company.status() == {old: "Active", handed.key_id: "Active"}
    assert company.delivery().pair.key_id == handed.key_id


def test_a_key_that_cannot_be_stored_and_not_deleted_is_said(company: Company) -> None:
    """It is still there: which, why, and what to type; and that does it."""
    names = _names()
    storing = max(number for number, name in enumerate(names) if name == "put policy")
    company.points.start(faults={storing: "denied", storing + 1: "denied"})
    with pytest.raises(Problem, match="could not be deleted: not allowed to delete") as caught:
        company.reissue()
    assert caught.value.hint == "rotate-my-key fleet reissue --sweep"
    company.points.start()
    company.later(timedelta(minutes=20))
    (swept,) = company.sweep()
    assert swept.disposition is Disposition.DELETED
    assert len(company.status()) == 1
    assert company.places == []


@pytest.mark.parametrize("lag", [4, 60])
def test_a_lost_answer_is_settled_at_once(company: Company, lag: float) -> None:
    """The key whose secret nobody has is deleted, and another made: one key waits. If it does not show yet nothing is
    guessed: it stays on the slip; later it is found and removed."""
    (old,) = company.status()
    company.points.start(faults={_names().index("create"): "after"})
    company.world.lag = lag
    if lag == 60:
        with pytest.raises(TryLater, match="if a key was created, the next run removes it"):
            company.reissue()
        company.points.start()
        company.later(timedelta(minutes=3))
    handed = company.reissue()
    assert company.status() == {old: "Active", handed.key_id: "Active"}
    assert lag == 60 or len(handed.deleted) == 1


def test_somebody_elses_key_of_that_moment_is_spared(company: Company) -> None:
    """Ours was never made, and he uses his."""
    (old,) = company.status()
    company.points.start(faults={_names().index("create"): "before"})
    with pytest.raises(TryLater):
        company.reissue()
    theirs = company.world.key("alice", 0, use=LastUse(company.now(), "s3", "eu-west-1"))
    company.points.start()
    company.later(timedelta(minutes=3))
    with pytest.raises(NeedsPerson, match="AWS allows two keys per user"):
        company.reissue()
    assert set(company.status()) == {old, theirs}


def test_what_may_be_somebody_elses_is_not_touched_while_its_use_is_unknown(company: Company) -> None:
    """Denied is not "never"."""
    company.points.start(faults={_names().index("create"): "after"})
    company.world.lag = 60
    with pytest.raises(TryLater):
        company.reissue()
    before = company.status()
    company.points.start()
    company.world.broken["last_use"] = Denied("no")
    company.later(timedelta(minutes=3))
    with pytest.raises(TryLater, match="it is not known whether it is in use"):
        company.reissue()
    assert company.status() == before


def test_another_run_at_work_is_left_alone(company: Company) -> None:
    """Its place was made just now, and holds nothing yet."""
    number = _names().index("create")
    company.points.start(faults={number: "before"})
    company.world.lag = 0
    with pytest.raises(TryLater):
        company.reissue()
    company.world.now -= timedelta(seconds=16)
    with pytest.raises(TryLater, match="another run is creating a key"):
        company.reissue()


@pytest.mark.parametrize("unreadable", [False, True])
def test_a_tag_that_cannot_be_written_is_a_note(company: Company, unreadable: bool) -> None:
    """The key waits all the same. One that may not be read is not written: what the fleet remembers there would be
    lost."""
    company.world.everybody["alice"].tags = {f"tag{number}": "x" for number in range(50)}
    if unreadable:
        company.world.broken["tags"] = Denied("no")
    handed = company.reissue()
    assert ("could not be read" if unreadable else "50 tags already") in handed.notes[0]
    assert company.delivery().pair.key_id == handed.key_id
    assert company.world.calls["tag"] == int(not unreadable)


# The old key's last day

DAYS = Enforce(deactivate_at=90 * DAY, deactivate_anyway_at=110 * DAY, reissue_at=80 * DAY, accounts=(ACCOUNT.number,))
GROUPS, BOTS = Exempt(groups=("leads",)), Exempt(never_signed_in=True)
ENDS: dict[str, tuple[Enforce, Exempt, str, int]] = {
    "on the last day, whether the new key was fetched or not": (DAYS, Exempt(), "2026-12-07", 0),
    "never, where nothing is enforced": (replace(DAYS, accounts=()), Exempt(), "never", 0),
    "on the last day, where all accounts are meant": (replace(DAYS, accounts=("all",)), Exempt(), "2026-12-07", 0),
    "never, where it is enforced elsewhere": (replace(DAYS, accounts=("2" * 12,)), Exempt(), "never", 0),
    "never, where no rule is set": (Enforce(accounts=(ACCOUNT.number,)), GROUPS, "never", 0),
    "not before the new one is there, without a last day": (
        replace(DAYS, deactivate_anyway_at=None),
        Exempt(),
        "never",
        0,
    ),
    "never, for who is exempt by group": (DAYS, replace(GROUPS, groups=("ops",)), "never", 1),
    "as for all, for who is in no such group": (DAYS, GROUPS, "2026-12-07", 1),
    "unknown, where bots are exempt": (DAYS, BOTS, "password", 0),
    "unknown, where the groups are denied": (DAYS, GROUPS, "no ListGroupsForUser", 1),
}


@pytest.mark.parametrize("sentence", ENDS)
def test_when_the_old_key_is_switched_off_is_told(company: Company, sentence: str) -> None:
    """By the rules of enforce, with one call at most; the same once the new key waits. What is not known is said."""
    enforce, exempt, said, calls = ENDS[sentence]
    company.settings = replace(company.settings, enforce=enforce, exempt=exempt)
    company.world.everybody["alice"].groups = {"ops"}
    if "denied" in sentence:
        company.world.broken["groups_of"] = Denied("no ListGroupsForUser")
    organization = FakeOrganization(company.world)
    for _ in range(2):
        end = old_key_end(company.plan(), organization, company.settings, company.now())
        assert said in (f"{end.off:%Y-%m-%d}" if end.off else end.why or "never")
        company.reissue()
    assert company.world.calls["groups_of"] == 2 * calls


def test_no_old_key_no_end() -> None:
    """Whoever has none has nothing to lose."""
    company = Company()
    company.world.user("alice")
    company.settings = replace(company.settings, enforce=DAYS)
    assert old_key_end(company.plan(), FakeOrganization(company.world), company.settings, company.now()) == OldKeyEnd()
