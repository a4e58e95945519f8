"""Ways to tell somebody, made from the settings by name. What a channel needs of AWS is handed in as ports.

Nothing here shows a URL or a token: a channel is called by its name in the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ...errors import WrongUsage
from ...settings.fleet import ChannelSettings, FleetSettings
from ..letters import Channels
from ..model import Message
from ..ports import Channel, Cloud
from .chat import ChatChannel
from .ses import MailChannel
from .sns import TopicChannel

_HINT = "see docs/it/remind.md"


def channels(names: Iterable[str], settings: Mapping[str, ChannelSettings], cloud: Cloud) -> tuple[Channel, ...]:
    """The channels of these names, each once; nothing is sent and no secret fetched.

    Raises WrongUsage for a name that the settings do not have, and for a channel that lacks what its kind needs.
    """
    return tuple(_channel(name, settings, cloud) for name in dict.fromkeys(names))


def _channel(name: str, settings: Mapping[str, ChannelSettings], cloud: Cloud) -> Channel:
    if name not in settings:
        known = f"there are {', '.join(sorted(settings))}" if settings else f"add [[{name}]] to [channels]"
        raise WrongUsage(f"there is no channel {name} in the settings", known)
    said = settings[name]
    if said.kind not in _KINDS:
        raise WrongUsage(f"channel {name} is of kind {said.kind!r}", f"the kinds are {', '.join(_KINDS)}")
    needed, make = _KINDS[said.kind]
    if not getattr(said, needed):
        raise WrongUsage(f"channel {name} of kind {said.kind} needs {needed}", _HINT)
    return make(said, cloud)


def for_admins(found: Iterable[Channel], settings: Mapping[str, ChannelSettings]) -> tuple[Channel, ...]:
    """The same channels, once it is sure that each has somebody to tell: mail needs `to`. Raises WrongUsage."""
    channels_of_admins = tuple(found)
    for each in channels_of_admins:
        if each.wants_address and not settings[each.name].to:
            raise WrongUsage(f"channel {each.name} has no address to write to", f"set to in [[{each.name}]]")
    return channels_of_admins


def outlets(settings: FleetSettings, cloud: Cloud) -> Channels:
    """The channels that [remind] names. Raises WrongUsage, also if it names neither owners' nor admins'."""
    remind, said = settings.remind, settings.channels
    if not (remind.owners or remind.admins):
        raise WrongUsage(f"{settings.where} does not say how to tell anybody", "set owners or admins in [remind]")
    return Channels(
        channels(remind.owners, said, cloud),
        for_admins(channels(remind.admins, said, cloud), said),
        for_admins(channels(remind.escalate, said, cloud), said),
    )


class Unset:
    """Stands for a channel that is not set yet, so that a dry run can show what it would carry."""

    def __init__(self, whom: str, *, wants_address: bool = False) -> None:
        self.name = f"no channel yet ({whom} in [remind])"
        self.wants_address = wants_address

    def deliver(self, message: Message) -> None:
        """Raises WrongUsage."""
        raise WrongUsage(f"there is {self.name}", _HINT)

    def check(self) -> tuple[str, ...]:
        """See the port."""
        return (f"there is {self.name}",)


def _mail(said: ChannelSettings, cloud: Cloud) -> Channel:
    return MailChannel(said, cloud.mail(said.region))


def _topic(said: ChannelSettings, cloud: Cloud) -> Channel:
    return TopicChannel(said, cloud.topics(said.region or region_of(said.topic)))


def _chat(said: ChannelSettings, cloud: Cloud) -> Channel:
    return ChatChannel(said, cloud.vault(said.region))


def region_of(arn: str) -> str:
    """The region in an ARN, "" if it is none: a topic is published to where it is."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 and parts[0] == "arn" else ""


# By kind: the setting that it cannot do without, and how it is made.
_KINDS: Mapping[str, tuple[str, Callable[[ChannelSettings, Cloud], Channel]]] = {
    "ses": ("sender", _mail),
    "sns": ("topic", _topic),
    "apprise": ("urls", _chat),
}
