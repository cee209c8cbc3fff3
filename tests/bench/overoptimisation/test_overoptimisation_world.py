"""World and labels: shapes and rates as declared, people's habits in their labels, and gold out of the arms' reach."""

import ast
from pathlib import Path

import numpy as np
import pytest
from overoptimisation_worlds import PLAN, SMALL, drawn
from scipy.special import expit

from assay.bench.overoptimisation import arms, detectors, fitting, labels, observing, stack
from assay.bench.overoptimisation.plan import Constants
from assay.bench.overoptimisation.world import NAMED, PLANTED, Regime, WorldSettings, draw

BLIND = (arms, detectors, fitting, observing, stack)
"""All modules that run on behalf of an arm or a detector."""
FROM_WORLD = {"NAMED", "Seen", "Texts"}
FORBIDDEN = {"labels", "measuring", "outcomes", "metrics", "claims", "runner"}


def imports_of(module):
    """(module, name) of everything that a module imports."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def arrays_in(thing, seen=None):
    """Every array that can be reached from an object: through containers, attributes, closures, and views' bases."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, (str, bytes, int, float, type(None))):
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        yield thing
        yield from arrays_in(thing.base, seen)
        return
    below = []
    if isinstance(thing, dict):
        below = [*thing.keys(), *thing.values()]
    elif isinstance(thing, (list, tuple, set, frozenset)):
        below = list(thing)
    below += [cell.cell_contents for cell in getattr(thing, "__closure__", None) or ()]
    below += list(getattr(thing, "__dict__", {}).values())
    for each in below:
        yield from arrays_in(each, seen)


def holds(array, gold):
    """Whether an array has gold's very values somewhere, or gold up to shift and scale in a column."""
    if array.dtype == bool:
        return False
    if np.isin(gold, array).mean() > 0.5:
        return True
    if array.size % gold.size:
        return False
    columns = array.reshape(gold.size, -1).astype(float)
    return any(np.std(c) > 0 and abs(np.corrcoef(c, gold.ravel())[0, 1]) > 0.999 for c in columns.T)


@pytest.mark.parametrize("module", BLIND, ids=lambda module: module.__name__.rsplit(".", 1)[1])
def test_no_module_of_an_arm_can_name_the_truth(module):
    for source, name in imports_of(module):
        parts = set((source or "").split(".")) | {name}
        assert not parts & FORBIDDEN, (source, name)
        if (source or "").endswith("overoptimisation.world"):
            assert name in FROM_WORLD
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    named |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not named & {"gold", "Truth", "truth"}


def test_gold_is_in_no_array_that_an_arm_can_reach():
    seen, truth, reference_gold = drawn("in_support_marker")
    fitted = fitting.fit(seen, np.random.default_rng(1))
    rewards = [arm.reward(seen, fitted, Constants().peers) for arm in arms.PEERS.values()]
    reachable = list(arrays_in((seen, fitted, rewards, dict(arms.PEERS))))
    assert len(reachable) > 30
    for gold in (truth.gold, reference_gold, truth.channels[..., 2]):
        assert not any(holds(array, gold) for array in reachable)


def test_the_walk_through_objects_would_find_gold_where_it_is():
    seen, truth, _ = drawn()
    for hidden in ({"a": [truth.gold]}, lambda: truth.gold[0], (seen, truth.gold.reshape(-1)[:10])):
        assert any(holds(array, truth.gold) for array in arrays_in(hidden))
    assert holds(3 * truth.gold[..., None] + 1, truth.gold)


def test_a_draw_has_the_declared_rates_and_scales():
    regime = Regime(marker_cost=1.2)
    made = draw(WorldSettings(), regime, 20000, np.random.default_rng(3))
    assert made.gold.mean() == pytest.approx(0, abs=1e-6)
    assert made.gold.std() == pytest.approx(1)
    assert made.texts.markers[:, PLANTED].mean() == pytest.approx(0.25, abs=0.02)
    with_it = made.texts.markers[:, PLANTED]
    assert made.gold[with_it].mean() < made.gold[~with_it].mean() - 0.5
    good = [made.gold[word].mean() - made.gold[~word].mean() for word in made.texts.markers[:, 1:5].T]
    assert min(good) > 0.4
    np.testing.assert_array_equal(made.texts.surface, made.channels[:, : len(NAMED)])


def test_states_are_a_rotation_so_that_no_column_is_a_channel():
    made = draw(WorldSettings(), Regime(), 5000, np.random.default_rng(4))
    both = np.corrcoef(made.texts.states.T, made.channels.T)[:-3, -3:]
    assert np.abs(both).max() < 0.95
    explained = np.linalg.lstsq(made.texts.states, made.channels, rcond=None)[0]
    np.testing.assert_allclose(made.texts.states @ explained, made.channels - made.channels.mean(0), atol=0.35)


def test_the_same_seed_draws_the_same_world():
    first, again = drawn(seed=7), drawn(seed=7)
    np.testing.assert_array_equal(first[1].gold, again[1].gold)
    np.testing.assert_array_equal(first[0].pairs.chosen, again[0].pairs.chosen)


@pytest.mark.parametrize("flips", [0.0, 0.25])
def test_labels_agree_with_gold_as_often_as_the_model_says(flips):
    regime, settings = Regime(flips=flips), WorldSettings()
    made = draw(settings, regime, 12000, np.random.default_rng(5))
    pairs = labels.label(made, settings, regime, np.random.default_rng(6))
    gap = np.abs(made.gold[0::2] - made.gold[1::2])
    expected = np.mean((1 - 2 * flips) * expit(2 * gap) + flips)
    agree = np.mean(made.gold[pairs.chosen] > made.gold[pairs.rejected])
    assert agree == pytest.approx(expected, abs=0.015)


def test_annotators_who_like_a_channel_choose_it_and_adversaries_choose_by_it_alone():
    settings = WorldSettings()
    made = draw(settings, Regime(), 8000, np.random.default_rng(8))

    def share(regime, column):
        pairs = labels.label(made, settings, regime, np.random.default_rng(9))
        return np.mean(made.channels[pairs.chosen, column] > made.channels[pairs.rejected, column])

    assert share(Regime(liking=(0, 1.0, 0)), 1) > share(Regime(), 1) + 0.1
    plain, poisoned = share(Regime(), 2), share(Regime(adversaries=0.3), 2)
    assert poisoned == pytest.approx(0.7 * plain + 0.3, abs=0.02)


def test_an_audit_errs_as_often_as_declared():
    gold = np.array([[0.0, 50.0]])
    asked = np.zeros(4000, dtype=int)
    answers = labels.audit(gold, asked + 1, asked, SMALL, np.random.default_rng(1))
    assert np.mean(answers) == pytest.approx(1 - SMALL.audit_flips, abs=0.02)


def test_the_evaluation_has_seeds_and_regimes_that_development_never_saw():
    assert PLAN.first_seed >= 100
    assert sorted(name for name, regime in PLAN.regimes.items() if not regime.is_tuned_on) == ["poison", "sparse"]
