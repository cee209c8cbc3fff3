"""The DPO task: every loss through the one trainer, what the aggregation adds, hybrid runs, exact resume."""

import shutil
from functools import partial
from typing import get_args

import numpy as np
import pytest
import torch

from assay.alignment import dpo as dpo_module
from assay.alignment import reference
from assay.alignment.acting import HasKlCoef
from assay.alignment.dpo import DpoTask, Kept, dpo_step
from assay.alignment.losses import REFERENCE_FREE, LossType, dpo_loss
from assay.alignment.settings import DpoSettings
from assay.alignment.trainer import train, whole
from assay.lm import LoraSettings, add_lora, encode_pair, load
from assay.lm.adapters import policy_parameters
from assay.lm.logprobs import sequence_logprobs
from assay.records.conversation import user_prompt
from assay.records.errors import TrainingError
from assay.records.judgement import Demonstration
from assay.records.preference import Preference

NAMES = get_args(LossType)


def preference(i, now, **changes):
    plain = {
        "prompt": user_prompt(f"Question {i % 3}?"),
        "chosen": f"A long and careful answer about thing {i}.",
        "rejected": f"No {i}.",
        "margin": 1.0 + i,
        "standard_error": 0.3,
        "probability": 0.7 + i / 50,
        "weight": 0.5 + i / 10,
        "judgements": (str(i),),
        "annotators": ("a",),
        "aggregation": "x",
    }
    return Preference(created_at=now, **plain | changes)


def demonstrations(now, count=3):
    return [
        Demonstration(created_at=now, annotator="a", prompt=user_prompt(f"Why {i}?"), completion=f"Because of {i}.")
        for i in range(count)
    ]


def settings(**changes):
    plain = {
        "per_device_train_batch_size": 2,
        "learning_rate": 5e-3,
        "save_steps": 1,
        "lora": LoraSettings(r=4, targets=("q_proj", "v_proj")),
    }
    return DpoSettings(**plain | changes)


@pytest.fixture
def task(tiny_model_dir, now):
    def make(count=6, rows=None, lower=None, **changes):
        lm = load(str(tiny_model_dir))
        chosen = settings(**changes)
        add_lora(lm, chosen.lora, seed=0)
        with torch.no_grad():  # away from the reference, where the losses differ
            for parameter in policy_parameters(lm).values():
                parameter.add_(0.02)
        rows = [preference(i, now) for i in range(count)] if rows is None else rows
        demos = demonstrations(now) if chosen.demonstrations_share else ()
        return lm, DpoTask(lm, rows, chosen, seed=4, ref_adapter=None, demonstrations=demos, kept=Kept(lower=lower))

    return make


def gradients(lm):
    found = {name: p.grad.clone() for name, p in policy_parameters(lm).items()}
    lm.model.zero_grad()
    return found


def test_the_defaults_are_plain_dpo_bit_for_bit(task):
    lm, made = task()
    made.loss(1).value.backward()
    found = gradients(lm)
    rows = made._batches[1]
    encoded = [made._chosen[i] for i in rows] + [made._rejected[i] for i in rows]
    chosen, rejected = sequence_logprobs(lm, encoded).split(2)
    label = torch.tensor([0.7 + i / 50 for i in rows])
    plain = dpo_loss(chosen, rejected, *made._ref[:, rows], beta=0.1, probability=label).loss.mean()
    plain.backward()
    assert torch.equal(made.loss(1).value, plain)
    for name, expected in gradients(lm).items():
        assert torch.equal(found[name], expected), name


def test_a_step_on_given_pairs_is_the_same_loss(task, now):
    lm, made = task(soft_labels=False)
    rows = made._batches[0]
    encoded = [made._chosen[i] for i in rows] + [made._rejected[i] for i in rows]
    assert torch.equal(dpo_step(lm, encoded, made._ref[:, rows], beta=0.1).value, made.loss(0).value)


@pytest.mark.parametrize("name", ["sigmoid", "kto", "rpo"])
def test_a_step_in_parts_is_the_step_in_one(task, monkeypatch, name):
    changes = {"loss_type": name, "per_device_train_batch_size": 6, "use_weights": True, "demonstrations_share": 0.4}
    lm, made = task(**changes)
    together = made.loss(0)
    together.value.backward()
    expected = gradients(lm)
    monkeypatch.setattr(dpo_module, "PART_TOKENS", 100)
    parts = list(made.parts(0))
    assert len(parts) > 4
    for part in parts:
        part.value.backward()
    for name, gradient in gradients(lm).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4)
    summed = whole(part._replace(value=part.value.detach()) for part in parts)
    assert float(summed.value) == pytest.approx(together.value.item(), rel=1e-5)
    assert summed.metrics == pytest.approx(together.metrics, rel=1e-4)


def test_the_reference_s_numbers_are_kept_by_content(task, tmp_path, now, monkeypatch):
    lm = load(task()[0].source)
    rows = [preference(i, now) for i in range(4)]
    add_lora(lm, LoraSettings(r=4), seed=0)
    make = partial(DpoTask, lm, settings=settings(), seed=4, kept=Kept(tmp_path))
    first = make(rows, ref_adapter=None)
    (kept,) = tmp_path.iterdir()
    scored = []
    monkeypatch.setattr(reference, "completion_logprobs", lambda *_, **__: scored.append(1) or [np.zeros(1)] * 8)
    assert torch.equal(make(rows, ref_adapter=None)._ref, first._ref)
    assert not scored
    other = [rows[0].model_copy(update={"chosen": "Another."}), *rows[1:]]
    assert torch.equal(make(other, ref_adapter=None)._ref, torch.zeros(2, 4))
    make(rows, ref_adapter="default")
    with torch.no_grad():
        next(iter(policy_parameters(lm).values())).add_(0.1)
    make(rows, ref_adapter="default")
    assert len(scored) == 3
    assert len(list(tmp_path.iterdir())) == 4
    assert kept.suffix == ".safetensors"


@pytest.mark.parametrize("name", ["sigmoid", "kto", "simpo"])
def test_a_hybrid_run_resumes_exactly(task, tmp_path, name):
    def run(directory, resume=False, killed_at=None):
        lm, made = task(loss_type=name, label_smoothing=0.1, demonstrations_share=0.3)
        made.steps = made.steps if killed_at is None else killed_at
        chosen = settings(loss_type=name, warmup_ratio=0.0, lr_scheduler_type="constant")
        result = train(lm, made, chosen, directory=directory, fingerprint="f", resume=resume)
        return result.log, policy_parameters(lm)

    log, uncut = run(tmp_path / "whole")
    run(tmp_path / "cut", killed_at=2)
    resumed_log, resumed = run(tmp_path / "cut", resume=True)
    assert resumed_log == log
    assert len(log) == 3
    assert all(torch.equal(uncut[name], resumed[name]) for name in uncut)
    assert all(entry["grad_norm"] > 0 for entry in log)


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_run_on_kept_lower_states_resumes_exactly_whether_or_not_they_are_still_there(task, tmp_path, is_lost):
    changes = {"lora": LoraSettings(r=4, top_layers=1), "num_train_epochs": 2}

    def run(directory, resume=False, killed_at=None):
        lm, made = task(lower=directory / "lower", **changes)
        made.steps = made.steps if killed_at is None else killed_at
        chosen = settings(**changes, warmup_ratio=0.0, lr_scheduler_type="constant")
        result = train(lm, made, chosen, directory=directory, fingerprint="f", resume=resume)
        return result.log, policy_parameters(lm)

    log, uncut = run(tmp_path / "whole")
    run(tmp_path / "cut", killed_at=4)
    if is_lost:
        shutil.rmtree(tmp_path / "cut" / "lower")
    resumed_log, resumed = run(tmp_path / "cut", resume=True)
    assert resumed_log == log
    assert len(log) == 6
    assert all(torch.equal(uncut[name], resumed[name]) for name in uncut)


def test_kept_lower_states_change_no_loss(task, tmp_path):
    top = LoraSettings(r=4, top_layers=2)
    (_, plain), (lm, kept) = task(lora=top), task(lora=top, lower=tmp_path)
    handle = lm.body.layers[0].register_forward_hook(lambda *_: pytest.fail("a lower layer ran"))
    losses = [made.loss(1).value.item() for made in (plain, kept)]
    handle.remove()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert list(tmp_path.iterdir())
    assert task(lower=tmp_path / "none")[1]._body is None  # adapters in all layers leave none below them


@pytest.mark.parametrize("name", NAMES)
def test_steps_on_the_same_pair_raise_the_margin_of_its_log_probabilities(task, tmp_path, now, name):
    rows = [preference(0, now), preference(1, now)]
    chosen = {"loss_type": name, "num_train_epochs": 3, "save_steps": 9, "sft_weight": 0.0, "soft_labels": False}
    lm, made = task(rows=rows, **chosen)
    run = settings(**chosen, warmup_ratio=0.0, lr_scheduler_type="constant")
    log = train(lm, made, run, directory=tmp_path, fingerprint="f").log
    margins = [entry["logps/chosen"] - entry["logps/rejected"] for entry in log]
    assert margins[-1] > margins[0]


def test_a_loss_without_a_reference_scores_none_and_has_no_coefficient_to_raise(task, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the reference was scored")

    monkeypatch.setattr(dpo_module, "reference_sums", refuse)
    for name in REFERENCE_FREE:
        _, made = task(loss_type=name)
        assert not isinstance(made, HasKlCoef)
    _, free = task(reference_free=True)
    assert not isinstance(free, HasKlCoef)
    assert free.loss(0).metrics["rewards/chosen"] == pytest.approx(0.1 * free.loss(0).metrics["logps/chosen"])
    monkeypatch.undo()
    assert isinstance(task()[1], HasKlCoef)


def test_the_raised_beta_is_the_one_that_the_loss_uses_and_a_resume_takes_up(task):
    _, made = task(loss_type="ipo")
    before = made.loss(0).value.item()
    made.kl_coef.raise_once()
    after = made.loss(0)
    assert after.metrics["beta"] == pytest.approx(0.2)
    assert after.value.item() != before
    _, other = task(loss_type="ipo")
    other.restore(made.state())
    assert torch.equal(other.loss(0).value, after.value)


def test_weights_count_pairs_by_the_aggregation_and_keep_the_step_size(task, now):
    def mean_loss(**changes):
        lm, made = task(per_device_train_batch_size=2, soft_labels=False, **changes)
        return made.loss(0).value.item()

    light, heavy = preference(0, now, weight=0.2), preference(1, now, weight=0.6)
    alone = [mean_loss(rows=[row]) for row in (light, heavy)]
    # Weights over their mean of 0.4 are 0.5 and 1.5.
    expected = (0.5 * alone[0] + 1.5 * alone[1]) / 2
    assert mean_loss(rows=[light, heavy], use_weights=True) == pytest.approx(expected, rel=1e-5)
    assert mean_loss(rows=[light, heavy]) == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_weights_of_nought_alone_are_refused(task, now):
    with pytest.raises(TrainingError, match="only weights of 0"):
        task(rows=[preference(0, now, weight=0.0)], use_weights=True)


def test_margins_are_those_of_the_aggregation_at_the_declared_scale(task):
    _, made = task(margin_scale=0.5)
    assert made._labels.margin.tolist() == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
    _, plain = task()
    assert made.loss(0).value > plain.loss(0).value


def test_the_sft_term_is_the_mean_negative_log_probability_of_the_chosen_tokens(task):
    _, plain = task()
    _, made = task(sft_weight=0.7)
    before, after = plain.loss(0), made.loss(0)
    tokens = sum(len(made._chosen[i].completion) for i in made._batches[0])
    expected = -after.metrics["logps/chosen"] * 2 / tokens
    assert after.metrics["nll_loss"] == pytest.approx(expected, rel=1e-5)
    assert after.value.item() == pytest.approx(before.value.item() + 0.7 * expected, rel=1e-5)
    _, named = task(loss_type="rpo")
    assert named.loss(0).value.item() == pytest.approx(before.value.item() + expected, rel=1e-5)


def test_demonstrations_come_in_the_declared_share_and_weight(task, now):
    lm, made = task(count=6, demonstrations_share=0.5, demonstrations_weight=0.3)
    _, plain = task(count=6)
    assert [len(batch) for batch in made._demonstrations] == [2, 2, 2]
    step = made.loss(1)
    pairs = made._demonstrations[1]
    nll = -sequence_logprobs(lm, pairs).sum().item() / sum(len(pair.completion) for pair in pairs)
    assert step.metrics["demonstrations/nll"] == pytest.approx(nll, rel=1e-5)
    assert step.metrics["demonstrations/count"] == 2
    assert step.value.item() == pytest.approx(plain.loss(1).value.item() + 0.3 * nll, rel=1e-5)


def test_each_demonstration_comes_once_before_any_comes_again(task, now):
    lm, made = task(count=12, demonstrations_share=0.34)
    drawn = [tuple(pair.completion) for batch in made._demonstrations for pair in batch]
    known = {tuple(encode_pair(lm, d.prompt, d.completion).completion) for d in demonstrations(now)}
    assert len(drawn) == 6
    assert set(drawn[:3]) == set(drawn[3:]) == known


def test_even_a_small_share_gives_one_demonstration_a_step():
    assert settings(demonstrations_share=0.01).demonstrations_a_step == 1
    assert settings(per_device_train_batch_size=8, demonstrations_share=0.2).demonstrations_a_step == 2
    assert settings().demonstrations_a_step == 0


def test_a_declared_share_without_demonstrations_is_refused(tiny_lm, now):
    with pytest.raises(TrainingError, match="demonstrations to mix in; got none"):
        DpoTask(tiny_lm, [preference(0, now)], settings(demonstrations_share=0.2), seed=0, ref_adapter=None)


def test_the_baseline_of_kto_pairs_each_prompt_with_an_answer_to_another(task):
    lm, made = task(loss_type="kto")
    for i, stranger in enumerate(made._strangers):
        assert stranger.prompt == made._chosen[i].prompt
        own = [pair.completion for pair in (*made._chosen, *made._rejected) if pair.prompt == stranger.prompt]
        assert stranger.completion not in own
    rows = made._batches[0]
    with torch.no_grad():
        policy = sequence_logprobs(lm, [made._strangers[i] for i in rows])
        with lm.model.disable_adapter():
            reference = sequence_logprobs(lm, [made._strangers[i] for i in rows])
    expected = max(0.0, (policy - reference).mean().item())
    assert made.loss(0).metrics["kl"] == pytest.approx(expected, abs=1e-4)


def test_kto_on_a_single_prompt_is_refused(task, now):
    with pytest.raises(TrainingError, match="a completion of another prompt"):
        task(rows=[preference(0, now), preference(3, now)], loss_type="kto")


@pytest.mark.parametrize(
    "changes",
    [
        {"loss_type": "ipo", "margin_scale": 1.0},
        {"loss_type": "kto", "margin_scale": 1.0},
        {"loss_type": "chipo", "reference_free": True},
        {"loss_type": "kto_pair"},
        {"label_smoothing": 0.5},
        {"demonstrations_share": 1.0},
    ],
)
def test_settings_that_do_not_fit_together_are_refused(changes):
    with pytest.raises(ValueError, match=r"loss_type|margin_scale|reference_free|label_smoothing|demonstrations_share"):
        settings(**changes)
