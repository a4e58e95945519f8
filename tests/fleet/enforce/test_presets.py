"""What a preset is, and what it is not. `test_company.py` lives through 200 days with each of them."""

from __future__ import annotations

import pytest

from rotate_my_key.core.errors import WrongUsage
from rotate_my_key.settings.fleet import PRESETS, FleetSettings, with_preset
from rotate_my_key.settings.fleet_ini import parse


def test_a_preset_lies_below_the_file() -> None:
    """What fleet.ini says besides goes before it, and its name is in the settings."""
    text = "[enforce]\npreset = staged-90\ndeactivate_at = 85d\naccounts = 123456789012\n"
    enforce = parse(text, "fleet.ini", FleetSettings(), with_preset).enforce
    assert (enforce.preset, enforce.deactivate_at and enforce.deactivate_at.days) == ("staged-90", 85)
    assert enforce.reissue_at is not None


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_names_accounts(preset: str) -> None:
    """A preset alone does nothing to anybody."""
    assert PRESETS[preset].over(FleetSettings()).enforce.accounts == ()


def test_an_unknown_preset_is_named_with_those_there_are() -> None:
    """The hint lists them."""
    with pytest.raises(WrongUsage) as caught:
        with_preset("staged-9", FleetSettings())
    assert "staged-90" in caught.value.hint
