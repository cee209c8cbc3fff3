"""Rendering: Markdown as people read it, and nothing in it that acts."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.feedback.schemes import Scheme
from assay.web.rendering import as_read

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MARKDOWN = Scheme(name="a", created_at=NOW, hidden_names=("Zed",))
PLAIN = Scheme(name="a", created_at=NOW, rendering="plain")


def test_lists_code_tables_and_headings_are_formed():
    html = as_read("# Top\n\n- *a*\n- `b`\n\n|x|y|\n|-|-|\n|1|2|\n\n```py\n1 < 2\n```\nline\nbreak", MARKDOWN)
    for part in (
        "<li><em>a</em></li>",
        "<code>b</code>",
        "<td>1</td>",
        "1 &lt; 2",
        "line<br />",
        'class="heading level1"',
    ):
        assert part in str(html)
    assert "<h1" not in html


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "![x](https://elsewhere.example/pixel.png)",
        "<https://elsewhere.example>",
        "https://elsewhere.example",
        "[x]: https://elsewhere.example\n\n[x]",
        '```"><script>alert(1)</script>\ncode\n```',
        "| a |\n|---|\n| <svg onload=alert(1)> |",
        "<style>*{display:none}</style>",
        '<a href="javascript:1">x</a>',
        "&lt;script&gt;",
    ],
)
def test_nothing_hostile_becomes_an_element_or_an_address(hostile):
    html = as_read(hostile, MARKDOWN)
    for element in ("<script", "<img", "<svg", "<style", "<a ", "<iframe"):
        assert element not in html


@given(st.text(alphabet="<>&\"'`*_[]()!#|-:/ \nascript=on", max_size=120))
def test_only_elements_of_text_come_out(text):
    allowed = set("p br em strong code pre ul ol li blockquote hr s table thead tbody tr th td".split())  # noqa: SIM905
    html = as_read(text, MARKDOWN)
    assert {name.lower() for name in re.findall(r"</?([^\s/>]+)", html)} <= allowed


def test_plain_text_keeps_its_lines_and_names_stay_hidden():
    assert as_read("a\n <b>", PLAIN) == '<div class="plain">a\n &lt;b&gt;</div>'
    assert "Zed" not in as_read("Zed and **Zed**", MARKDOWN)
    assert len(as_read("x" * 300_000, MARKDOWN)) < 300_100
