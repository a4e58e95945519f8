"""The IAM calls about one user: by whom they are signed, and the three that only look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..errors import Denied, KeyRefused, Problem, TryLater
from ..model import AccessKey, Credentials, Identity, LastUse
from . import answers
from .calls import Calls, Signers
from .signing import Signing

T = TypeVar("T")

_PAGES = 100  # of a list of keys; AWS gives them all on one
_SIGNERS = 3  # how many may try one call: the keys, a session, one more session


class User:
    """`name` is the user's, None until it is known; `who` is known after the first look. `own` are the user's keys,
    and `refused` is for how many seconds one that AWS refuses is waited for."""

    def __init__(self, calls: Calls, signing: Signing, name: str | None) -> None:
        self.calls = calls
        self.signing = signing
        self.name = name
        self.who: Identity | None = None
        self.own = Signers(())
        self.listed: set[str] = set()  # whose keys the list was of, where no name was given
        self.refused = 0.0

    def known(self, who: Identity, pairs: Sequence[Credentials], refused: float) -> None:
        """From now on it is known who this is, and which of the user's keys work."""
        self.name, self.who = who.user, who
        self.sign_with(pairs, refused)

    def sign_with(self, pairs: Sequence[Credentials], refused: float) -> None:
        """The user's keys are others now."""
        self.own, self.refused = Signers(pairs), refused

    @property
    def signers(self) -> Signers:
        """Who signs now."""
        return self.signing.signers(self.own, self.who)

    @property
    def named(self) -> dict[str, str | int]:
        """The parameter that names the user; without it IAM means whoever has signed."""
        return {"UserName": self.name} if self.name else {}

    def patience(self, signers: Signers) -> float:
        """For how many seconds to wait if AWS refuses these."""
        return self.refused if signers.pairs[0] in self.own.pairs else self.signing.patience(self.refused)

    def signed(self, send: Callable[[Signers], T]) -> T:
        """Send a call, signed by whoever signs for this user; after a no perhaps by somebody else."""
        for _ in range(_SIGNERS - 1):
            signers = self.signers
            try:
                return send(signers)
            except (Denied, KeyRefused) as problem:
                self.another(problem, signers)
        return send(self.signers)

    def another(self, problem: Denied | KeyRefused, signed: Signers) -> None:
        """AWS said no to `signed`: gives back if somebody else signs from now on, else raises."""
        if self.who is None:
            raise problem
        self.signing.another(problem, signed, self.own, self.who, self.calls, self.refused)

    def keys(self, signers: Signers, refused: float = 0.0) -> tuple[AccessKey, ...]:
        """ListAccessKeys, all pages."""
        keys: list[AccessKey] = []
        params = self.named
        for _ in range(_PAGES):
            page, marker = self.calls.call("iam:ListAccessKeys", signers, self._page, params, refused=refused)
            keys += page
            if not marker:
                return tuple(keys)
            params["Marker"] = marker
        raise TryLater("AWS's list of this user's access keys has no end", "repeat the command later")

    def _page(self, answer: answers.Answer) -> tuple[list[AccessKey], str | None]:
        self.listed |= answers.owners(answer)
        return answers.page(answer, self.name, self.calls.now())

    def tags(self, signers: Signers, refused: float = 0.0) -> dict[str, str] | None:
        """GetUser; None if it is denied."""
        try:
            return self.calls.call("iam:GetUser", signers, answers.tags, self.named, refused=refused)
        except Denied:
            return None

    def last_use(self, signers: Signers, key_id: str) -> LastUse | None:
        """GetAccessKeyLastUsed. Not worth waiting for: one more attempt, then it is unknown."""
        more = iter((True,))
        try:
            return self.calls.call(
                "iam:GetAccessKeyLastUsed",
                signers,
                answers.last_use,
                {"AccessKeyId": key_id},
                again=lambda error: next(more, False),
            )
        except Problem:
            return None
