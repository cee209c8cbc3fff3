"""Gold curves: difficulty taken out without moving a mean, weights of best-of-n respected."""

import numpy as np
import pytest

from assay.evaluation.gold import Gold, GoldKey
from assay.evaluation.gold_curve import gold_curves
from assay.records.observation import Observation
from assay.records.policy import CheckpointRecord, PolicyVersion
from assay.records.provenance import Provenance

KEYS = [
    GoldKey(
        id=str(i), kind="explain", text=f"Question {i}?", keywords=(("alpha",), ("beta",)), min_words=2, max_words=9
    )
    for i in range(3)
]
GOOD, HALF, BAD = "The alpha and the beta.", "The alpha and more.", "nothing of use here,"


def policy_of(now, artifacts):
    return PolicyVersion(
        created_at=now,
        name="loop",
        base_model="default",
        adapter=None,
        ref_policy=None,
        method="online_dpo",
        step=max(artifacts),
        checkpoints=tuple(
            CheckpointRecord(
                step=step,
                adapter=None,
                samples=name,
                observation=Observation(
                    step=step,
                    values={"alignment/kl": float(step), "alignment/proxy_reward": 0.0, "completions/mean_length": 5.0},
                ),
            )
            for step, name in artifacts.items()
        ),
        provenance=Provenance(seed=0, data_hash="", code_version="", config_hash=""),
    )


def kept(*rows, weights=None):
    prompts = [[{"role": "user", "content": f"Question {i}?"}] for i, _ in rows]
    data = {"prompts": prompts, "texts": [text for _, text in rows]}
    return data | ({"weights": weights} if weights else {})


def test_means_stay_and_what_prompts_have_in_common_leaves_the_error(now):
    store = {
        "a": kept((0, BAD), (1, HALF), (2, GOOD)),
        "b": kept((0, BAD), (1, GOOD), (2, GOOD)),
    }
    gold = Gold(KEYS)
    (curve,) = gold_curves([("loop", policy_of(now, {0: "a", 4: "b"}))], gold, read=store.__getitem__)
    raw = {name: gold.score([f"Question {i}?" for i in range(3)], store[name]["texts"]) for name in "ab"}
    scale = raw["a"].std(ddof=1)
    assert [p.gold for p in curve.points] == pytest.approx([0.0, (raw["b"].mean() - raw["a"].mean()) / scale])
    plain_error = raw["b"].std(ddof=1) / np.sqrt(3) / scale
    assert curve.points[1].gold_standard_error < plain_error


def test_weights_choose_the_expected_completion_of_each_prompt(now):
    rows = ((0, BAD), (0, GOOD), (1, HALF), (1, GOOD))
    store = {"one": kept(*rows, weights=[0.5, 0.5, 0.5, 0.5]), "two": kept(*rows, weights=[0.0, 1.0, 0.0, 1.0])}
    gold = Gold(KEYS)
    (curve,) = gold_curves([("bon", policy_of(now, {1: "one", 2: "two"}))], gold, read=store.__getitem__)
    scores = gold.score([f"Question {i}?" for i, _ in rows], [text for _, text in rows])
    gain = scores[[1, 3]].mean() - scores.mean()
    assert curve.points[1].gold == pytest.approx(gain / scores.std(ddof=1))


def test_a_path_that_never_gains_has_nothing_to_keep(now):
    store = {"a": kept((0, GOOD), (1, HALF)), "b": kept((0, BAD), (1, BAD))}
    (curve,) = gold_curves([("loop", policy_of(now, {0: "a", 4: "b"}))], Gold(KEYS), read=store.__getitem__)
    assert curve.kept is None
