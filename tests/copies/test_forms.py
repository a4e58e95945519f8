"""How a pair is found and respelled, byte by byte."""

from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import quote

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotate_my_key.copies.forms import _SES, Forms, _smtp, utf16
from rotate_my_key.core.model import Credentials

OLD = Credentials("AKIAOLDOLDOLDOLDOLD1", "abcdefghijklm/nopqrstuvwxyz+0123456789AB")
PLAIN = Credentials("AKIAOLDOLDOLDOLDOLD1", "abcdefghijklmnopqrstuvwxyz0123456789ABCD")
NEW = Credentials("AKIANEWNEWNEWNEWNEW2", "ZYXWVUTSRQ+PONMLKJIHG/FEDCBA9876543210zy")

SPELLED = {
    "as it is": ("abcdefghijklm/nopqrstuvwxyz+0123456789AB", "ZYXWVUTSRQ+PONMLKJIHG/FEDCBA9876543210zy"),
    "JSON": (r"abcdefghijklm\/nopqrstuvwxyz+0123456789AB", r"ZYXWVUTSRQ+PONMLKJIHG\/FEDCBA9876543210zy"),
    "a shell's": (r"abcdefghijklm\/nopqrstuvwxyz\+0123456789AB", r"ZYXWVUTSRQ\+PONMLKJIHG\/FEDCBA9876543210zy"),
    "an address": ("abcdefghijklm%2Fnopqrstuvwxyz%2B0123456789AB", "ZYXWVUTSRQ%2BPONMLKJIHG%2FFEDCBA9876543210zy"),
    "an address, small": (
        "abcdefghijklm%2fnopqrstuvwxyz%2b0123456789AB",
        "ZYXWVUTSRQ%2bPONMLKJIHG%2fFEDCBA9876543210zy",
    ),
    "a path": ("abcdefghijklm/nopqrstuvwxyz%2B0123456789AB", "ZYXWVUTSRQ%2BPONMLKJIHG/FEDCBA9876543210zy"),
    "an address twice": (
        "abcdefghijklm%252Fnopqrstuvwxyz%252B0123456789AB",
        "ZYXWVUTSRQ%252BPONMLKJIHG%252FFEDCBA9876543210zy",
    ),
    "code points": (
        r"abcdefghijklm\u002fnopqrstuvwxyz\u002b0123456789AB",
        r"ZYXWVUTSRQ\u002bPONMLKJIHG\u002fFEDCBA9876543210zy",
    ),
    "fish": (r"abcdefghijklm/nopqrstuvwxyz\x2b0123456789AB", r"ZYXWVUTSRQ\x2bPONMLKJIHG/FEDCBA9876543210zy"),
    "XML": ("abcdefghijklm&#x2F;nopqrstuvwxyz+0123456789AB", "ZYXWVUTSRQ+PONMLKJIHG&#x2F;FEDCBA9876543210zy"),
}


@pytest.mark.parametrize("name", SPELLED)
def test_the_new_secret_is_spelled_as_the_old_one(name: str) -> None:
    """Nothing else changes, and nothing of the old pair is left."""
    old, new = SPELLED[name]
    done = Forms(OLD).swap(f"a {OLD.key_id}\r\nb '{old}'\n".encode(), NEW)
    assert done.whole and (done.ids, done.secrets) == (1, 1)
    assert done.data == f"a {NEW.key_id}\r\nb '{new}'\n".encode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("s3://{}:{}@bucket", "ZYXWVUTSRQ%2BPONMLKJIHG%2FFEDCBA9876543210zy"),
        ("https://x/?id={}&secret={}&a=b", "ZYXWVUTSRQ%2BPONMLKJIHG%2FFEDCBA9876543210zy"),
        ("id={}\nsecret={}\n", NEW.secret),
    ],
)
def test_where_the_old_secret_has_no_signs_an_address_is_told_by_what_is_before_it(before: str, after: str) -> None:
    """In an address a bare slash or plus would mean something else."""
    done = Forms(PLAIN).swap(before.format(PLAIN.key_id, PLAIN.secret).encode(), NEW)
    assert done.whole and done.data == before.format(NEW.key_id, after).encode()


@pytest.mark.parametrize("plain_id", [False, True], ids=["both", "the secret alone"])
@pytest.mark.parametrize("inner", ["{}", "{}\n", "AWS_KEY=x\n{}", "a{}bc", "ab{}c"])
def test_base64_is_taken_apart_and_put_together_again(inner: str, plain_id: bool) -> None:
    """A Kubernetes secret holds values, or whole files; FileZilla writes the secret so, and the id as it is."""

    def manifest(pair: Credentials) -> bytes:
        first, second = (inner.format(value).encode() for value in (pair.key_id, pair.secret))
        return b"data:\n  a: %b\n  b: %b\n" % (first if plain_id else b64encode(first), b64encode(second))

    done = Forms(OLD).swap(manifest(OLD), NEW)
    assert Forms(OLD).here(manifest(OLD))
    assert done.whole and (done.ids, done.secrets) == (1, 1) and done.data == manifest(NEW)


# What Terraform's tests have for two secrets: https://github.com/hashicorp/terraform-provider-aws, access_key_test.go
MAIL = Credentials(OLD.key_id, "some+secret+key"), Credentials(NEW.key_id, "another+secret+key")
EU = "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"
US = "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"
OF_2018 = "AnkqhOiWEcszZZzTMCQbOY1sPGoLFgMH9zhp4eNgSjo4", "Akwqr0Giwi8FsQFgW3DXWCC2DiiQ/jZjqLDWK8TeTBgL"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user {}\npassword {}\n", EU),
        ("SMTP_USER={}\nSMTP_PASSWORD='{}'\n", US),
        ("[email-smtp.us-east-1.amazonaws.com]:587 {}:{}\n", OF_2018),
        ("smtp://{}:{}@email-smtp.us-west-1.amazonaws.com:587", [quote(word, safe="") for word in US]),
        ("auth plain {}", None),
        ("user {}\npassword {}\n", [b64encode(word.encode()).decode() for word in EU]),
    ],
    ids=["msmtp", "a .env", "of 2018", "an address", "base64", "base64 of it alone"],
)
def test_a_password_for_smtp_is_derived_anew(text: str, words: Sequence[str] | None) -> None:
    """Whatever region of SES it is for, beside the id that is its user's name; the file then holds a whole pair."""

    def content(which: int) -> bytes:
        if words:
            return text.format(MAIL[which].key_id, words[which]).encode()
        return text.format(b64encode(f"\0{MAIL[which].key_id}\0{EU[which]}".encode()).decode()).encode()

    done = Forms(MAIL[0]).swap(content(0), MAIL[1])
    assert done.whole and (done.ids, done.secrets) == (1, 1)
    assert done.data == content(1)


STRANGE = EU[0][::-1].replace("2Z", "BA")  # of a region that nobody knows of, or of another secret


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("{0.key_id} {0.secret} user={0.key_id} password={1}", False),
        ("{0.key_id} {0.secret} {0.secret} {0.key_id} {1}", False),
        ("{0.key_id} {0.secret} {2}", False),
        ("{0.key_id} {0.secret} AKIASOMEBODYELSES000 {1}", True),
        ("{0.key_id} {0.secret} x{1}", True),
    ],
    ids=["beside the id", "somewhere", "base64", "somebody else's", "another word"],
)
def test_a_password_that_is_not_derived_from_the_secret_would_not_fit(text: str, whole: bool) -> None:
    """A file with one is none that takes the new pair, unless it names whose it may be."""
    text = text.format(OLD, STRANGE, b64encode(STRANGE.encode()).decode())
    assert Forms(OLD).swap(text.encode(), NEW).whole is whole


def test_a_region_that_the_file_names_is_known() -> None:
    """So that SES may open new ones; those that botocore knows are known without."""
    session = botocore.session.get_session()
    known = {
        region for name in session.get_available_partitions() for region in session.get_available_regions("ses", name)
    }
    assert known == set(_SES.split())
    text, new = (
        f"{pair.key_id} {_smtp(pair.secret, frozenset([b'xx-new-9']))[-1]} email-smtp.xx-new-9.amazonaws.com".encode()
        for pair in (OLD, NEW)
    )
    assert Forms(OLD).swap(text, NEW)[:4] == (1, 1, 0, True) and Forms(OLD).swap(text, NEW).data == new


@pytest.mark.parametrize(
    "secret",
    [
        "abcdefghijklm|nopqrstuvwxyz+0123456789AB",
        "abcdefghijklm/nopqrstuvwxyz+01234\n56789AB",
        "abcdefghijklm&sol;nopqrstuvwxyz+0123456789AB",
        b64encode(OLD.secret.encode()).decode().rstrip("="),
    ],
)
def test_a_spelling_that_is_not_known_is_not_touched(secret: str) -> None:
    """What is left of the old secret shows it."""
    done = Forms(OLD).swap(f"{OLD.key_id} {secret} {OLD.secret}".encode(), NEW)
    assert not done.whole


def test_two_spellings_of_one_sign_in_a_secret_are_not_known() -> None:
    """No program writes so, and no guess is made. What is found shows no secret, not even in a traceback."""
    old = Credentials(OLD.key_id, "abcdefghijklm/nopqrstuvwxyz/0123456789AB")
    text = rf"{old.key_id} abcdefghijklm\/nopqrstuvwxyz%2F0123456789AB"
    assert not Forms(old).swap(text.encode(), NEW).whole
    assert NEW.secret not in repr(Forms(OLD).swap(OLD.secret.encode(), NEW))


def test_text_in_utf_16_is_looked_at() -> None:
    """PowerShell's redirection writes it."""
    assert Forms(OLD).here(utf16(f"x {OLD.key_id}".encode("utf-16")) or b"")
    assert utf16(b"plain") is None


_SECRETS = st.text("abcXYZ019/+", min_size=40, max_size=40)


@given(_SECRETS, _SECRETS, st.binary(max_size=40), st.binary(max_size=40))
def test_swapped_and_swapped_back(old: str, new: str, before: bytes, after: bytes) -> None:
    """In plain text the bytes are as they were, whatever the secrets are."""
    a, b = Credentials("AKIAOLDOLDOLDOLDOLD1", old), Credentials("AKIANEWNEWNEWNEWNEW2", new)
    data = before + f"\n{a.key_id} {old}\n".encode() + after
    done = Forms(a).swap(data, b)
    if done.whole:
        assert done.data == before + f"\n{b.key_id} {new}\n".encode() + after
        back = Forms(b).swap(done.data, a)
        assert back.data == data or not back.whole
