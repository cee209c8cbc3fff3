"""Fixtures of the command line: a recipe for the tiny model, and one whole run of it that several tests look at."""

import pytest
from command_line import done, write_recipe

from assay.storage import Workspace


@pytest.fixture(scope="session")
def small_recipe(tiny_model_dir, tmp_path_factory):
    return write_recipe(tmp_path_factory.mktemp("small-recipe"), tiny_model_dir)


@pytest.fixture(scope="session")
def small_run(small_recipe, tmp_path_factory):
    """The directory of an uninterrupted run; tests must not change it."""
    directory = tmp_path_factory.mktemp("small-run") / "run"
    done("run", small_recipe, "--out", directory)
    return directory


@pytest.fixture
def opened(small_run):
    workspace = Workspace(small_run)
    yield workspace
    workspace.close()
