"""Flags: last known good for flags, the safe side for the kill switch, and flagd's file shape."""

import json
import os

import pytest

from assay.deployment import flag_client, may_serve_candidate, set_candidate_switch


def flag(value, state="ENABLED"):
    return {"state": state, "variants": {"it": value}, "defaultVariant": "it"}


def write(path, flags):
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"flags": flags}), encoding="utf-8")
    os.replace(new, path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flags.json"


def test_the_switch_is_off_without_a_file_and_follows_the_file(path):
    client = flag_client(path)
    assert not may_serve_candidate(client)
    set_candidate_switch(path, is_on=True)
    assert may_serve_candidate(client)
    set_candidate_switch(path, is_on=False)
    assert not may_serve_candidate(client)


@pytest.mark.parametrize("content", ["", "{", '{"flags": 1}', '{"flags": {"serve_candidate": {"state": "ENABLED"}}}'])
def test_the_switch_falls_to_its_safe_side_when_the_file_breaks(path, content):
    set_candidate_switch(path, is_on=True)
    client = flag_client(path)
    assert may_serve_candidate(client)
    path.write_text(content, encoding="utf-8")
    assert not may_serve_candidate(client)
    set_candidate_switch(path, is_on=True)
    assert may_serve_candidate(client)


def test_the_switch_falls_to_its_safe_side_when_the_file_goes_and_comes_back(path):
    set_candidate_switch(path, is_on=True)
    client = flag_client(path)
    saved = path.read_bytes()
    path.unlink()
    assert not may_serve_candidate(client)
    path.write_bytes(saved)
    assert may_serve_candidate(client)


@pytest.mark.parametrize("value", ["true", 1, None, [True]])
def test_a_switch_of_another_type_is_off(path, value):
    write(path, {"serve_candidate": flag(value)})
    assert not may_serve_candidate(flag_client(path))


def test_a_disabled_switch_is_off(path):
    write(path, {"serve_candidate": flag(True, "DISABLED")})
    assert not may_serve_candidate(flag_client(path))


def test_other_flags_keep_their_last_good_value_marked_stale(path):
    write(path, {"greeting": flag("hello"), "most": flag(3), "share": flag(0.5), "list": flag([1])})
    client = flag_client(path)
    assert client.get_string_value("greeting", "none") == "hello"
    assert client.get_integer_value("most", 0) == 3
    assert client.get_float_value("share", 0.0) == 0.5
    assert client.get_object_value("list", []) == [1]
    path.write_text("broken", encoding="utf-8")
    details = client.get_string_details("greeting", "none")
    assert (details.value, details.reason) == ("hello", "STALE")
    assert client.get_string_value("unknown", "none") == "none"


def test_a_file_with_targeting_is_refused_as_a_whole(path):
    write(path, {"serve_candidate": {**flag(True), "targeting": {"if": []}}})
    assert not may_serve_candidate(flag_client(path))


def test_two_files_have_two_clients(path, tmp_path):
    other = tmp_path / "other.json"
    set_candidate_switch(path, is_on=True)
    set_candidate_switch(other, is_on=False)
    assert [may_serve_candidate(flag_client(p)) for p in (path, other)] == [True, False]


def test_turning_the_switch_keeps_the_other_flags(path):
    write(path, {"greeting": flag("hello")})
    set_candidate_switch(path, is_on=True)
    assert flag_client(path).get_string_value("greeting", "none") == "hello"
