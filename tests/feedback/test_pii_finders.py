"""Finders: what two of them find together, and which one an option names."""

import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.feedback.pii import MARKS, WORDS, Found, find_pii, redact
from assay.feedback.pii_finders import finder_named, together
from assay.feedback.pii_presidio import KINDS, LEAST_SCORE, finder_over
from assay.records.errors import ConfigError

TEXT = "Ada Lovelace, ada@example.org, +49 30 901820 in London"


def _finder(kind, *words):
    """A finder of the test's own: these words, wherever they stand."""

    def find(text, /):
        return [Found(kind, text.index(word), text.index(word) + len(word), word) for word in words if word in text]

    return find


def _told(finder, text=TEXT):
    return [(one.kind, one.text) for one in finder(text)]


def test_another_finder_adds_what_ours_does_not_find():
    finder = together(find_pii, _finder("place", "London"), _finder("person", "Ada Lovelace"))
    assert _told(finder) == [
        ("person", "Ada Lovelace"),
        ("email", "ada@example.org"),
        ("phone", "+49 30 901820"),
        ("place", "London"),
    ]
    assert redact(TEXT, finder(TEXT)) == "[name], [e-mail], [phone] in [place]"


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        ("ada@example.org", "ada@example.org"),
        ("example", "ada@example.org"),
        ("Lovelace, ada@example", "Lovelace, ada@example.org"),
        ("org, ", "ada@example.org, "),
        ("Lovelace, ada@example.org, ", "Lovelace, ada@example.org, "),
    ],
)
def test_where_findings_overlap_they_become_one_of_our_kind(words, whole):
    found = _told(together(find_pii, _finder("other", words)))
    assert found == [("email", whole), ("phone", "+49 30 901820")]


def test_findings_side_by_side_stay_apart_and_the_first_finder_names_the_kind():
    finder = together(_finder("id", "bb"), _finder("person", "aa"), _finder("place", "b"), _finder("other", "aabbcc"))
    assert _told(finder, "aabbcc") == [("id", "aabbcc")]
    assert _told(together(_finder("id", "bb"), _finder("person", "aa")), "aabbcc") == [("person", "aa"), ("id", "bb")]
    assert _told(together(), "aabbcc") == []


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), max_size=5),
        min_size=1,
        max_size=3,
    )
)
def test_everything_found_is_covered_once_in_order(findings):
    text = "x" * 30
    finders = [
        lambda text, /, spans=spans: [Found("other", start, start + size, "") for start, size in spans]
        for spans in findings
    ]
    found = together(*finders)(text)
    assert all(one.end <= after.start for one, after in zip(found, found[1:], strict=False))
    covered = {place for one in found for place in range(one.start, one.end)}
    assert covered == {place for spans in findings for start, size in spans for place in range(start, start + size)}


def test_every_kind_has_its_word_and_its_mark():
    assert set(KINDS.values()) <= set(WORDS)
    assert set(WORDS) == set(MARKS)
    assert all(find_pii(mark) == [] for mark in MARKS.values())


def test_without_an_option_ours_looks_alone():
    assert finder_named(None) is find_pii


@pytest.mark.parametrize("words", ["", "Presidio", "presidio:", "presidio en", "other:model"])
def test_an_unknown_finder_is_told(words):
    with pytest.raises(ConfigError, match="presidio or presidio:MODEL"):
        finder_named(words)


@pytest.mark.parametrize("missing", ["spacy", "presidio_analyzer"])
def test_a_missing_package_is_told_with_how_to_install_it(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=r"assay\[presidio\]"):
        finder_named("presidio")


class Analyzer:
    """Answers as Presidio's documentation says that its `AnalyzerEngine` does."""

    def __init__(self, *results):
        self.results = results
        self.asked = []

    def get_supported_entities(self, language):
        return ["US_SSN", "PERSON", "DATE_TIME", "URL", "NEW_KIND", language.upper()]

    def analyze(self, text, language, entities=None, score_threshold=None):
        self.asked.append((text, language, entities, score_threshold))
        return [SimpleNamespace(entity_type=kind, start=start, end=end) for kind, start, end in self.results]


def test_what_an_analyzer_finds_is_told_in_our_kinds():
    analyzer = Analyzer(("PERSON", 0, 3), ("US_SSN", 4, 15), ("NEW_KIND", 16, 18))
    text = "Ada 536-90-4399 is"
    found = finder_over(analyzer, language="de")(text)
    assert found == [
        Found("person", 0, 3, "Ada"),
        Found("id", 4, 15, "536-90-4399"),
        Found("other", 16, 18, "is"),
    ]
    assert analyzer.asked == [(text, "de", ["DE", "NEW_KIND", "PERSON", "US_SSN"], LEAST_SCORE)]
