"""Exports for TRL, verl and OpenRLHF: rows, settings and launch scripts, what is told and what is refused."""

import io
import json
import os
import shlex

import pyarrow.parquet
import pytest
import yaml
from alignment_cases import NOW, preference

from assay.alignment import DpoSettings, GrpoSettings, SftSettings
from assay.alignment.exchange import Job, ServedReward, bundle_for, read_trl, write_bundle
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError, InputError, StorageError
from assay.records.judgement import Demonstration
from assay.records.provenance import Provenance

PEERS = ("trl", "verl", "openrlhf")
PROMPTS = [user_prompt("Why is the sky blue?"), user_prompt("Capital of France?")]
DEMOS = [Demonstration(created_at=NOW, annotator="a", prompt=PROMPTS[0], completion="Light scatters.")]
SKY = [{"role": "user", "content": "Why is the sky blue?"}]
LIGHT = [{"role": "assistant", "content": "Light scatters."}]
ABOUT = Provenance(seed=5, data_hash="d", code_version="v", config_hash="c")


def job(settings, records, tmp_path):
    return Job(settings, records, model="base", context_length=512, seed=5, reward=ServedReward(tmp_path, "ab" * 32))


def grpo(**changes):
    return GrpoSettings(**{"rounds": 3, "num_generations": 4, "per_device_train_batch_size": 8} | changes)


def words(bundle):
    """The words of the launch script's command."""
    command = bundle.files["launch.sh"].decode().split('cd "$(dirname "$0")"', 1)[1]
    return shlex.split(command.replace("\\\n", " "))


def flags(bundle):
    """OpenRLHF's flags with their values as lists."""
    found, last = {}, None
    for word in words(bundle):
        if word.startswith("--") and word != "--module":
            last = found.setdefault(word, [])
        elif last is not None:
            last.append(word)
    return found


def keys(bundle):
    """verl's Hydra keys."""
    return dict(word.split("=", 1) for word in words(bundle) if "=" in word and not word.startswith("--"))


def lines(bundle, name):
    return [json.loads(line) for line in bundle.files[name].decode().splitlines()]


def test_preferences_go_out_as_messages_with_what_the_aggregation_knows(tmp_path):
    for peer, name in (("trl", "data/train.jsonl"), ("openrlhf", "train.jsonl")):
        rows = lines(bundle_for(peer, job(DpoSettings(), [preference(0)], tmp_path)), name)
        assert rows == [
            {
                "prompt": [{"role": "user", "content": "Question 0?"}],
                "chosen": [
                    {"role": "assistant", "content": "A long and careful answer about thing 0, with some detail."}
                ],
                "rejected": [{"role": "assistant", "content": "No 0."}],
                "probability": 0.8,
                "margin": 1.0,
                "weight": 1.0,
            }
        ]


def test_demonstrations_go_out_in_the_columns_of_each_trainer(tmp_path):
    made = {peer: bundle_for(peer, job(SftSettings(), DEMOS, tmp_path)) for peer in PEERS}
    assert lines(made["trl"], "data/train.jsonl") == [{"prompt": SKY, "completion": LIGHT}]
    assert lines(made["openrlhf"], "train.jsonl") == [{"prompt": SKY, "completion": LIGHT}]
    table = pyarrow.parquet.read_table(io.BytesIO(made["verl"].files["train.parquet"]))
    assert table.to_pylist() == [{"messages": SKY + LIGHT}]


def test_prompts_for_verl_carry_themselves_for_the_reward_function(tmp_path):
    made = bundle_for("verl", job(grpo(), PROMPTS, tmp_path))
    rows = pyarrow.parquet.read_table(io.BytesIO(made.files["train.parquet"])).to_pylist()
    assert rows[0]["prompt"] == rows[0]["extra_info"]["prompt"] == SKY
    assert [row["extra_info"]["index"] for row in rows] == [0, 1]
    source = made.files["assay_reward.py"].decode()
    assert "compute_score = verl_function(open_scorer(" in source
    compile(source, "assay_reward.py", "exec")


@pytest.mark.parametrize(
    "settings",
    [
        SftSettings(num_train_epochs=3, max_steps=7, lr_scheduler_type="cosine"),
        DpoSettings(soft_labels=False, loss_type="ipo", beta=0.3),
        DpoSettings(soft_labels=False, loss_type="rpo", sft_weight=0.4),
        DpoSettings(soft_labels=False, loss_type="robust", label_smoothing=0.2),
        DpoSettings(soft_labels=False, loss_type="kto", desirable_weight=2.0),
        grpo(kl_coef=0.1, epsilon_high=0.3),
        grpo(loss_type="dr_grpo", scale_rewards="none"),
        grpo(loss_type="rloo"),
    ],
    ids=["sft", "ipo", "rpo", "robust", "kto", "grpo", "dr_grpo", "rloo"],
)
def test_what_is_written_for_trl_reads_back_as_the_same_run(settings, tmp_path):
    records = DEMOS if isinstance(settings, SftSettings) else PROMPTS
    bundle = bundle_for("trl", job(settings, records, tmp_path))
    trainer = words(bundle)[1]
    reading = read_trl(yaml.safe_load(bundle.files["config.yaml"]), trainer)
    again = type(settings)(**reading.settings)
    # rpo is sigmoid with its likelihood term spelt out, and a length given as steps stands for as many passes.
    spelt = {"loss_type": "sigmoid"} if getattr(settings, "loss_type", "") == "rpo" else {}
    if settings.max_steps:
        spelt = {"num_train_epochs": settings.max_steps}
    assert again == settings.model_copy(update=spelt)


def test_verl_draws_all_prompts_and_steps_on_whole_groups(tmp_path):
    found = keys(bundle_for("verl", job(grpo(kl_coef=0.2, num_iterations=2), PROMPTS, tmp_path)))
    assert found["algorithm.adv_estimator"] == "grpo"
    assert found["data.train_batch_size"] == "2"
    assert found["actor_rollout_ref.actor.ppo_mini_batch_size"] == "2"
    assert found["actor_rollout_ref.actor.ppo_epochs"] == "2"
    assert found["actor_rollout_ref.actor.loss_agg_mode"] == "seq-mean-token-mean"
    assert found["actor_rollout_ref.actor.use_kl_loss"] == "True"
    assert found["actor_rollout_ref.actor.kl_loss_coef"] == "0.2"
    assert found["actor_rollout_ref.rollout.n"] == "4"
    assert found["actor_rollout_ref.rollout.name"] == "${ROLLOUT:-vllm}"
    assert found["trainer.total_epochs"] == "3"
    in_reward = keys(bundle_for("verl", job(grpo(loss_type="rloo", kl_coef=0.2), PROMPTS, tmp_path)))
    assert in_reward["algorithm.use_kl_in_reward"] == "True"
    assert "actor_rollout_ref.actor.kl_loss_coef" not in in_reward


def test_openrlhf_gets_its_flags_and_the_address_of_the_reward(tmp_path):
    bundle = bundle_for("openrlhf", job(grpo(loss_type="rloo"), PROMPTS, tmp_path))
    found = flags(bundle)
    assert found["--algo.advantage.estimator"] == ["rloo"]
    assert found["--rollout.batch_size"] == ["2"]
    assert found["--actor.eps_clip_low_high"] == ["0.2", "0.2"]
    assert found["--reward.remote_url"] == ["${REWARD_URL:-http://127.0.0.1:5000/get_reward}"]
    assert "--data.apply_chat_template" in found
    assert any("lora" in one for one in bundle.differences)
    dpo = flags(bundle_for("openrlhf", job(DpoSettings(loss_type="rpo", beta=0.3), [preference(0)], tmp_path)))
    assert dpo["--model.beta"] == ["0.3"]
    assert dpo["--model.nll_loss_coef"] == ["1.0"]
    assert "--model.ipo_enable" not in dpo
    assert dpo["--data.max_len"] == ["512"]


def test_what_is_lost_on_the_way_is_told(tmp_path):
    settings = DpoSettings(
        use_weights=True,
        margin_scale=0.5,
        surface_offset=("log_words",),
        demonstrations_share=0.2,
        lora={"top_layers": 2},
    )
    told = " ".join(bundle_for("trl", job(settings, [preference(0)], tmp_path)).differences)
    lost = ("soft_labels", "use_weights", "margin_scale", "surface_offset", "demonstrations_share", "top_layers")
    for name in ("monitors", *lost):
        assert f"{name}: " in told


@pytest.mark.parametrize(
    ("peer", "settings", "named"),
    [
        ("trl", DpoSettings(loss_type="simpo"), "loss_type"),
        ("trl", DpoSettings(label_smoothing=0.1), "label_smoothing"),
        ("trl", grpo(loss_type="reinforce"), "loss_type"),
        ("trl", grpo(per_device_train_batch_size=6), "per_device_train_batch_size"),
        ("trl", grpo(kl_estimator="k2"), "kl_estimator"),
        ("verl", DpoSettings(), "dpo"),
        ("verl", grpo(scale_rewards="batch"), "scale_rewards"),
        ("openrlhf", DpoSettings(loss_type="hinge"), "loss_type"),
        ("openrlhf", SftSettings(max_steps=3), "max_steps"),
        ("verl", grpo(constraints=[{"name": "kl", "limit": 1.0}]), "constraints"),
    ],
)
def test_what_a_trainer_cannot_do_is_refused(peer, settings, named, tmp_path):
    with pytest.raises(ConfigError, match=f"  (lora.)?{named}: "):
        bundle_for(peer, job(settings, [preference(0)], tmp_path))


def test_a_trainer_that_samples_needs_a_reward(tmp_path):
    with pytest.raises(ConfigError, match="a reward"):
        bundle_for("verl", job(grpo(), PROMPTS, tmp_path)._replace(reward=None))


def test_a_bundle_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    bundle = bundle_for("trl", job(grpo(), PROMPTS, tmp_path))
    place = tmp_path / "out" / "run"
    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("No space left on device")))
        with pytest.raises(StorageError, match="nothing was written"):
            write_bundle(place, bundle, ABOUT)
    assert list(place.parent.iterdir()) == []
    write_bundle(place, bundle, ABOUT)
    assert os.access(place / "launch.sh", os.X_OK)
    about = json.loads((place / "export.json").read_text())
    assert (about["seed"], about["data_hash"]) == (5, "d")
    assert about["differences"] == list(bundle.differences)
    with pytest.raises(InputError, match="one that is there"):
        write_bundle(place, bundle, ABOUT)
