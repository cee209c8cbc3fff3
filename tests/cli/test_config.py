"""Config: all faults of a recipe at once, dotted overrides as YAML values, types as declared."""

from pathlib import Path

import pytest
import yaml

from assay.cli.config import FeedbackConfig, RunConfig, override, parse_config, read_config, read_settings
from assay.cli.run import set_values
from assay.records.errors import ConfigError

SMALLEST = {"name": "small", "feedback": {"source": "file"}}


def test_every_unknown_key_is_named_with_its_place():
    data = {**SMALLEST, "sed": 1, "alignment": {"dpo": {"bta": 0.1, "lora": {"rang": 2}}, "gspo": {}}}
    with pytest.raises(ConfigError) as caught:
        parse_config(data, where="here.yaml")
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert lines[0].endswith("mend these in here.yaml:")
    assert sorted(lines[1:]) == [
        "alignment.dpo.bta: unknown key",
        "alignment.dpo.lora.rang: unknown key",
        "alignment.gspo: unknown key",
        "sed: unknown key",
    ]


def test_a_wrong_value_is_shown_with_what_is_allowed():
    data = {**SMALLEST, "seed": "many", "alignment": {"dpo": {"beta": -1}}, "aggregation": "vote"}
    with pytest.raises(ConfigError) as caught:
        parse_config(data, where="here")
    said = str(caught.value)
    assert "seed: " in said
    assert "got 'many'" in said
    assert "alignment.dpo.beta: Input should be greater than 0; got -1" in said
    assert "joint_without_surface, majority; got 'vote'" in said


def test_what_is_missing_is_named():
    with pytest.raises(ConfigError, match="feedback: Field required"):
        parse_config({"name": "small"}, where="here")


def test_folds_that_do_not_sum_to_one_are_refused():
    data = {"name": "small", "feedback": {"folds": {"shares": {"train": 0.9}}}}
    with pytest.raises(ConfigError, match="sum to 1.2, not to 1"):
        parse_config(data, where="here")


def test_dotted_overrides_win_and_make_the_sections_they_need(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**SMALLEST, "seed": 1, "alignment": None}))
    config = read_config(path, overrides=set_values(["seed=7", "alignment.dpo.beta=0.2", "alignment.monitors={}"]))
    assert config.seed == 7
    assert config.alignment.dpo.beta == 0.2
    assert config.alignment.monitors == {}
    assert config.alignment.sft is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1", 1), ("a=1.5", 1.5), ("a=true", True), ("a=null", None), ("a=[1, 2]", [1, 2]), ("a=x=y", "x=y")],
)
def test_an_override_is_read_as_yaml(text, value):
    assert set_values([text]) == {"a": value}


@pytest.mark.parametrize("text", ["seed", "=1", "a..b=1", ".a=1", "a=[1"])
def test_an_override_that_is_none_is_told(text):
    with pytest.raises(ConfigError, match="expected"):
        set_values([text])


def test_an_override_below_a_single_value_is_told():
    with pytest.raises(ConfigError, match="'seed' of --set seed.x"):
        override({"seed": 1}, {"seed.x": 2})


@pytest.mark.parametrize(
    ("text", "said"), [("- a\n- b\n", "a mapping"), ("", "a mapping"), ("a: [1", "YAML"), ("a: \x07", "YAML")]
)
def test_a_file_without_settings_is_told(tmp_path, text, said):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"expected {said}"):
        read_settings(path)


def test_a_missing_file_and_a_directory_are_told(tmp_path):
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(ConfigError, match="expected settings in"):
            read_settings(path)


def test_types_are_as_declared():
    config = parse_config(
        {**SMALLEST, "feedback": {"judgements": "x.jsonl"}, "evaluation": {"seeds": [3, 4]}}, where=""
    )
    assert isinstance(config.feedback, FeedbackConfig)
    assert config.feedback.judgements == Path("x.jsonl")
    assert config.evaluation.seeds == (3, 4)
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 2


def test_the_hash_changes_with_every_setting_and_with_nothing_else():
    config = parse_config(SMALLEST, where="")
    assert RunConfig.model_validate(config.model_dump()).hash == config.hash
    assert parse_config({**SMALLEST, "seed": 1}, where="").hash != config.hash
    assert parse_config({**SMALLEST, "alignment": {"sft": {}}}, where="").hash != config.hash


def test_further_rewards_are_checked_with_their_names_and_keys_all_at_once():
    given = {
        "harm": {"kind": "cost", "cost": {"categories": ["harmful"]}},
        "Watch": {},
        "proxy": {"kind": "oracle"},
        "fine": {"ridges": 1},
    }
    with pytest.raises(ConfigError) as caught:
        parse_config({"name": "n", "feedback": {}, "further_rewards": given}, where="here")
    told = str(caught.value)
    for said in (
        "'Watch': expected a name",
        "'proxy': expected a name",
        "proxy.kind: Input",
        "fine.ridges: unknown",
    ):
        assert said in told
    assert "harm." not in told
    config = parse_config({"name": "n", "feedback": {}, "further_rewards": {"harm": given["harm"]}}, where="here")
    assert config.choices["harm"].kind == "cost"
