"""Web security: signed names, strict headers, foreign forms."""

from datetime import UTC, datetime, timedelta

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from assay.web.rate_limit import RateLimit
from assay.web.security import (
    HEADERS,
    Signer,
    form_token,
    is_form_token,
    read_link,
    read_session,
    refusal,
    signing_key,
    write_link,
    write_session,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = Signer(b"key")


def _request(method="POST", **headers):
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "headers": pairs})


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_signed_name_reads_back_and_only_under_its_key(name):
    cookie = Signer(b"key").sign(name)
    assert Signer(b"key").read(cookie) == name
    assert Signer(b"other key").read(cookie) is None


@pytest.mark.parametrize("cookie", [None, "", ".", "YWRh", "YWRh.", "YWRh.00", "!!.00", "\u00e9.\u00e9", "4pg=.x"])
def test_a_cookie_that_was_not_signed_is_nobody(cookie):
    assert Signer(b"key").read(cookie) is None


def test_a_changed_name_is_nobody():
    ada, bob = Signer(b"key").sign("ada"), Signer(b"key").sign("bob")
    assert Signer(b"key").read(ada.split(".")[0] + "." + bob.split(".")[1]) is None


def test_the_signing_key_is_made_once_and_read_by_its_owner_only(tmp_path):
    key = signing_key(tmp_path / "key")
    assert len(key) == 32
    assert signing_key(tmp_path / "key") == key
    assert signing_key(tmp_path / "other") != key
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "a:80", "origin": "http://a:80"}, None),
        ({"host": "a:80"}, None),
        ({"host": "a:80", "origin": "http://b:80"}, 403),
        ({"host": "a:80", "origin": "http://a:81"}, 403),
        ({"host": "a:80", "origin": "null"}, 403),
        ({"host": "a:80", "content_length": "262144"}, None),
        ({"host": "a:80", "content_length": "262145"}, 413),
        ({"host": "a:80", "content_length": "-1"}, 413),
        ({"host": "a:80", "transfer_encoding": "chunked"}, 411),
    ],
)
def test_a_foreign_or_overlarge_form_is_refused(headers, status):
    refused = refusal(_request(**headers))
    assert (refused[0] if refused else None) == status


def test_reading_a_page_is_never_refused():
    assert refusal(_request("GET", host="a", origin="http://b")) is None


def test_the_policy_allows_no_script_or_style_inside_a_page():
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_a_visit_ends_after_twelve_hours_and_cannot_begin_in_the_future():
    cookie = write_session(KEY, "ada\nbob", now=NOW)
    assert read_session(KEY, cookie, now=NOW + timedelta(hours=11, minutes=59)).name == "ada\nbob"
    assert read_session(KEY, cookie, now=NOW + timedelta(hours=12)) is None
    assert read_session(KEY, cookie, now=NOW - timedelta(minutes=1)) is None
    assert read_session(Signer(b"other"), cookie, now=NOW) is None


def test_a_link_is_no_cookie_a_cookie_no_link_and_both_end():
    link, cookie = write_link(KEY, "ada", now=NOW), write_session(KEY, "ada", now=NOW)
    assert read_link(KEY, link, now=NOW + timedelta(days=2)).name == "ada"
    assert read_link(KEY, link, now=NOW + timedelta(days=3)) is None
    assert read_session(KEY, link, now=NOW) is None
    assert read_link(KEY, cookie, now=NOW - timedelta(days=1)) is None


def test_a_form_token_belongs_to_one_visit():
    one, other = (read_session(KEY, write_session(KEY, "ada", now=NOW), now=NOW) for _ in range(2))
    assert is_form_token(KEY, one, form_token(KEY, one))
    assert not is_form_token(KEY, one, form_token(KEY, other))
    assert not is_form_token(KEY, one, "")
    assert not is_form_token(KEY, one, "\u00e9")


def test_tries_are_counted_by_key_in_a_sliding_window():
    limit = RateLimit(2, timedelta(minutes=1))
    assert [limit.allows("a", now=NOW + timedelta(seconds=s)) for s in (0, 30, 59)] == [True, True, False]
    assert limit.allows("b", now=NOW + timedelta(seconds=59))
    assert [limit.allows("a", now=NOW + timedelta(seconds=s)) for s in (60, 61, 90)] == [True, False, True]
