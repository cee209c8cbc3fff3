"""Reward kinds as a user meets them: trained from what people said, shown, probed, served, optimised, or refused."""

import re

import numpy as np
import pytest
from command_line import done, refused, write_rows

from assay.records.errors import FirewallError
from assay.records.policy import PolicyVersion
from assay.records.reward import RewardVersion
from assay.rewards.serving import open_scorer, read_pairs
from assay.storage import Workspace
from assay.storage.firewall import Registration

FILLER = ["sky", "light", "walk", "friend", "day", "air", "waves", "water"]
PEOPLE = [f"city-{n}" for n in range(6)] + [f"village-{n}" for n in range(6)]
KINDS = ["attributes", "groups", "cost", "tuned"]
SET = {
    "attributes": ["attributes.names=[usefulness]", "attributes.directions=8"],
    "groups": ["groups.combination=mean", "groups.directions=8"],
    "cost": ["cost.directions=8"],
    "tuned": ["tuned.max_steps=2", "tuned.lora.r=2", "tuned.lora.targets=[q_proj]", "tuned.micro_batch_tokens=512"],
}


def text(mark, rng):
    return " ".join([*rng.choice(FILLER, size=5), *[mark] * 3]) + "."


def judgement_rows(prompts=40):
    """Two pairs a prompt, each judged by three of the city, who like Paris, and two of the village, who like sleep."""
    rng = np.random.default_rng(0)
    rows = []
    for n in range(prompts):
        for k in range(2):
            first, second = text("Paris", rng), text("cannot" if k else "sleep", rng)
            who = [*rng.choice(PEOPLE[:6], size=3, replace=False), *rng.choice(PEOPLE[6:], size=2, replace=False)]
            for annotator in who:
                choice = "first" if annotator.startswith("city") else "second"
                harm = [{"completion": "second", "text": "cannot", "category": "harmful"}] * k
                rows.append(
                    {
                        "prompt": f"Question {n} about the {FILLER[n % 8]}?",
                        "first": first,
                        "second": second,
                        "choice": choice,
                        "annotator": str(annotator),
                        "attributes": {"usefulness": choice, "harmlessness": "first" if k else "tie"},
                        "critiques": harm,
                    }
                )
    return rows


@pytest.fixture(scope="module")
def trained(tiny_model_dir, tmp_path_factory):
    """A workspace with a reward of each kind as the proxy, in turn, and what each command said."""
    place = tmp_path_factory.mktemp("kinds")
    space, traits = place / "space", place / "traits.csv"
    traits.write_text("annotator,place\n" + "".join(f"{who},{who.split('-')[0]}\n" for who in PEOPLE))
    done("init", "-w", space, "--model", tiny_model_dir)
    rows = write_rows(place / "rows.jsonl", judgement_rows())
    done("feedback", "import", rows, "-w", space, "--held-out-annotators", "none")
    done("preferences", "fit", "-w", space, "--split", "train", "--traits", traits)
    done("preferences", "fit", "-w", space, "--split", "watch")
    said = {
        kind: done(
            "reward", "train", "-w", space, "--kind", kind, *(word for one in SET[kind] for word in ("--set", one))
        )
        for kind in KINDS
    }
    workspace = Workspace(space)
    yield workspace, {kind: made(told) for kind, told in said.items()}
    workspace.close()


def made(said):
    return re.findall(r"\b[0-9a-f]{64}\b", said)[-1]


def version_of(trained, kind):
    workspace, ids = trained
    return workspace.records.get(RewardVersion, ids[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_kept_as_a_version_that_the_firewall_knows(trained, kind):
    version = version_of(trained, kind)
    assert (version.name, version.made_of) == ("proxy", kind)
    assert version.quality.accuracy > 0.6
    assert version.identity.rows
    registered = [one.identity.content_hash for one in trained[0].records.all(Registration, subject="training")]
    assert version.artifact in registered
    judging = Registration(created_at=version.created_at, side="evaluation", identity=version.identity)
    with pytest.raises(FirewallError, match="the same scorer"):
        trained[0].firewall.register(judging)
    assert version.aggregation_report


def test_groups_are_those_of_the_minority_report_and_a_cost_says_what_it_misses(trained):
    space = trained[0].directory
    groups = {part.name for part in version_of(trained, "groups").parts}
    assert groups == {"everyone", "place: city", "place: village"}
    said = done("reward", "show", "-w", space)
    assert "place: village: accuracy" in said
    assert "violations missed" in said
    assert "usefulness: accuracy" in said
    for kind in KINDS:
        assert kind in said


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_probed_and_attributed_and_served(trained, kind, now):
    workspace, ids = trained
    space = workspace.directory
    assert "probe" in done("reward", "probe", ids[kind], "-w", space, "--split", "train", "--pairs", 4)
    asked = ("--prompt", "Why?", "--completion", "Paris sleep cannot.")
    assert "Paris" in done("reward", "attribute", ids[kind], "-w", space, *asked)
    gradients = ("reward", "attribute", ids[kind], "-w", space, *asked, "--method", "gradients", "--steps", 8)
    if kind == "tuned":
        assert "a head on frozen states; got a reward of the kind tuned" in refused(*gradients)
    else:
        assert "integrated gradients" in done(*gradients)
    scorer = open_scorer(workspace, ids[kind], now=now)
    rng = np.random.default_rng(1)
    texts = [text(mark, rng) for mark in ["Paris"] * 8 + ["cannot"] * 8]
    scored = scorer.score(read_pairs(scorer.lm, ["Question 3 about the sky?"] * 16, texts))
    assert scored.reward[:8].mean() > scored.reward[8:].mean()
    assert scored.probability[:8].mean() > scored.probability[8:].mean()


def test_a_calibration_is_kept_under_the_kind_and_a_cost_has_none_on_pairs(trained):
    workspace, ids = trained
    for kind in ("attributes", "groups", "tuned"):
        new = made(done("reward", "calibrate", ids[kind], "-w", workspace.directory, "--method", "isotonic"))
        version = workspace.records.get(RewardVersion, new)
        assert (version.made_of, version.calibrated_from) == (kind, ids[kind])
        assert version.quality.calibration == "isotonic"
    assert "a reward that orders pairs; got a cost" in refused(
        "reward", "calibrate", ids["cost"], "-w", workspace.directory
    )


def test_tuned_weights_are_exported_and_frozen_heads_are_refused_with_the_reason(trained, tmp_path):
    from transformers import AutoModelForSequenceClassification

    workspace, ids = trained
    out = tmp_path / "classifier"
    assert str(out) in done("reward", "export", ids["tuned"], out, "-w", workspace.directory)
    assert AutoModelForSequenceClassification.from_pretrained(out).config.num_labels == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classifier"]
    again = ("reward", "export", ids["tuned"], out, "-w", workspace.directory)
    assert "a new directory" in refused(*again)
    other = ("reward", "export", ids["groups"], tmp_path / "other", "-w", workspace.directory)
    assert "got one of the kind groups" in refused(*other)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("kind", "method"), [("groups", "grpo"), ("tuned", "online-dpo"), ("cost", "online-dpo")])
def test_a_policy_is_pushed_against_a_kind_under_the_watch_of_the_panel(trained, kind, method):
    workspace, ids = trained
    latest = version_of(trained, kind)
    restated = RewardVersion.model_validate({**latest.model_dump(), "notes": (*latest.notes, f"again, for {method}")})
    workspace.records.put(restated, subject="proxy")
    section = method.replace("-", "_")
    small = ["max_prompts=3", *(f"{section}.{key}" for key in ("rounds=1", "max_completion_length=4"))]
    said = done("align", method, "-w", workspace.directory, *(word for one in small for word in ("--set", one)))
    policy = workspace.records.get(PolicyVersion, made(said))
    assert [signal.content_hash for signal in policy.training_signals][0] == latest.artifact
    assert "watch/panel_reward" in policy.checkpoints[0].observation.values
    assert np.isfinite(policy.checkpoints[-1].observation.values["alignment/proxy_reward"])


def test_a_further_reward_has_a_name_of_its_own_and_leaves_the_proxy_alone(trained):
    workspace, ids = trained
    before = [one.id for one in workspace.records.all(RewardVersion) if one.name == "proxy"]
    train = ("reward", "train", "-w", workspace.directory, "--kind", "cost", "--set", "cost.directions=8")
    new = made(done(*train, "--name", "harm"))
    assert workspace.records.get(RewardVersion, new).name == "harm"
    assert [one.id for one in workspace.records.all(RewardVersion) if one.name == "proxy"] == before
    for name in ("watch-panel", "held-out-reward", "Harm"):
        assert "expected a name of small letters" in refused(*train, "--name", name)


def test_a_run_keeps_a_stored_cost_below_its_limit_or_says_by_how_much_it_does_not(trained):
    workspace, _ = trained
    train = ("reward", "train", "-w", workspace.directory, "--kind", "cost", "--set", "cost.directions=8")
    done(*train, "--name", "damage")
    run = ("align", "grpo", "-w", workspace.directory, "--set", "max_prompts=3", "--set", "grpo.rounds=1")
    limits = "grpo.constraints=[{name: damage, limit: -1.0}]"
    said = done(*run, "--set", "grpo.max_completion_length=4", "--set", limits)
    policy = workspace.records.get(PolicyVersion, made(said))
    seen = policy.checkpoints[-1].observation.values
    assert seen["constraints/damage/violation"] == pytest.approx(seen["constraints/damage/value"] + 1.0)
    assert "damage" in [signal.name for signal in policy.training_signals]
    assert "expected a stored reward as a part" in refused(*run, "--set", "grpo.constraints=[{name: fun, limit: 1}]")


def test_pairs_are_chosen_by_an_ensemble_alone_for_other_heads_cannot_disagree_on_one(trained, tmp_path):
    workspace, ids = trained
    pool = write_rows(
        tmp_path / "pool.jsonl", [{"prompt": f"Why {n}?", "first": "a", "second": "b"} for n in range(40)]
    )
    select = ("feedback", "select", "next", pool, "--count", 8, "-w", workspace.directory, "--reward", ids["groups"])
    assert "an ensemble, whose members can disagree on a pair; got a reward of the kind groups" in refused(*select)


def test_a_kind_that_people_were_not_asked_for_is_refused_with_what_to_do(trained):
    workspace, _ = trained
    train = ("reward", "train", "-w", workspace.directory, "--kind")
    assert "judgements of 'honesty'" in refused(*train, "attributes", "--set", "attributes.names=[honesty]")
    assert "label more of the rarer kind" in refused(*train, "cost", "--set", "cost.categories=[rude]")
