"""Preferences on real people: the PandaLM test set, 999 pairs judged by three annotators each."""

import json
from pathlib import Path

import pytest
from judgement_panels import NOW

from assay.preferences import AGGREGATORS
from assay.records.conversation import user_prompt
from assay.records.judgement import Judgement

FILE = Path(__file__).parents[3] / "shared" / "data" / "pandalm" / "testset-v1.json"
CHOICES = {0: "tie", 1: "first", 2: "second"}

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the PandaLM test set is not beside this checkout")


@pytest.fixture(scope="module")
def judgements():
    return [
        Judgement(
            created_at=NOW,
            campaign="pandalm",
            annotator=annotator,
            prompt=user_prompt(f"{row['instruction']}\n{row.get('input') or ''}"),
            first=str(row["response1"]),
            second=str(row["response2"]),
            choice=CHOICES[row[annotator]],
            first_shown="left",
            occurrence=row["idx"],
        )
        for row in json.loads(FILE.read_text(encoding="utf-8"))
        for annotator in ("annotator1", "annotator2", "annotator3")
    ]


@pytest.mark.parametrize("method", sorted(AGGREGATORS))
def test_real_annotators_agree_and_the_fit_goes_with_their_majority(judgements, method):
    report, preferences = AGGREGATORS[method](judgements, split="held_out", now=NOW)
    assert report.converged
    # Measured once on this file: alpha 0.861, 863 different pairs, least agreement with the majority 0.966.
    assert report.alpha == pytest.approx(0.861, abs=5e-3)
    assert report.pairs == 863
    assert min(person.agreement for person in report.annotators) > 0.95
    assert all(0.9 < person.reliability < 1.1 for person in report.annotators)
    assert 780 < len(preferences) < 820
    weights = [preference.weight for preference in preferences]
    assert sum(weights) / len(weights) > 0.7
