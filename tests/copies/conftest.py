"""A laptop whose key has both signs that formats spell in their own ways."""

import pytest

from tests.laptop import AGE, Laptop


@pytest.fixture
def laptop(laptop: Laptop) -> Laptop:
    """A laptop whose key is due, in two profiles."""
    pair = laptop.old
    while not {"/", "+"} <= set(pair.secret):
        laptop.aws.delete_key(pair.key_id)
        pair = laptop.aws.add_key("alice", age=AGE)
    data = laptop.original.replace(laptop.old.key_id.encode(), pair.key_id.encode())
    laptop.original = data.replace(laptop.old.secret.encode(), pair.secret.encode())
    laptop.file.write_bytes(laptop.original)
    laptop.old = pair
    return laptop
