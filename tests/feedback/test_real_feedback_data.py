"""Real data: PandaLM and HH-RLHF read whole, with the counts that are known of them."""

import os
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from assay.feedback import Folds, export_judgements, import_judgements, read_judgements
from assay.records.judgement import Judgement

DATA = Path(os.environ.get("ASSAY_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


def _file(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no real data: {name} is not in the folder that ASSAY_DATA names")
    return path


def test_pandalm_is_999_rows_of_three_people(now):
    imported = read_judgements(_file("pandalm/testset-v1.json"), now=now)
    assert imported.format == "pandalm"
    assert len(imported.judgements) == 2997
    assert Counter(j.annotator for j in imported.judgements) == {f"annotator{n}": 999 for n in (1, 2, 3)}
    assert len({j.prompt_id for j in imported.judgements}) == 170
    rows = [imported.judgements[start : start + 3] for start in range(0, 2997, 3)]
    assert sum(len({j.choice for j in row}) == 1 for row in rows) == 879
    assert Counter(j.choice for j in imported.judgements) == {"first": 1255, "second": 1416, "tie": 326}
    assert len({j.id for j in imported.judgements}) == 2997
    assert "6 rows: an answer is true or false instead of text; kept as the word" in imported.notes


def test_pandalm_is_divided_by_prompt_and_annotator_and_comes_back_from_an_export(workspace, tmp_path, now):
    imported = read_judgements(_file("pandalm/testset-v1.json"), now=now)
    summary = import_judgements(workspace.records, imported, folds=Folds())
    assert (summary.added, len(summary.held_out_annotators)) == (2997, 1)
    sides = defaultdict(set)
    for side, splits in {"training": ("train", "watch"), "evaluation": ("held_out", "sealed")}.items():
        for split in splits:
            for judgement in workspace.records.all(Judgement, split=split):
                sides[side] |= {judgement.prompt_id, judgement.annotator}
    assert sides["training"]
    assert sides["evaluation"]
    assert not sides["training"] & sides["evaluation"]
    export_judgements(workspace.records, tmp_path / "pandalm.jsonl.gz")
    assert read_judgements(tmp_path / "pandalm.jsonl.gz", now=now).judgements == imported.judgements


def test_hh_rlhf_is_2312_pairs_in_an_order_that_tells_nothing(now):
    imported = read_judgements(_file("hh-rlhf-harmless/test.jsonl.gz"), now=now)
    assert imported.format == "hh_rlhf"
    assert len(imported.judgements) == 2312
    assert len({j.id for j in imported.judgements}) == 2312
    assert all(j.prompt[-1].role == "user" for j in imported.judgements[:100])
    firsts = sum(j.choice == "first" for j in imported.judgements)
    assert 1060 < firsts < 1250
