"""Layer loading: nothing has a silent default, all faults come together, inert rules are refused."""

import copy
from importlib.resources import files

import pytest
import yaml

from assay.deployment.layers import build_layers, load_layers
from assay.records.errors import ConfigError

SOUND = {"use": "private_data", "stage": "output", "mode": "enforce", "failure_mode": "closed", "owner": "privacy"}


def faults(*entries):
    with pytest.raises(ConfigError) as caught:
        build_layers({"layers": list(entries)}, source="here")
    return str(caught.value)


@pytest.mark.parametrize("missing", ["mode", "failure_mode", "owner"])
def test_a_layer_must_declare_its_mode_failure_mode_and_owner(missing):
    assert missing in faults({key: value for key, value in SOUND.items() if key != missing})


def test_all_faults_are_told_together():
    message = faults({"use": "nothing"}, {**SOUND, "stage": "input"}, {**SOUND, "extra": 1}, SOUND, SOUND)
    for part in ("layer 1 needs `use`", "not at 'input'", "unknown fields extra", "'private_data' stands twice"):
        assert part in message


@pytest.mark.parametrize("declared", [None, [], {}, {"layers": []}, {"layers": "x"}])
def test_a_file_without_layers_is_refused(declared):
    with pytest.raises(ConfigError, match="non-empty list"):
        build_layers(declared, source="here")


@pytest.mark.parametrize("all_of", [[["bomb"], []], [["..."]], []])
def test_a_rule_that_could_never_fire_is_refused(all_of):
    rule = {"name": "r", "all_of": all_of, "refusal": "no", "denies": ["a", "b"], "allows": ["c"]}
    assert "blocked_terms" in faults({**SOUND, "use": "blocked_terms", "stage": "input", "settings": {"rules": [rule]}})


def test_a_rule_without_tests_of_its_own_is_refused():
    rule = {"name": "r", "all_of": [["bomb"]], "refusal": "no", "denies": ["a bomb"], "allows": []}
    message = faults({**SOUND, "use": "blocked_terms", "stage": "input", "settings": {"rules": [rule]}})
    assert "denies" in message and "allows" in message


def test_a_broken_file_is_one_clear_error(tmp_path):
    path = tmp_path / "layers.yaml"
    path.write_text("layers: [", encoding="utf-8")
    with pytest.raises(ConfigError, match="remove it to use the default layers"):
        load_layers(path)
    with pytest.raises(ConfigError):
        load_layers(tmp_path / "absent.yaml")


def test_a_change_of_one_setting_changes_the_digest(tmp_path):
    text = (files("assay.deployment.layers") / "default_layers.yaml").read_text(encoding="utf-8")
    declared = yaml.safe_load(text)
    changed = copy.deepcopy(declared)
    changed["layers"][1]["settings"]["room_for_answer"] = 17
    path = tmp_path / "layers.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_layers(path).digest == load_layers().digest
    assert build_layers(changed, source="x").digest != load_layers().digest
