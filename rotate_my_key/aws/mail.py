"""Mail through SES, API version 2: the port `fleet.ports.Mail`.

Calls: ses:SendEmail, ses:GetAccount. A mail whose answer was lost is sent again: twice is better than never.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Denied, Gone
from . import answers
from .account_calls import AccountCalls


class Ses:
    """See the port. Safe to share between threads."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def send(self, sender: str, to: str, subject: str, text: str, html: str = "") -> None:
        """See the port. `sender` may have a name: `IT <it@example.com>`."""
        body = {"Text": _utf8(text)} | ({"Html": _utf8(html)} if html else {})
        params = {
            "FromEmailAddress": sender,
            "Destination": {"ToAddresses": [to]},
            "Content": {"Simple": {"Subject": _utf8(" ".join(subject.split())), "Body": body}},
        }
        try:
            self._calls.call("sesv2:SendEmail", answers.nothing, params)
        except Gone:
            raise Gone(f"SES has no identity for {sender}", "aws sesv2 list-email-identities") from None

    def sandbox(self) -> bool | None:
        """See the port."""
        try:
            return self._calls.call("sesv2:GetAccount", _sandbox, {})
        except Denied:
            return None


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _sandbox(answer: Mapping[str, Any]) -> bool:
    return not answer["ProductionAccessEnabled"]
