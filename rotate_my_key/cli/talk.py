"""What `rotate` asks and says: the questions, asked before the lock; a line a step, with a spinner while AWS is waited
for; and for each key the result, the problem, or the steps of a dry run.

Without a terminal nothing is asked: exit 4, naming the flag."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ..core.errors import Declined, NeedsPerson
from ..core.hints import Again, Hint
from ..core.parallel import Running
from ..core.plan import Note, Step
from ..core.policy import TWO_KEYS, Row, join, mask, old
from ..rotation.ports import Did, Ending
from . import show
from .app import App
from .commands import CODE
from .copies import OtherCopies, foreseen, in_words

if TYPE_CHECKING:
    from ..rotation.prepare import RotationPlan
    from ..rotation.run import Result

_ONLY_HERE = "Only this computer is updated. Anything else that uses {} stops working."
_TO_UNDO = "To keep the old key working for a day, and to be able to undo: --overlap 1d"
_DAY = timedelta(days=1)
_PATIENCE = 2.0  # seconds for a look at what runs here: some systems ask a server who is who


@dataclass(eq=False)
class Talk:
    """Asks the person, and tells them what came of it. `yes` is --yes; `out` takes results; `foreign` names endpoints
    that are not AWS's, `others` gives a key's last use by anything but this program; `looked` is told of the keys
    before the question; of `several` keys each has one line, which says what it is about."""

    app: App
    copies: OtherCopies
    yes: bool
    out: Callable[[str], None]
    foreign: Callable[[RotationPlan], Sequence[str]] = lambda _: ()
    others: Callable[[RotationPlan], Row | None] = lambda _: None
    looked: Callable[[Sequence[RotationPlan]], None] = lambda _: None
    several: bool = False
    said: set[str] = field(default_factory=set)  # what is true of several keys is said once

    def __post_init__(self) -> None:
        self.asks, self.attended = not self.yes, self.app.terminal

    def agree(self, plans: Sequence[RotationPlan]) -> timedelta | None:
        """Tell what will happen and ask once, whatever the number of keys."""
        pairs = [plan.pair for plan in plans]
        looking = Running(partial(self.copies.running, pairs))
        for plan in plans:
            self.introduce(plan)
        at_once = any(plan.draft and plan.draft.switch_off_at < plan.look.now + _DAY for plan in plans)
        at_once = at_once and not any(plan.leaked for plan in plans)
        it = "this key" if len(plans) == 1 else "these keys"
        self.app.complain(_ONLY_HERE.format(it))
        self.looked(plans)
        self.copies.tell(pairs)
        running = looking.result() if looking.wait(_PATIENCE) and not looking.failed else []
        for line in in_words(running, "this key" if len(plans) == 1 else "one of these keys"):
            self.app.complain(line)
        used = bool(running) or any(map(self._is_used, plans))
        if at_once and not used and not any(plan.draft and plan.draft.delete_at > plan.look.now for plan in plans):
            self.app.complain(_TO_UNDO)
        longer = self._ask(len(plans), may_keep=at_once and used)
        if longer is not None:
            self.copies.ask()
        return longer

    def _ask(self, count: int, *, may_keep: bool) -> timedelta | None:
        """Where somebody may need the old key, and it would go at once, it may be kept working for a day."""
        it = "it" if count == 1 else f"these {count} keys"
        if not may_keep:
            agreed = self.app.confirm(f"Rotate {it}? It takes about 10 seconds.", default=True)
            return timedelta(0) if agreed else None
        question = f"Rotate {it}? It takes about 10 seconds. [y]es, [K]eep the old key working for a day, [n]o:"
        answer = self.app.choose(question, "ykn", default="k")
        return {"y": timedelta(0), "k": _DAY}.get(answer)

    def _is_used(self, plan: RotationPlan) -> bool:
        """Whether anything but this program has used the key within the last day."""
        use = self.others(plan)
        return bool(use and datetime.fromisoformat(use["at"]) > plan.look.now - _DAY)

    def introduce(self, plan: RotationPlan) -> None:
        """The lines before the question, also where nothing is asked."""
        say = self.app.complain if self.asks else self.app.say  # what is asked about is said with --quiet too
        who, age, *more = show.header(plan, self.app.settings.policy, self.others(plan), self.foreign(plan))
        lines = [who, age] if not self.several else [f"{who}, {age}"] if self.asks else []
        for line in [*lines, *(line for line in more if line not in self.said)]:
            say(line)
        self.said.update(more)
        for warning in plan.warnings if self.asks else ():
            say(f"{self.app.style('note:', fg='yellow')} {warning}")
        if not self.asks:
            self.copies.tell([plan.pair])

    def give_up(self, plan: RotationPlan) -> bool:
        """Whether the inactive second key may go: `--yes` is not consent to that, the setting and a yes here are."""
        if self.app.settings.replace_inactive:
            return True
        if not self.asks or not self.app.terminal:
            return False
        second = plan.second
        if second is None:
            raise NeedsPerson("there is no second key", Again("--yes"))
        now = plan.look.now
        self.app.say(
            f"Your other key, {mask(second.key.key_id)}, is inactive ({old(now - second.key.created)}, "
            f"{show.last_used(second.last_use, now)}). {TWO_KEYS}."
        )
        return self.app.confirm(f"Delete {mask(second.key.key_id)} to make room?", default=False)

    # What came of it

    def tell(self, result: Result) -> None:
        """What came of one key."""
        if result.problem:
            return self.problem(result)
        earlier = result.plan is None and result.outcome and result.outcome.ending is not Ending.REPLACED
        now = datetime.now(UTC)
        if earlier:
            text = show.settled_line(result)
            return self.app.say(text) if text else None
        if result.outcome and (kept := show.kept_line(result.outcome, now)):
            self.app.say(f"{self._prefix(result) or '  '}{kept}")
        text = show.result_line(result, self.app.settings.policy, now)
        if text.startswith("Done"):
            text = self.app.style("Done", fg="green", bold=True) + text.removeprefix("Done")
        return self.out(f"{self._prefix(result)}{text}")

    def problem(self, result: Result) -> None:
        """What is wrong with one key, and what to type; nothing if nothing is."""
        if not result.problem:
            return None
        if isinstance(result.problem, Declined):
            return self.app.say(f"{self._prefix(result)}{show.CANCELLED}")
        about = next(iter(result.profiles), "") if self.several else ""
        return self.app.show_problem(result.problem, self._prefix(result), about)

    def dry(self, result: Result, plan: RotationPlan) -> None:
        """The steps that would be taken."""
        for line in show.header(plan, self.app.settings.policy, self.others(plan), self.foreign(plan)):
            self.app.say(line)
        steps = result.outcome.steps if result.outcome else ()
        lines = show.foreseen(steps, plan, self.app.show_path)
        for line in ["It would:", *(f"  {line}" for line in lines)] if lines else ["Nothing to do."]:
            self.out(line)
        copies = self.copies
        for line in foreseen(copies.found(result.key_id), self.app.show_path, wanted=copies.wanted):
            self.out(line)

    def json(self, results: Sequence[Result]) -> dict[str, Any]:
        """What came of the keys, and of other files that hold them."""
        copies = self.copies
        keys = [
            {**show.result_json(result, self.app.settings.policy), "copies": copies.json(result.key_id)}
            for result in results
        ]
        return {"keys": keys, "update_copies": copies.wanted}

    def _prefix(self, result: Result) -> str:
        return f"{join(result.profiles)}: " if self.several and result.profiles else ""


class Narrator:
    """One key's progress. `prefix` tells keys apart where several are rotated side by side: their steps are for -v.
    `title` stands before the first step."""

    def __init__(self, app: App, prefix: str = "", *, spin: bool = True, title: str = "") -> None:
        self._app = app
        self._prefix = f"{prefix}: " if prefix else "  "
        self._spin, self._title = spin, title
        self._spinner = ExitStack()
        self._switched_off = ""
        self._made = ""
        self._back = False
        self._lock = threading.Lock()

    def doing(self, step: Step, note: Note | None) -> None:
        """A step begins."""
        self._spinner.close()
        self._app.detail(f"{self._prefix}({step.value})", 2)
        self._back = note is not None and note.back
        text = show.doing(step)
        if self._spin and text:
            self._spinner.enter_context(self._app.waiting(text))

    def did(self, did: Did) -> None:
        """A step went well; deactivating and deleting the same key make one line."""
        with self._lock:
            self._spinner.close()
            if did.step is Step.DEACTIVATE:
                self._switched_off = did.key_id
                return
            if did.step is Step.DELETE and did.key_id == self._switched_off:
                self._say(f"deactivated and {self._line(did)}")
                self._switched_off = ""
                return
            text = self._line(did)
            if did.step is Step.PROVE and did.key_id == self._made:
                text = text.replace(f"key {mask(did.key_id)}", "new key")
            if did.step is Step.CREATE:
                self._made = did.key_id
            self._say(text)

    def warn(self, text: str) -> None:
        """Something that stops nothing."""
        self._spinner.close()
        self._app.say(f"{self._prefix}{self._app.style('note:', fg='yellow')} {text}")

    def close(self) -> None:
        """No more steps: stop the spinner, say what was held back."""
        self._spinner.close()
        if self._switched_off:
            self._say(self._line(Did(Step.DEACTIVATE, self._switched_off)))
            self._switched_off = ""

    def _line(self, did: Did) -> str:
        return show.did_line(did, self._app.show_path, back=self._back)

    def _say(self, text: str) -> None:
        say = self._app.detail if self._prefix.strip() else self._app.say
        if self._title:
            say(self._title)
            self._title = ""
        say(f"{self._prefix}{text}")


_NEXT = "wait for the device's next code (up to 30 s)"


class Person:
    """`aws.mfa.Codes`: the code of the option, once; then the person at the terminal, if `asks`. One at a time."""

    def __init__(self, app: App, check: Callable[[], None], *, asks: bool = True) -> None:
        self._app, self._check, self._asks = app, check, asks
        self._option = app.mfa_code
        self._used: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    @property
    def given(self) -> bool:
        return self._option is not None

    def code(self, whose: str, serial: str, complaint: str) -> str:
        with self._lock:
            used = self._used.setdefault(serial, set())
            code, self._option = self._option, None
            if code is None:
                code = self._ask(whose, serial, complaint, used)
            used.add(code)
            return code

    def _ask(self, whose: str, serial: str, complaint: str, used: set[str]) -> str:
        if not self._asks or not self._app.terminal:
            raise self._unattended(whose, serial, complaint)
        if used:
            self._app.complain(f"{complaint or 'a code works only once'}; {_NEXT}")
        while True:
            code = "".join(self._app.line(f"MFA code for {whose} {serial}: ", self._check).split())
            if not CODE.fullmatch(code):
                self._app.complain("an MFA code has six digits")
            elif code in used:
                self._app.complain(f"that code has already been used; {_NEXT}")
            else:
                return code

    def _unattended(self, whose: str, serial: str, complaint: str) -> NeedsPerson:
        if complaint:
            return NeedsPerson(complaint, Again("--mfa-code", "CODE", lead=f"{_NEXT}, then"))
        if self._app.mfa_code:
            return NeedsPerson(
                f"AWS asks for an MFA code of {whose} {serial} too, and a code works only once",
                Hint("rotate", "-p", "NAME", "--mfa-code", "CODE", lead=f"{_NEXT}, then one at a time"),
            )
        return NeedsPerson(f"AWS asks for an MFA code of {whose} {serial}", Again("--mfa-code", "CODE"))

    def choose(self, user: str, serials: Sequence[str]) -> str:
        if not self._asks or not self._app.terminal:
            raise NeedsPerson(
                f"{user} has {len(serials)} MFA devices: {', '.join(serials)}",
                Hint("config", "set", "mfa_serial", serials[0]),
            )
        with self._lock:
            self._app.complain(f"{user} has {len(serials)} MFA devices (the setting mfa_serial chooses one):")
            for number, serial in enumerate(serials, start=1):
                self._app.complain(f"  {number}  {serial}")
            while True:
                answer = self._app.line(f"Which one do you want to use? [1-{len(serials)}] ", self._check).strip()
                if answer.isdecimal() and 1 <= int(answer) <= len(serials):
                    return serials[int(answer) - 1]
