"""Reward commands: a calibration is a new reward, on what was held out, and what cannot be calibrated is refused."""

import re

import pytest
from command_line import demonstration_rows, done, judgement_rows, refused, write_rows

from assay.records.reward import RewardVersion
from assay.rewards import RewardEnsemble
from assay.storage import Workspace
from assay.storage.artifacts import directory_hash


@pytest.fixture(scope="module")
def space(tiny_model_dir, tmp_path_factory):
    place = tmp_path_factory.mktemp("reward-commands")
    space = place / "space"
    done("init", "-w", space, "--model", tiny_model_dir)
    rows = judgement_rows(60)
    for row in rows[::5]:
        row["choice"] = "first" if row["choice"] == "second" else "second"
    done("feedback", "import", write_rows(place / "rows.jsonl", rows), "-w", space, "--held-out-annotators", "none")
    for split in ("train", "watch"):
        done("preferences", "fit", "-w", space, "--split", split)
    done("reward", "train", "-w", space, "--set", "directions=4", "--set", "debias.removal=decorrelate")
    return space


@pytest.fixture
def records(space):
    workspace = Workspace(space)
    yield workspace
    workspace.close()


def proxies(workspace):
    return [one for one in workspace.records.all(RewardVersion) if one.name == "proxy"]


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_a_calibration_is_a_new_reward_that_names_the_old_one(space, records, tmp_path, method):
    old = proxies(records)[0]
    plot = tmp_path / "reliability.svg"
    said = done("reward", "calibrate", old.short_id, "-w", space, "--method", method, "--plot", plot)
    new = records.records.get(RewardVersion, re.findall(r"\b[0-9a-f]{64}\b", said)[-1])
    assert new.calibrated_from == old.id
    assert new.quality.calibration == method
    assert new.identity.rows == old.identity.rows
    assert new.artifact == new.identity.content_hash == directory_hash(records.artifacts.path(new.artifact))
    assert new.artifact != old.artifact or method == "temperature"
    assert new.quality.pairs == old.quality.pairs
    assert "next: assay align dpo" in said
    assert plot.read_text().startswith("<?xml")
    for row in new.quality.reliability:
        assert f"{row.predicted:.2f}" in said


def test_the_latest_calibration_is_the_proxy_that_policies_train_on(space, records):
    from assay.cli.config import parse_config
    from assay.cli.standing import walk_over

    done("reward", "calibrate", proxies(records)[0].id, "-w", space, "--method", "isotonic")
    config = parse_config({"name": "steps", "feedback": {"source": "file"}}, where="")
    assert walk_over(records, config).output("rewards", "proxy") == proxies(records)[-1].id


def test_a_reward_on_the_judging_side_and_one_without_its_preferences_are_refused(space, records):
    old = proxies(records)[0]
    judging = old.model_copy(update={"name": "held-out-reward"})
    unknown = old.model_copy(update={"calibration_prompts": None, "notes": ("stored before prompts were kept",)})
    for version in (judging, unknown):
        version = RewardVersion.model_validate(version.model_dump())
        records.records.put(version, subject=version.name)
    judging, unknown = (
        next(one for one in records.records.all(RewardVersion) if one.name == "held-out-reward"),
        next(one for one in records.records.all(RewardVersion) if one.notes),
    )
    assert "a reward that trains policies" in refused("reward", "calibrate", judging.id, "-w", space)
    assert "held out of its fit" in refused("reward", "calibrate", unknown.id, "-w", space)


def test_a_price_of_lying_outside_and_a_shaping_are_kept_and_demonstrations_count_as_inside(space, records, tmp_path):
    demonstrations = write_rows(tmp_path / "shown.jsonl", demonstration_rows())
    settings = ["directions=4", "outliers.weight=0.5", "shaping.name=par", "shaping.references=8"]
    told = [word for one in settings for word in ("--set", one)]
    cuts = []
    for _ in range(2):
        done("reward", "train", "-w", space, *told)
        ensemble = RewardEnsemble.open(records.artifacts.path(proxies(records)[-1].artifact))
        assert (ensemble.outlier_weight, ensemble.shaping.name, ensemble.anchor.shape) == (0.5, "par", (8, 5))
        cuts.append(ensemble.outliers.cut)
        done("feedback", "import", demonstrations, "-w", space)
    assert cuts[0] != cuts[1]
