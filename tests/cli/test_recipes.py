"""Recipes: every recipe of the project and the demo is read without a fault, and its head says how to run it."""

from importlib.resources import files
from pathlib import Path

import pytest

from assay.cli.config import read_config
from assay.records.errors import ConfigError

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_and_is_called_like_its_file(path):
    assert read_config(path).name == path.stem


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_head_of_a_recipe_holds_its_exact_command(path):
    config = read_config(path)
    command = f"#     assay run recipes/{path.name}"
    if config.feedback.judgements is None:
        command += " --judgements FILE"
    assert command in path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_with_real_people_leaves_the_release_to_people(path):
    config = read_config(path)
    assert (config.feedback.source, config.release) == ("file", "people")


def test_the_demo_is_read_and_says_that_its_people_are_simulated():
    config = read_config(Path(str(files("assay.cli").joinpath("demo.yaml"))))
    assert (config.name, config.feedback.source) == ("demo", "simulated")


def test_a_recipe_with_two_wrong_keys_is_told_both(tmp_path):
    text = (ROOT / "recipes" / "pandalm.yaml").read_text(encoding="utf-8")
    path = tmp_path / "wrong.yaml"
    path.write_text(text + "colour: red\n" + "aggregation: vote\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert "colour: unknown key" in str(caught.value)
    assert "aggregation: " in str(caught.value)
