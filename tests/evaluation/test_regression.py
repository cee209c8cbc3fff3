"""Regression: hand-worked perplexity, answers as words, noise floors, and a planted break in each ability."""

import numpy as np
import pytest

from assay.evaluation.regression import (
    Ability,
    LanguageModelUnderTest,
    answered,
    check_abilities,
    check_perplexity,
    check_regressions,
    is_right,
    load_abilities,
    load_passages,
)
from assay.records.conversation import last_user_text
from assay.records.errors import InputError

ABILITIES = load_abilities()


def scores(nats: float, spread: float = 0.0):
    """A model whose every token of the n-th text costs `nats`, give or take `spread`; ten tokens a text."""

    def logprobs(prompts, completions):
        return [np.full(10, -(nats + spread * np.sin(n))) for n in range(len(completions))]

    return logprobs


def knows(share: float, *, luck: float = 0.0):
    """A model that knows the first `share` of the suite, and answers each item by luck now and then."""

    def generate(prompts, seed):
        rng = np.random.default_rng(seed)
        known = {ability.prompt: ability.accepted[0] for ability in ABILITIES[: round(share * len(ABILITIES))]}
        answers = {ability.prompt: ability.accepted[0] for ability in ABILITIES}
        asked = [last_user_text(prompt) for prompt in prompts]
        return [answers[ask] if rng.random() < luck else known.get(ask, "I do not know.") for ask in asked]

    return generate


def test_perplexity_is_the_exponential_of_nats_a_token():
    check = check_perplexity(scores(2.0), scores(2.0), ["a", "b", "c", "d"], seed=0)
    assert check.reference == pytest.approx(np.exp(2.0))
    assert check.policy == pytest.approx(np.exp(2.0))
    assert check.noise_floor == pytest.approx(0.0, abs=1e-9)
    assert not check.higher_is_better
    assert not check.is_broken


def test_tokens_weigh_alike_whatever_text_they_stand_in():
    def uneven(prompts, completions):
        return [np.array([-1.0]), np.array([-3.0, -3.0, -3.0])]

    assert check_perplexity(uneven, uneven, ["a", "b", "c"], seed=0).policy == pytest.approx(np.exp(10 / 4))


def test_each_sentence_is_read_with_the_one_before_it():
    seen = []

    def logprobs(prompts, completions):
        seen.extend((last_user_text(prompt), text) for prompt, text in zip(prompts, completions, strict=True))
        return scores(1.0)(prompts, completions)

    check_perplexity(logprobs, scores(1.0), ["a", "b", "c"], seed=0)
    assert seen == [("a", "b"), ("b", "c")]


def test_a_policy_that_writes_worse_than_noise_is_broken_and_one_within_it_is_not():
    passages = load_passages()
    reference = scores(3.0, spread=0.5)
    within, beyond = (check_perplexity(scores(n, 0.5), reference, passages, seed=1) for n in (3.01, 3.4))
    assert within.noise_floor > 0.5
    assert not within.is_broken
    assert beyond.is_broken
    assert not check_perplexity(scores(2.5, 0.5), reference, passages, seed=1).is_broken


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The capital of France is Paris.", True),
        ("PARIS!", True),
        ("It is Parisian.", False),
        ("Par is", False),
        ("", False),
    ],
)
def test_answers_are_compared_as_whole_words(text, right):
    assert is_right(ABILITIES[0], text) is right


def test_yes_beside_no_is_no_answer():
    item = Ability(id="i", kind="yes or no", prompt="Is ice cold?", accepted=("yes",), rejected=("no",))
    assert is_right(item, "Yes, it is.")
    assert not is_right(item, "Yes and no.")


def test_the_suite_is_counted_by_seed_and_item():
    table = answered(knows(0.5), ABILITIES, seeds=(1, 2))
    assert table.shape == (2, 24)
    assert table.mean() == 0.5
    assert answered(knows(1.0), ABILITIES, seeds=(1,)).all()


def test_the_noise_floor_is_the_spread_of_the_references_own_runs():
    reference = knows(0.5, luck=0.4)
    runs = answered(reference, ABILITIES, seeds=(1, 2, 3, 4)).mean(axis=1)
    check = check_abilities(reference, reference, ABILITIES, seeds=(1, 2, 3, 4))
    assert check.noise_floor == pytest.approx(np.abs(runs - runs.mean()).max())
    assert check.noise_floor > 0
    assert check.reference == pytest.approx(runs.mean())
    assert not check.is_broken


@pytest.mark.parametrize(("share", "is_broken"), [(1.0, False), (0.75, False), (0.70, False), (0.3, True), (0.0, True)])
def test_a_forgotten_suite_is_found_and_a_lucky_item_is_not_missed(share, is_broken):
    assert check_abilities(knows(share), knows(0.75), ABILITIES, seeds=(1, 2)).is_broken is is_broken


def test_one_run_has_no_noise_floor():
    with pytest.raises(InputError, match="two or more seeds"):
        check_abilities(knows(1.0), knows(1.0), ABILITIES, seeds=(1, 1))


def test_both_checks_run_on_the_bundled_data():
    model = LanguageModelUnderTest(knows(0.5), scores(3.0))
    checks = check_regressions(model, model, seeds=(1, 2))
    assert [check.is_broken for check in checks] == [False, False]
    assert len({ability.id for ability in ABILITIES}) == 24
    assert len(load_passages()) == 40
