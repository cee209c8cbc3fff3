"""Report page: complete, self-contained, safe with hostile text, and the same bytes for the same records."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from assay.evaluation.report import Dossier, write_report
from assay.evaluation.report.page import render
from assay.records.errors import StorageError
from assay.records.evidence import SamplePair
from assay.records.preference import GroupDifference, MinorityReport

HOSTILE = "<script>alert('x')</script> $\\frac{1}{0}$ \"><img src=http://evil.example/x onerror=1> {{ 7*7 }} \ufffe"


class Page(HTMLParser):
    """Collects the tags, ids, headings and what would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.ids, self.loads, self.handlers, self.headings = [], [], [], [], []
        self._heading = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._heading = tag == "h2"
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in {"src", "href", "xlink:href", "data", "action", "srcset", "poster"}:
                self.loads.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data):
        if self._heading and data.strip():
            self.headings.append(data.strip())
            self._heading = False


@pytest.fixture(scope="module")
def text(evidence, dossier) -> str:
    return render(evidence, dossier)


def test_the_page_tells_the_findings_in_the_order_of_a_reader(text):
    page = Page(text)
    assert page.headings == [
        "Firewall",
        "Gates and decision",
        "Over-optimisation",
        "Raters",
        "Did training break anything?",
        "Alarms on the way",
        "Length, and how far to trust the reward",
        "Before and after",
        "What was skipped, and why",
        "Provenance",
    ]


def test_the_page_needs_no_network_and_no_script(text):
    page = Page(text)
    assert "<script" not in text.lower()
    assert all(load.startswith("#") for load in page.loads)
    assert not page.handlers
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(page.tags)


def test_every_id_is_unique_and_every_reference_has_its_target(text):
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    targets = re.findall(r"url\(#([^)]+)\)", text) + [load[1:] for load in page.loads]
    labels = [name for group in re.findall(r'aria-labelledby="([^"]+)"', text) for name in group.split()]
    assert targets
    assert set(targets + labels) <= set(page.ids)


def test_the_page_says_what_matters(evidence, text):
    for told in (
        "The panel is simulated.",
        evidence.reason,
        "Nothing that trained this policy judges it.",
        "latent outliers rang at step 70",
        "The red-team loop was left out: it needs --thorough.",
        "rewards: No hub model: the bundled one was used.",
        "9" * 64,
        "0.1.0+src.0123456789ab",
        "Great question! I&#39;m so glad you asked.",
        "over-optimised, the proxy went on and gold fell",
    ):
        assert told in text, told
    assert text.count("<svg") == 4
    assert text.count("✕ failed") == 1


def test_the_views_of_groups_are_shown_where_there_is_a_minority_report_and_nowhere_else(evidence, dossier, text):
    assert "Where groups judge differently" not in text
    south = GroupDifference(
        group="region: <b>south</b>",
        members=15,
        topic="all pairs",
        pairs=6,
        gap=0.5,
        p_value=0.001,
        significant_pairs=("k",),
    )
    minority = MinorityReport(
        differences=(south,), tests=4, suppressed=3, smallest_group=5, false_discovery_rate=0.05, declarations=("d",)
    )
    aggregation = dossier.aggregation.model_copy(update={"minority": minority})
    shown = render(evidence, replace(dossier, aggregation=aggregation))
    assert Page(shown).headings[-3:] == ["Where groups judge differently", "What was skipped, and why", "Provenance"]
    for told in (
        "Of 4 comparisons",
        "1 went beyond",
        "(false discoveries held at 5%)",
        "fewer than 5 people",
        "3 groups were left out",
        "agreed to this use",
        "&lt;b&gt;south",
        "50 points",
        "0.0010",
        "1 of 6",
    ):
        assert told in shown, told
    nothing = minority.model_copy(update={"differences": (), "declarations": None})
    aggregation = dossier.aggregation.model_copy(update={"minority": nothing})
    shown = render(evidence, replace(dossier, aggregation=aggregation))
    assert "none went beyond" in shown and "agreed to this use" not in shown


def test_a_panel_of_people_is_not_called_simulated(evidence, dossier):
    assert "panel is simulated" not in render(evidence.model_copy(update={"is_simulated": False}), dossier)


def test_the_same_records_give_the_same_bytes(evidence, dossier, text):
    assert render(evidence, dossier) == text


def test_hostile_text_is_shown_and_never_run(evidence, dossier):
    curve = evidence.curves[0].model_copy(update={"name": HOSTILE})
    rater = evidence.raters[0]
    rater = rater.model_copy(update={"identity": rater.identity.model_copy(update={"name": HOSTILE})})
    sample = SamplePair(prompt=HOSTILE, reference=HOSTILE, policy=HOSTILE)
    hostile = evidence.model_copy(
        update={
            "reason": HOSTILE,
            "curves": (curve,),
            "raters": (rater,),
            "samples": (sample,),
            "skipped": (HOSTILE,),
        }
    )
    text = render(hostile, dossier)
    page = Page(text)
    assert "<script" not in text.lower()
    assert "img" not in page.tags
    assert not page.handlers
    assert "{{ 7*7 }}" in text
    assert "&lt;script&gt;" in text


def test_a_page_is_written_with_evidence_alone(evidence, tmp_path):
    bare = evidence.model_copy(
        update={"raters": (), "curves": (), "regressions": (), "samples": (), "metrics": {}, "skipped": ()}
    )
    path = write_report(tmp_path / "deep" / "report.html", bare, Dossier())
    text = path.read_text(encoding="utf-8")
    for told in (
        "No rater was heard.",
        "No curve was measured.",
        "No release has been asked for",
        "Nothing was skipped.",
    ):
        assert told in text, told


def test_a_disk_that_refuses_is_told_in_words(evidence, dossier, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="expected to write below"):
        write_report(tmp_path / "file" / "report.html", evidence, dossier)
