"""Presidio, where it is installed: what it adds to our own patterns, offline."""

import socket

import pytest

from assay.feedback.pii import find_pii
from assay.feedback.pii_finders import finder_named
from assay.records.errors import ConfigError

pytest.importorskip("presidio_analyzer", reason="no Presidio: install the extra `presidio`")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whatever looks up a name or connects fails the test."""

    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    for name in ("getaddrinfo", "create_connection", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def finder():
    return finder_named("presidio")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("id", "536-90-4399"),
        ("phone", "2125550123"),
        ("account", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
        ("other", "00:1A:2B:3C:4D:5E"),
    ],
)
def test_it_finds_what_our_patterns_do_not(finder, kind, said):
    text = f"Mine is {said}."
    assert find_pii(text) == []
    assert [(one.kind, one.text) for one in finder(text)] == [(kind, said)]


def test_what_both_find_is_told_once_in_our_kind(finder):
    text = "ada@example.org, 4111 1111 1111 1111, DE89370400440532013000, 203.0.113.77, +49 30 901820"
    assert finder(text) == find_pii(text)
    assert [one.kind for one in finder(text)] == ["email", "card", "iban", "ip", "phone"]


def test_dates_and_web_addresses_are_nobodys(finder):
    assert finder("See http://example.org/x of 2024-05-06: the answer 12 of 20 is right.") == []


def test_a_model_that_is_not_installed_is_told_and_not_fetched():
    with pytest.raises(ConfigError, match="an installed spaCy model; got 'no_such_model'"):
        finder_named("presidio:no_such_model")


def test_names_come_from_the_model(monkeypatch):
    spacy = pytest.importorskip("spacy")
    words = spacy.blank("en")
    words.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Ada Lovelace"}])
    monkeypatch.setattr(spacy.util, "is_package", lambda name: name == "of_names")
    monkeypatch.setattr(spacy, "load", lambda name: words)
    finder = finder_named("presidio:of_names")
    assert [(one.kind, one.text) for one in finder("I met Ada Lovelace.")] == [("person", "Ada Lovelace")]
