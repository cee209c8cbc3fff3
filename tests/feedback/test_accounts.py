"""Accounts: passwords, roles and campaigns."""

import pytest

from assay.feedback import passwords
from assay.feedback.accounts import (
    Account,
    NewHash,
    check_password,
    find_account,
    is_open_to_all,
    may,
    open_account,
    use_link,
)
from assay.records.errors import InputError

PASSWORD = "correct horse battery"
OLD_HASH = (
    "scrypt$32768$8$1$000102030405060708090a0b0c0d0e0f$c72e940880b3f15bff3fa26a3a49140f80ce9a1c4dd2d5d27bab10014071ba94"
)
"""What was stored for it before argon2id."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Hashes that cost little memory."""
    monkeypatch.setitem(passwords.COST, "memory_cost", 64)


def test_the_first_account_closes_the_door(workspace, now):
    assert is_open_to_all(workspace.records)
    open_account(workspace.records, "ada", "annotator", now=now)
    assert not is_open_to_all(workspace.records)


def test_a_password_lets_in_its_own_person_only(workspace, now):
    records = workspace.records
    ada = open_account(records, "ada", "annotator", now=now, password=PASSWORD)
    open_account(records, "bob", "annotator", now=now)
    assert PASSWORD not in ada.model_dump_json()
    assert check_password(records, "ada", PASSWORD, now=now) == ada
    assert check_password(records, "ada", PASSWORD + " ", now=now) is None
    assert check_password(records, "bob", PASSWORD, now=now) is None
    assert check_password(records, "eve", PASSWORD, now=now) is None
    assert check_password(records, "eve", "", now=now) is None


@pytest.fixture
def old(workspace, now):
    """A function that stores an account as it was stored before argon2id."""

    def old_(name, **fields):
        account = Account(name=name, role="annotator", password=OLD_HASH, created_at=now, **fields)
        workspace.records.put(account, subject=name)
        return account

    return old_


def test_a_hash_of_before_opens_and_is_replaced_at_the_next_right_login(workspace, now, old):
    records, ada = workspace.records, old("ada")
    assert check_password(records, "ada", PASSWORD + "x", now=now) is None
    assert records.count(NewHash) == 0
    assert check_password(records, "ada", PASSWORD, now=now) == ada
    (new,) = records.all(NewHash)
    assert (new.account, new.password[:10]) == (ada.id, "$argon2id$")
    assert PASSWORD not in new.model_dump_json()
    assert records.all(Account) == [ada]
    assert check_password(records, "ada", PASSWORD + "x", now=now) is None
    assert check_password(records, "ada", PASSWORD, now=now) == ada
    assert records.count(NewHash) == 1


def test_a_replaced_hash_does_not_outlive_a_change_of_its_account(workspace, now, old):
    records = workspace.records
    old("ada")
    assert check_password(records, "ada", PASSWORD, now=now)
    open_account(records, "ada", "annotator", now=now, password="another long password")
    assert check_password(records, "ada", PASSWORD, now=now) is None
    assert check_password(records, "ada", "another long password", now=now)
    open_account(records, "ada", "annotator", now=now)
    assert check_password(records, "ada", "another long password", now=now) is None


def test_a_closed_account_of_before_stays_closed(workspace, now, old):
    old("ada", is_closed=True)
    assert check_password(workspace.records, "ada", PASSWORD, now=now) is None
    assert workspace.records.count(NewHash) == 0


def test_a_wrong_password_costs_the_same_work_whoever_it_is_for(workspace, now, old, monkeypatch):
    work = []
    for name in ("scrypt", "verify_secret"):
        real = getattr(passwords, name)

        def counted(*given, _real=real, _name=name, **cost):
            work.append(
                (_name, given[0].split(b"$")[:4] if _name == "verify_secret" else (cost["n"], cost["r"], cost["p"]))
            )
            return _real(*given, **cost)

        monkeypatch.setattr(passwords, name, counted)
    records = workspace.records
    old("old")
    open_account(records, "new", "annotator", now=now, password=PASSWORD)
    open_account(records, "link", "annotator", now=now)
    done = {}
    for name in ("old", "new", "link", "nobody"):
        assert check_password(records, name, "wrong password", now=now) is None
        done[name] = sorted(work)
        work.clear()
    assert len(done["nobody"]) == 2
    assert all(one == done["nobody"] for one in done.values())


def test_a_closed_account_lets_nobody_in_and_may_be_opened_again(workspace, now):
    records = workspace.records
    for is_closed in (False, True, False):
        open_account(records, "ada", "annotator", now=now, password=PASSWORD, is_closed=is_closed)
        assert (check_password(records, "ada", PASSWORD, now=now) is None) == is_closed
    assert find_account(records, "ada").previous is not None


@pytest.mark.parametrize(("name", "password"), [("", PASSWORD), ("ada", "short"), ("a\nb", PASSWORD)])
def test_a_name_or_password_that_will_not_do_is_told(workspace, now, name, password):
    with pytest.raises(InputError, match="account that can be opened"):
        open_account(workspace.records, name, "annotator", now=now, password=password)


@pytest.mark.parametrize(
    ("role", "pages"),
    [
        ("annotator", {"judge"}),
        ("reviewer", {"judge", "review"}),
        ("manager", {"review", "quality"}),
        ("auditor", {"review", "quality", "trail"}),
    ],
)
def test_each_role_has_its_pages_and_only_in_its_campaigns(workspace, now, role, pages):
    account = open_account(workspace.records, "ada", role, now=now, campaigns=["k"])
    assert {page for page in ("judge", "review", "quality", "trail") if may(account, page, "k")} == pages
    assert not any(may(account, page, "other") for page in pages)


def test_a_link_is_used_up(workspace, now):
    assert use_link(workspace.records, "n", now=now)
    assert not use_link(workspace.records, "n", now=now)
