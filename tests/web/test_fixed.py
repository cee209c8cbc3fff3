"""Fixed parts: one rendering for all items of a scheme, another for another scheme, and nothing of a scheme is HTML."""

import pytest
from jinja2 import Environment, FileSystemLoader

from assay import web
from assay.feedback.schemes import Attribute, Scheme
from assay.web.fixed import fixed_parts, names_of


@pytest.fixture
def pages():
    return Environment(loader=FileSystemLoader(f"{web.__path__[0]}/templates"), autoescape=True)


def test_parts_are_rendered_once_for_a_scheme_and_a_number_of_answers(pages, now):
    scheme, same = (Scheme(name="s", created_at=now) for _ in range(2))
    parts = fixed_parts(pages, scheme, completions=2)
    assert fixed_parts(pages, same, completions=2) is parts
    assert fixed_parts(pages, scheme, completions=3) is not parts
    assert fixed_parts(pages, Scheme(name="s", has_strength=False, created_at=now), completions=2) is not parts


def test_each_part_says_what_its_scheme_asks(pages, now):
    plain = fixed_parts(pages, Scheme(name="s", critique_categories=("wrong_fact",), created_at=now), completions=2)
    assert plain.answering.count('name="overall"') == 7
    assert '<option value="wrong_fact">wrong fact</option>' in plain.critiques
    assert '<option value="1">Right answer</option>' in plain.places
    assert '<option value="upsetting">It upsets me</option>' in plain.reasons
    assert "<dd>Left is better</dd>" in plain.sheet
    scales = fixed_parts(pages, Scheme(name="r", task="ranking", created_at=now), completions=4)
    assert [scales.answering.count(f'name="rank.{place}"') for place in range(5)] == [4, 4, 4, 4, 0]
    assert "Answer the strip in focus" in scales.sheet


def test_a_title_is_text(pages, now):
    scheme = Scheme(name="s", attributes=(Attribute(name="a", title="<script>"),), created_at=now)
    assert "<legend>&lt;script&gt;</legend>" in fixed_parts(pages, scheme, completions=2).answering


def test_two_answers_are_left_and_right_and_more_have_letters():
    assert names_of(2) == ["Left answer", "Right answer"]
    assert names_of(3) == ["Answer A", "Answer B", "Answer C"]
