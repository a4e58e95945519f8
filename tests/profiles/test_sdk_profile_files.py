"""98 profile files from the SDKs' own tests: each changed exactly as expected, or refused untouched with a reason."""

import base64
import json
import os
from pathlib import Path

import pytest
from botocore.configloader import load_config, raw_config_parse
from botocore.exceptions import ConfigParseError

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials, Place, PlaceKind
from rotate_my_key.profiles.file import ProfilePaths
from rotate_my_key.profiles.places import LocalPlaces

DATA = json.loads((Path(__file__).parents[1] / "data" / "sdk-profile-files.json").read_text())
OLD = Credentials(DATA["old_access_key_id"], DATA["old_secret_access_key"])

# What is refused, and the reason in our own message. botocore is the judge, so these cannot be otherwise: it reads no
# pair there, or another one, or cannot read the file at all.
REFUSED = {
    # botocore cannot parse the file: a name twice in a section, also one that has nothing to do with the key
    "Duplicate properties in a profile use the last one defined. [foo]": "name is set twice (lines 4 and 5)",
    "config/load_config_secondary [partial-creds-1]": "aws_secret_access_key is set twice (lines 3 and 4)",
    # botocore cannot parse the file: a section twice
    "Default profiles with mixed prefixes in the config file ignore the one without prefix when merging. [default]": (
        "[profile default] appears twice (lines 1 and 7)"
    ),
    # botocore cannot parse the file: text before the first section
    "valid/global_values_profile [default]": "line 1 stands before the first section",
    # botocore cannot parse the file: a block below `s3 =` with a line that is no NAME = VALUE
    "valid/op_sep_in_values [case1]": "in which botocore cannot read a line without '='",
    # botocore takes the later of [default] and [profile default] alone, which has no key in either case
    "Default profile with profile prefix overrides default profile without prefix when profile prefix is first. "
    "[default]": "line 5 begins [default]; botocore takes that for profile default, and not [profile default]",
    "Default profile with profile prefix overrides default profile without prefix when profile prefix is last. "
    "[default]": "line 5 begins [profile default]; botocore takes that for profile default, and not [default]",
    # botocore reads an indented line as a part of the secret above it
    "parseIni / parses config for other keys / trims data from key/value [mock_profile_name]": (
        "line 4 is indented, so botocore takes it for a part of aws_secret_access_key"
    ),
}


def read_by_botocore(path: str, kind: str, profile: str) -> tuple[object, object] | None:
    """What botocore itself reads for this profile; None if it cannot."""
    try:
        read = raw_config_parse(path) if kind == "credentials" else load_config(path)["profiles"]
    except ConfigParseError:
        return None
    return read[profile].get("aws_access_key_id"), read[profile].get("aws_secret_access_key")


def named(case: dict[str, object]) -> str:
    """The name of a case in the test report."""
    return f"{case['source']}: {case['name']}"


def placed(case: dict[str, str], folder: Path) -> tuple[LocalPlaces, Place]:
    """The case as a real file."""
    path = folder / case["kind"]
    path.write_bytes(base64.b64decode(case["input_b64"]))
    files = LocalPlaces(ProfilePaths(str(folder / "credentials"), str(folder / "config")))
    return files, Place(str(path), case["profile"], PlaceKind(case["kind"]))


@pytest.mark.parametrize("case", [c for c in DATA["cases"] if c["name"] not in REFUSED], ids=named)
def test_the_pair_is_replaced_exactly(case: dict[str, str], tmp_path: Path) -> None:
    """The file holds the expected bytes afterwards, botocore reads the new pair, nothing is left beside it."""
    files, place = placed(case, tmp_path)
    new = Credentials(case["new_access_key_id"], case["new_secret_access_key"])
    assert place in {holding.place for holding in files.search([OLD.key_id]) if holding.pair == OLD}
    files.rehearse([place], OLD)
    files.write([place], OLD, new, lambda writes: pytest.fail("this file can be replaced"))
    assert Path(place.path).read_bytes() == base64.b64decode(case["expected_output_b64"])
    assert read_by_botocore(place.path, case["kind"], case["profile"]) == (new.key_id, new.secret)
    assert os.listdir(tmp_path) == [case["kind"]]


@pytest.mark.parametrize("case", [c for c in DATA["cases"] if c["name"] in REFUSED], ids=named)
def test_what_botocore_does_not_read_is_refused_untouched(case: dict[str, str], tmp_path: Path) -> None:
    """A rehearsal is refused with the reason and a remedy; neither it nor a write touches the file."""
    files, place = placed(case, tmp_path)
    before = os.stat(place.path)
    assert read_by_botocore(place.path, case["kind"], case["profile"]) != (OLD.key_id, OLD.secret)
    with pytest.raises(Problem) as refusal:
        files.rehearse([place], OLD)
    assert REFUSED[case["name"]] in refusal.value.message
    assert refusal.value.hint
    assert OLD.secret not in refusal.value.message + refusal.value.hint
    after = os.stat(place.path)
    assert Path(place.path).read_bytes() == base64.b64decode(case["input_b64"])
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_every_case_is_looked_at() -> None:
    """There are 98 cases, each refusal of the table occurs, and no case is refused that botocore reads."""
    names = [case["name"] for case in DATA["cases"]]
    assert len(names) == 98
    assert set(REFUSED) <= set(names)
    for case in DATA["cases"]:
        assert ("botocore" in case["readers_ok"]) == (case["name"] not in REFUSED)
