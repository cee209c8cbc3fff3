"""TRL configurations: what is taken as what, TRL's defaults, and what is told or refused."""

import pytest

from assay.alignment import DpoSettings, GrpoSettings, OnlineDpoSettings, SftSettings
from assay.alignment.exchange import TRAINERS, read_trl, trainer_named
from assay.alignment.exchange.trl_keys import DIFFERENT, IGNORED, NEUTRAL, TAKEN, WORKSPACE
from assay.records.errors import ConfigError

SETTINGS = {"sft": SftSettings, "dpo": DpoSettings, "grpo": GrpoSettings, "online_dpo": OnlineDpoSettings}


def read(trainer, **given):
    reading = read_trl(given, trainer)
    return reading, SETTINGS[reading.method](**reading.settings)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_an_empty_configuration_asks_for_the_defaults_of_trl(trainer):
    _, settings = read(trainer)
    peaks = {"sft": 2e-5, "online_dpo": 5e-7}
    assert settings.learning_rate == peaks.get(trainer, 1e-6)
    assert (settings.warmup_ratio, settings.lr_scheduler_type, settings.save_steps) == (0.0, "linear", 500)
    assert settings.per_device_train_batch_size == (4 if trainer == "kto" else 8)


def test_a_dpo_configuration_is_taken_key_by_key():
    reading, settings = read(
        "dpo",
        model_name_or_path="m",
        dataset_name="d",
        output_dir="out",
        learning_rate="5e-6",
        per_device_train_batch_size=2,
        gradient_accumulation_steps=8,
        num_train_epochs=2,
        warmup_ratio=0.1,
        lr_scheduler_type="cosine",
        beta=0.3,
        loss_type="ipo",
        use_peft=True,
        lora_r=8,
        lora_alpha=16,
        lora_dropout=0.0,
        lora_target_modules=["q_proj"],
        save_total_limit=3,
        seed=7,
        bf16=True,
        max_length=512,
    )
    assert settings.learning_rate == 5e-6
    assert settings.per_device_train_batch_size == 16
    assert settings.save_total_limit == 3
    assert (settings.beta, settings.loss_type, settings.soft_labels) == (0.3, "ipo", False)
    assert (settings.lora.r, settings.lora.alpha, settings.lora.targets) == (8, 16, ("q_proj",))
    assert (settings.num_train_epochs, settings.warmup_ratio, settings.lr_scheduler_type) == (2, 0.1, "cosine")
    assert reading.seed == 7
    assert reading.ignored == ("bf16", "output_dir")
    assert reading.workspace == ("dataset_name", "model_name_or_path")
    assert reading.differences == (f"max_length: {DIFFERENT['max_length']}",)


def test_steps_overrule_passes_and_give_the_share_of_a_warm_up():
    _, settings = read("grpo", max_steps=40, warmup_steps=10, num_train_epochs=1)
    assert (settings.max_steps, settings.rounds, settings.warmup_ratio) == (40, 40, 0.25)
    _, settings = read("sft", warmup_steps=0.05, lr_scheduler_type="constant_with_warmup")
    assert (settings.warmup_ratio, settings.lr_scheduler_type) == (0.05, "constant")
    _, settings = read("sft", warmup_steps=0.05, lr_scheduler_type="constant")
    assert settings.warmup_ratio == 0.0


def test_mixed_and_other_preference_losses_become_the_same_ones_here():
    _, rpo = read("dpo", loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.5])
    assert (rpo.loss_type, rpo.weight_of_sft) == ("sigmoid", 0.5)
    _, robust = read("dpo", loss_type="robust", label_smoothing=0.2)
    assert robust.label_smoothing == 0.2
    reading, plain = read("dpo", label_smoothing=0.2)
    assert plain.label_smoothing == 0.0
    assert any("label_smoothing: left out" in one for one in reading.differences)
    _, kto = read("kto", desirable_weight=2.0, per_device_train_batch_size=6)
    assert (kto.loss_type, kto.desirable_weight, kto.per_device_train_batch_size) == ("kto", 2.0, 3)
    _, orpo = read("orpo", beta=0.2)
    assert (orpo.loss_type, orpo.beta, orpo.weight_of_sft) == ("orpo", 0.2, 1.0)
    _, simpo = read("cpo", loss_type="simpo", cpo_alpha=0.0, simpo_gamma=1.5)
    assert (simpo.loss_type, simpo.weight_of_sft, simpo.simpo_gamma) == ("simpo", 0.0, 1.5)
    _, cpo = read("cpo")
    assert (cpo.loss_type, cpo.weight_of_sft) == ("cpo", 1.0)


def test_trainers_that_sample_keep_their_own_defaults():
    _, grpo = read("grpo")
    assert (grpo.loss_type, grpo.kl_coef, grpo.num_generations, grpo.max_completion_length) == ("dapo", 0.0, 8, 512)
    _, other = read("grpo", loss_type="dr_grpo", scale_rewards=False, beta=0.1, epsilon=0.1)
    assert (other.scale_rewards, other.kl_coef, other.epsilon_low, other.epsilon_high) == ("none", 0.1, 0.1, 0.1)
    _, rloo = read("rloo")
    assert (rloo.loss_type, rloo.kl_coef, rloo.num_generations) == ("rloo", 0.05, 2)
    _, online = read("online_dpo", beta=[0.2])
    assert (online.beta, online.temperature, online.max_completion_length) == (0.2, 0.9, 64)


def test_everything_that_would_change_the_meaning_is_refused_at_once():
    given = {
        "use_peft": False,
        "sync_ref_model": True,
        "loss_type": "apo_zero",
        "adam_beta2": 0.95,
        "lora_dropout": 0.1,
        "learning_rat": 1,
        "num_generations": 4,
        "lr_scheduler_type": "polynomial",
    }
    with pytest.raises(ConfigError) as refused:
        read_trl(given, "dpo")
    said = str(refused.value)
    assert [name for name in given if f"  {name}: " not in said] == []
    assert "learning_rat: 1 is no key of TRL 1.16" in said
    assert "num_generations: 4 has no place in a dpo configuration" in said


@pytest.mark.parametrize(
    ("trainer", "given"),
    [
        ("sft", {"packing": True}),
        ("sft", {"warmup_steps": 20}),
        ("sft", {"num_train_epochs": 0.5}),
        ("dpo", {"loss_type": ["sigmoid", "hinge"]}),
        ("dpo", {"loss_weights": [2.0]}),
        ("kto", {"loss_type": "apo_zero_unpaired"}),
        ("kto", {"per_device_train_batch_size": 3}),
        ("cpo", {"loss_type": "hinge"}),
        ("grpo", {"loss_type": "cispo"}),
        ("grpo", {"temperature": 0.7}),
        ("grpo", {"reward_weights": [1.0, 0.5]}),
        ("rloo", {"normalize_advantages": True}),
        ("online_dpo", {"loss_type": "ipo"}),
        ("online_dpo", {"beta": [0.1, 0.2]}),
    ],
)
def test_a_key_without_a_counterpart_is_refused(trainer, given):
    with pytest.raises(ConfigError, match=next(iter(given))):
        read_trl(given, trainer)


def test_no_key_is_two_things_at_once():
    groups = [IGNORED, WORKSPACE, frozenset(NEUTRAL), frozenset(DIFFERENT)]
    for i, one in enumerate(groups):
        assert not any(one & other for other in groups[i + 1 :])
    assert all(not taken & (IGNORED | WORKSPACE | set(DIFFERENT)) for taken in TAKEN.values())


def test_a_trainer_is_named_as_its_command_or_its_module():
    assert trainer_named("online-dpo") == trainer_named("online_dpo") == "online_dpo"
    with pytest.raises(ConfigError, match="one of TRL's sft, dpo"):
        trainer_named("ppo")
