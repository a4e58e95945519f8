"""A topic of Amazon SNS: whoever subscribed to it is told."""

from __future__ import annotations

from ...settings.fleet import ChannelSettings
from ..model import Message
from ..notices import one_line
from ..ports import Topics

LONGEST = 256 * 1024  # bytes of a message (SNS API reference, Publish)
LONGEST_SUBJECT = 100  # characters of ASCII
_CUT = "\n... cut here: rotate-my-key fleet report\n"


class TopicChannel:
    """Publishes the text."""

    def __init__(self, settings: ChannelSettings, topics: Topics) -> None:
        self._settings = settings
        self._topics = topics

    @property
    def name(self) -> str:
        """See the port."""
        return self._settings.name

    @property
    def wants_address(self) -> bool:
        """See the port."""
        return False

    def deliver(self, message: Message) -> None:
        """See the port."""
        self._topics.publish(self._settings.topic, subject(message.subject), cut(message.text, LONGEST))

    def check(self) -> tuple[str, ...]:
        """See the port."""
        return ()


def subject(text: str) -> str:
    """What SNS takes for a subject: ASCII, one line, at most 100 characters, beginning with a letter or digit.

    SNS API reference, Publish: it must begin with a letter, number or punctuation mark.
    """
    plain = one_line(text).encode("ascii", "replace").decode()
    return plain if len(plain) <= LONGEST_SUBJECT else f"{plain[: LONGEST_SUBJECT - 3].rstrip()}..."


def cut(text: str, most: int) -> str:
    """At most so many bytes of UTF-8, ending at a line's end, and saying so."""
    if len(text.encode()) <= most:
        return text
    kept = text.encode()[: most - len(_CUT.encode())].decode(errors="ignore")
    return kept.rpartition("\n")[0] + _CUT
