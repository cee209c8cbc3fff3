"""Exchange with TRL 1.16 itself: every key of its configurations is known, and exported runs train in its trainers."""

import dataclasses
from importlib import import_module

import pytest
import yaml

from assay.alignment import DpoSettings, GrpoSettings, SftSettings
from assay.alignment.exchange import Job, ServedReward, bundle_for, read_trl, write_bundle
from assay.alignment.exchange.trl_keys import KNOWN, NEUTRAL, TAKEN
from assay.lm import LoraSettings
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError
from assay.records.judgement import Demonstration
from assay.records.preference import Preference
from assay.records.provenance import Provenance

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # TRL's own warnings are not ours to mend
]
trl = pytest.importorskip("trl", reason="TRL is an optional extra: install it with `make peers`")

LORA = LoraSettings(r=4, alpha=8, targets=("q_proj", "v_proj"))
ABOUT = Provenance(seed=5, data_hash="d", code_version="v", config_hash="c")
PROMPTS = [user_prompt(text) for text in ("Why is the sky blue?", "Capital of France?")]


def configs():
    from trl.experimental.cpo import CPOConfig
    from trl.experimental.online_dpo import OnlineDPOConfig
    from trl.experimental.orpo import ORPOConfig

    return {
        "sft": trl.SFTConfig,
        "dpo": trl.DPOConfig,
        "kto": trl.KTOConfig,
        "orpo": ORPOConfig,
        "cpo": CPOConfig,
        "grpo": trl.GRPOConfig,
        "rloo": trl.RLOOConfig,
        "online_dpo": OnlineDPOConfig,
    }


def defaults(config):
    """TRL's own default of every key, as a user could write it out."""
    found = {}
    for field in dataclasses.fields(config):
        has_factory = field.default_factory is not dataclasses.MISSING
        found[field.name] = field.default_factory() if has_factory else field.default
    return found


@pytest.mark.parametrize("trainer", sorted(TAKEN))
def test_every_key_of_a_trainer_is_known_and_its_defaults_written_out_change_nothing(trainer):
    from trl import ModelConfig, ScriptArguments

    written = {}
    for config in (configs()[trainer], ModelConfig, ScriptArguments):
        written |= defaults(config)
    assert sorted(set(written) - KNOWN) == []
    assert sorted(TAKEN[trainer] - set(written) - {"warmup_ratio"}) == []
    # LoRA is off in these defaults, so its dropout of 0.05 acts on nothing; written out it would be refused.
    written |= {"lora_dropout": 0.0, "use_peft": None, "model_name_or_path": "m", "dataset_name": "d"}
    assert read_trl(written, trainer).settings == read_trl({}, trainer).settings


def test_neutral_values_are_the_defaults_of_trl():
    from trl import ModelConfig

    known = defaults(ModelConfig)
    for config in configs().values():
        known |= {name: value for name, value in defaults(config).items() if name in NEUTRAL}
    off = {"lora_dropout", "temperature", "loss_type", "sync_ref_model"}
    wrong = {name: known[name] for name in NEUTRAL if name in known and name not in off}
    assert {name: value for name, value in wrong.items() if value not in NEUTRAL[name]} == {}


def preferences(now):
    return [
        Preference(
            created_at=now,
            prompt=PROMPTS[i % 2],
            chosen=f"A long and careful answer {i}.",
            rejected=f"No {i}.",
            margin=1.0,
            standard_error=0.3,
            probability=0.8,
            judgements=(str(i),),
            annotators=("a",),
            aggregation="x",
        )
        for i in range(4)
    ]


def small(kind, **changes):
    lora = {"lora": LORA, "max_steps": 2, "per_device_train_batch_size": 2, "learning_rate": 1e-3}
    return kind(**lora | changes)


def written(settings, records, tiny_model_dir, tmp_path):
    """The exported directory, parsed by TRL's own parser for its command line."""
    reward = ServedReward(tmp_path, "ab" * 32)
    bundle = bundle_for("trl", Job(settings, records, str(tiny_model_dir), 512, 5, reward))
    write_bundle(tmp_path / "run", bundle, ABOUT)
    name = bundle.files["launch.sh"].decode().split("trl \\\n", 1)[1].split()[0]
    module = import_module(f"trl.scripts.{name}")
    parser = module.make_parser(prog=f"trl {name}")
    here = ["--use_cpu", "True", "--bf16", "False", "--gradient_checkpointing", "False"]
    return tmp_path / "run", parser.parse_args_and_config(["--config", str(tmp_path / "run" / "config.yaml"), *here])


def trained(trainer, run, parsed, **more):
    from datasets import load_dataset
    from trl import get_peft_config

    script, args, model, _ = parsed
    args.output_dir = str(run / "output")
    dataset = load_dataset(str(run / script.dataset_name), cache_dir=str(run / "cache"))["train"]
    made = trainer(
        model=model.model_name_or_path, args=args, train_dataset=dataset, peft_config=get_peft_config(model), **more
    )
    made.train()
    return made


def losses(made):
    return [entry["loss"] for entry in made.state.log_history if "loss" in entry]


@pytest.mark.parametrize("loss_type", ["sigmoid", "rpo", "robust", "kto"])
def test_an_exported_preference_run_trains_in_trl(tiny_model_dir, tmp_path, now, loss_type):
    settings = small(DpoSettings, loss_type=loss_type, label_smoothing=0.1 if loss_type == "robust" else 0.0)
    run, parsed = written(settings, preferences(now), tiny_model_dir, tmp_path)
    parsed[1].logging_steps = 1
    made = trained(trl.KTOTrainer if loss_type == "kto" else trl.DPOTrainer, run, parsed)
    assert made.state.global_step == 2
    assert len(losses(made)) == 2
    if loss_type == "sigmoid":
        assert losses(made)[0] == pytest.approx(0.6931, abs=1e-3)


def test_an_exported_sft_run_trains_in_trl(tiny_model_dir, tmp_path, now):
    rows = [Demonstration(created_at=now, annotator="a", prompt=p, completion="Light scatters.") for p in PROMPTS]
    run, parsed = written(small(SftSettings), rows, tiny_model_dir, tmp_path)
    made = trained(trl.SFTTrainer, run, parsed)
    assert made.state.global_step == 2


@pytest.mark.parametrize("loss_type", ["grpo", "rloo"])
def test_an_exported_run_that_samples_trains_in_trl(tiny_model_dir, tmp_path, loss_type):
    settings = small(GrpoSettings, loss_type=loss_type, num_generations=2, max_completion_length=4)
    run, parsed = written(settings, PROMPTS, tiny_model_dir, tmp_path)
    assert parsed[0].reward_funcs == ["assay_reward.reward"]
    trainer = trl.RLOOTrainer if loss_type == "rloo" else trl.GRPOTrainer
    seen = []

    def reward(prompts, completions, **_):
        seen.extend(prompts)
        return [float(len(said[0]["content"])) for said in completions]

    made = trained(trainer, run, parsed, reward_funcs=[reward])
    assert made.state.global_step == 2
    assert seen[0][0]["role"] == "user"


def test_the_configuration_that_trl_parsed_reads_back_as_the_run(tiny_model_dir, tmp_path, now):
    settings = small(DpoSettings, soft_labels=False, loss_type="ipo", max_steps=None)
    run, _ = written(settings, preferences(now), tiny_model_dir, tmp_path)
    reading = read_trl(yaml.safe_load((run / "config.yaml").read_text()), "dpo")
    assert DpoSettings(**reading.settings) == settings


def test_a_key_that_trl_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="no key of TRL"):
        read_trl({"reference_free": True}, "dpo")
