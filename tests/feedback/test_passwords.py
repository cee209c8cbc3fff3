"""Passwords: hashes of today and of before, and what is no hash."""

import pytest

from assay.feedback.passwords import COST, SCRYPT_COST, hash_password, is_outdated, is_right

PASSWORD = "correct horse battery"
OLD_HASH = (
    "scrypt$1024$8$1$000102030405060708090a0b0c0d0e0f$84a1962f6d96b5d19f21bc443c0674e814b66d6c982ae6482afca97c09583969"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setitem(COST, "memory_cost", 64)
    monkeypatch.setitem(SCRYPT_COST, "n", 2**8)


def test_the_cost_is_the_second_choice_of_rfc_9106(monkeypatch):
    monkeypatch.undo()
    assert hash_password(PASSWORD, salt=bytes(16)).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_the_same_password_has_another_hash_for_everybody():
    assert hash_password(PASSWORD, salt=b"0" * 16) != hash_password(PASSWORD, salt=b"1" * 16)


@pytest.mark.parametrize("stored", [hash_password(PASSWORD, salt=bytes(16)), OLD_HASH], ids=["argon2id", "scrypt"])
def test_a_hash_knows_its_own_password_only(stored):
    assert is_right(PASSWORD, stored)
    assert not any(is_right(wrong, stored) for wrong in ("", PASSWORD + " ", PASSWORD.upper()))


def test_hashes_of_before_and_of_another_cost_are_outdated(monkeypatch):
    today = hash_password(PASSWORD, salt=bytes(16))
    assert not is_outdated(today)
    assert is_outdated(OLD_HASH)
    monkeypatch.setitem(COST, "time_cost", 4)
    assert is_outdated(today)
    assert is_right(PASSWORD, today)


@pytest.mark.parametrize(
    "stored", [None, "", PASSWORD, "$argon2id$", "$argon2i$v=19$m=64,t=3,p=4$AAAA$AAAA", "scrypt$1$1$1$00$00"]
)
def test_nothing_fits_what_is_no_hash(stored):
    assert not any(is_right(given, stored) for given in ("", PASSWORD))
