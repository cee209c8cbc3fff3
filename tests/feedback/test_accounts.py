"""Accounts: passwords, roles and campaigns."""

import pytest

from assay.feedback.accounts import (
    check_password,
    find_account,
    hash_password,
    is_open_to_all,
    may,
    open_account,
    use_link,
)
from assay.records.errors import InputError

PASSWORD = "correct horse battery"


def test_the_first_account_closes_the_door(workspace, now):
    assert is_open_to_all(workspace.records)
    open_account(workspace.records, "ada", "annotator", now=now)
    assert not is_open_to_all(workspace.records)


def test_a_password_lets_in_its_own_person_only(workspace, now):
    records = workspace.records
    ada = open_account(records, "ada", "annotator", now=now, password=PASSWORD)
    open_account(records, "bob", "annotator", now=now)
    assert PASSWORD not in ada.model_dump_json()
    assert check_password(records, "ada", PASSWORD) == ada
    assert check_password(records, "ada", PASSWORD + " ") is None
    assert check_password(records, "bob", PASSWORD) is None
    assert check_password(records, "eve", PASSWORD) is None
    assert check_password(records, "eve", "") is None


def test_the_same_password_has_another_hash_for_everybody():
    assert hash_password(PASSWORD, salt=b"0" * 16) != hash_password(PASSWORD, salt=b"1" * 16)


def test_a_closed_account_lets_nobody_in_and_may_be_opened_again(workspace, now):
    records = workspace.records
    for is_closed in (False, True, False):
        open_account(records, "ada", "annotator", now=now, password=PASSWORD, is_closed=is_closed)
        assert (check_password(records, "ada", PASSWORD) is None) == is_closed
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
