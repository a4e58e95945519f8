"""`adopt` takes a key into a profile whose key is in the keyring: of `fleet reissue`, or of the console."""

import pytest

from tests.fleet.reissue.office import Office
from tests.keyring.conftest import KeyringLaptop


@pytest.mark.slow
def test_a_key_that_it_has_made_goes_into_the_keyring(laptop: KeyringLaptop) -> None:
    """The old one is signed with from there, the new one takes its place there, and no secret touches the disk."""
    assert laptop.run("keyring", "store", "-p", "work", "-y").code == 0
    office = Office.__new__(Office)
    office.aws, office.old = laptop.aws, laptop.old
    place = office.deliver()
    unclear = laptop.run("adopt", place, "-y")
    assert (unclear.code, "for other or work" in unclear.err) == (4, True), unclear.text
    done = laptop.run("adopt", place, "-y", "-p", "work")
    assert done.code == 0, done.text
    pair = laptop.sdk_pair()
    assert [key.key_id for key in laptop.aws.keys("alice")] == [pair.key_id] != [laptop.old.key_id]
    laptop.no_secret_on_disk()
    assert list(laptop.entries()) == ["rotate-my-key: work"]


@pytest.mark.slow
def test_the_consoles_key_takes_the_place_of_a_dead_one(laptop: KeyringLaptop) -> None:
    """In the keyring as in a file; and it is replaced there at once."""
    assert laptop.run("keyring", "store", "-p", "work", "-y").code == 0
    laptop.aws.delete_key(laptop.old.key_id)
    given, file = laptop.aws.add_key("alice"), laptop.home / "accessKeys.csv"
    file.write_text(f"Access key ID,Secret access key\n{given.key_id},{given.secret}\n")
    done = laptop.run("adopt", str(file), "-y", "-p", "work")
    file.unlink()
    assert done.code == 0, done.text
    pair = laptop.sdk_pair()
    assert [key.key_id for key in laptop.aws.keys("alice")] == [pair.key_id] != [given.key_id]
    laptop.no_secret_on_disk()
