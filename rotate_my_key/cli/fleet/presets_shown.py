"""What `fleet enforce --presets` shows: each set of rules, in words and as settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from ...fleet.presets import Preset
from ...fleet.rendering import wrapped
from ...policy import format_duration


def text(presets: Iterable[Preset]) -> str:
    """For a person."""
    return "\n\n".join(
        "\n".join(
            [
                preset.name,
                wrapped(f"as {preset.after}", "  "),
                wrapped(f"{preset.says}.", "  "),
                wrapped(f"What is better here: {preset.here}.", "  "),
                *(f"    {line}" for line in lines(preset)),
            ]
        )
        for preset in presets
    )


def lines(preset: Preset) -> Iterator[str]:
    """As fleet.ini would have it."""
    yield f"max_age = {format_duration(preset.policy.max_age)}"
    yield f"remind_before = {format_duration(preset.policy.remind_before)}"
    for section, values in (("remind", preset.remind), ("enforce", preset.enforce)):
        if values:
            yield f"[{section}]"
            yield from (f"{name} = {_value(value)}" for name, value in values.items())
    if preset.reissue:
        yield "[reissue]"
        yield "enabled = yes"


def _value(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return format_duration(value)
        case tuple():
            return ", ".join(value) or '""'
        case _:
            return str(value)


def as_json(presets: Iterable[Preset]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "name": each.name,
            "after": each.after,
            "says": each.says,
            "here": each.here,
            "settings": list(lines(each)),
        }
        for each in presets
    ]
