"""Web security: signed names, strict headers, foreign forms."""

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from assay.web.security import HEADERS, Signer, refusal, signing_key


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
        ({"host": "a:80", "content_length": "65536"}, None),
        ({"host": "a:80", "content_length": "65537"}, 413),
        ({"host": "a:80", "content_length": "-1"}, 413),
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
