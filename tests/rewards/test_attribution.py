"""Attribution: additive rewards come out exact, interacting ones show a gap, gradients agree with captum's."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.lm import encode_pair
from assay.records.conversation import user_prompt
from assay.records.errors import InputError
from assay.rewards import RewardEnsemble, read_features
from assay.rewards.attribution import (
    FILLER,
    StateHead,
    attribution_page,
    integrated_gradients,
    occlude,
    split_pieces,
    state_head,
)
from assay.rewards.attribution import _head_rewards as head_rewards
from assay.rewards.ensemble import Member
from assay.rewards.feature_maps import fit_map
from assay.rewards.outliers import fit_outliers

PROMPT = user_prompt("Why is the sky blue?")
TEXT = "The sky is blue because of the air."
WORTH = {"blue": 2.0, "because": -1.0, "air.": 0.5}


def by_words(_prompts, texts):
    return np.array([3.0 + sum(WORTH.get(word, 0.0) for word in text.split()) for text in texts])


@given(text=st.text(max_size=60), words=st.integers(1, 5))
def test_pieces_read_together_as_the_text(text, words):
    pieces = split_pieces(text, words=words)
    assert "".join(pieces) == text
    assert all(len(piece.split()) <= words for piece in pieces)


def test_an_additive_reward_comes_out_word_by_word_without_a_gap():
    found = occlude(by_words, PROMPT, TEXT)
    assert dict(zip((piece.strip() for piece in found.pieces), found.values, strict=True)) == {
        word: pytest.approx(WORTH.get(word, 0.0)) for word in TEXT.split()
    }
    assert (found.reward, found.baseline) == (4.5, 3.0)
    assert (found.gap, found.relative_gap) == (0.0, 0.0)


def test_larger_pieces_hold_the_sum_of_their_words():
    found = occlude(by_words, PROMPT, TEXT, words=4)
    assert found.pieces == ("The sky is blue", " because of the air.")
    np.testing.assert_allclose(found.values, [2.0, -0.5])


def test_a_filler_takes_a_word_s_place_and_stands_in_the_baseline():
    seen = []

    def spy(prompts, texts):
        seen.extend(texts)
        return by_words(prompts, texts)

    found = occlude(spy, PROMPT, "blue  air.", filler="_")
    assert seen == ["blue  air.", "_  _", "_  air.", "blue  _"]
    np.testing.assert_allclose(found.values, [2.0, 0.5])


def test_words_that_count_only_together_show_as_a_gap():
    both = lambda _, texts: np.array([float("sky" in t and "air" in t) for t in texts])  # noqa: E731
    found = occlude(both, PROMPT, "sky and air")
    np.testing.assert_allclose(found.values, [1.0, 0.0, 1.0])
    assert found.gap == -1.0
    assert found.relative_gap == pytest.approx(1 / 3)


def test_a_completion_without_words_is_refused(tiny_lm):
    with pytest.raises(InputError, match="expected a completion with words"):
        occlude(by_words, PROMPT, "")
    with pytest.raises(InputError, match="expected a completion with words"):
        integrated_gradients(tiny_lm, PROMPT, "", head_of(tiny_lm))


def head_of(lm, layers=(1, 3)):
    rng = np.random.default_rng(0)
    width = lm.causal.config.hidden_size
    mean, last = rng.normal(size=(2, len(layers), width))
    return StateHead(mean, last, 0.25, layers)


def ensemble_of(lm, maps=("mean-low", "mean-last", "last-high")):
    words = TEXT.split()
    texts = [" ".join(words[:i] + words[::-1][: 9 - i]) for i in range(1, 9)]
    features = read_features(lm, [PROMPT] * 8, texts, layers=(1, 3))
    members = []
    for number, name in enumerate(maps):
        view = fit_map(name, features, directions=4)
        theta = np.random.default_rng(number).normal(size=view.apply(features).shape[1])
        members.append(Member(view, theta, 0.5 * number, 2.0))
    return RewardEnsemble(tuple(members), "mean", 1.0, fit_outliers(features), (1, 3))


def test_the_head_of_an_ensemble_scores_as_its_members_do(tiny_lm):
    ensemble = ensemble_of(tiny_lm)
    head = state_head(ensemble, width=tiny_lm.causal.config.hidden_size)
    features = read_features(tiny_lm, [PROMPT] * 2, [TEXT, "Because."], layers=(1, 3))
    by_head = head.constant + (features.mean * head.mean + features.last * head.last).sum((1, 2))
    np.testing.assert_allclose(by_head, ensemble.score(features).reward, rtol=1e-5, atol=1e-5)


def test_a_head_that_is_not_linear_is_refused(tiny_lm):
    class Squared(Member):
        def score(self, features):
            return super().score(features) ** 2

    ensemble = ensemble_of(tiny_lm)
    squared = ensemble._replace(members=tuple(Squared(*member) for member in ensemble.members))
    with pytest.raises(InputError, match="use occlusion"):
        state_head(squared, width=tiny_lm.causal.config.hidden_size)


def test_gradients_add_up_to_the_reward_they_explain(tiny_lm):
    head = head_of(tiny_lm)
    features = read_features(tiny_lm, [PROMPT], [TEXT], layers=(1, 3))
    reward = float(head.constant + (features.mean * head.mean + features.last * head.last).sum())
    coarse, fine = (integrated_gradients(tiny_lm, PROMPT, TEXT, head, steps=steps) for steps in (8, 128))
    assert fine.reward == pytest.approx(reward, rel=1e-4)
    assert "".join(fine.pieces) == TEXT
    assert fine.gap == pytest.approx(fine.reward - fine.baseline - fine.values.sum())
    assert fine.relative_gap < 0.01
    assert fine.relative_gap < coarse.relative_gap


def test_a_completion_like_the_start_of_the_path_earns_nothing(tiny_lm):
    first = tiny_lm.tokenizer(FILLER, add_special_tokens=False)["input_ids"][:1]
    found = integrated_gradients(tiny_lm, PROMPT, tiny_lm.tokenizer.decode(first), head_of(tiny_lm), steps=8)
    np.testing.assert_allclose(found.values, 0.0, atol=1e-12)
    assert found.gap == pytest.approx(0.0, abs=1e-6)


def test_a_character_of_several_tokens_is_one_piece(tiny_lm):
    found = integrated_gradients(tiny_lm, PROMPT, "So 👍 é.", head_of(tiny_lm), steps=8)
    assert "".join(found.pieces) == "So 👍 é."
    assert any("👍" in piece for piece in found.pieces)


def test_the_base_is_explained_whatever_adapter_is_on(tiny_lm):
    from assay.lm import LoraSettings, add_lora

    before = integrated_gradients(tiny_lm, PROMPT, TEXT, head_of(tiny_lm), steps=8)
    add_lora(tiny_lm, LoraSettings(r=2), seed=0)
    with torch.no_grad():
        for name, parameter in tiny_lm.model.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.5)
    after = integrated_gradients(tiny_lm, PROMPT, TEXT, head_of(tiny_lm), steps=8)
    np.testing.assert_allclose(after.values, before.values, rtol=1e-5, atol=1e-7)


def test_the_page_marks_each_piece_and_runs_nothing_that_a_completion_says():
    found = occlude(by_words, PROMPT, "<script>alert(1)</script> blue because")
    page = attribution_page("Why <b>?", found)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "Why &lt;b&gt;?" in page
    assert '<span style="background:rgb(37 99 235 / 0.65)" title="+2.0000"> blue</span>' in page
    assert 'style="background:rgb(234 88 12 / 0.33)" title="-1.0000"' in page


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_gradients_are_those_of_captum(tiny_lm):
    """Same path, same points: captum's values, summed over an embedding, and its own measure of the gap."""
    attr = pytest.importorskip("captum.attr", reason="captum is an optional peer: pip install captum --no-deps")
    head, steps = head_of(tiny_lm), 24
    found = integrated_gradients(tiny_lm, PROMPT, TEXT, head, steps=steps)
    pair = encode_pair(tiny_lm, PROMPT, TEXT)
    start, end = len(pair.prompt), len(pair.prompt) + len(pair.completion)
    table = tiny_lm.body.get_input_embeddings()
    real = table(torch.tensor([[*pair.prompt, *pair.completion]])).detach()
    empty = real.clone()
    empty[:, start : end - 1] = table(torch.tensor(tiny_lm.tokenizer(FILLER)["input_ids"][:1])).detach()
    theirs = attr.IntegratedGradients(lambda x: head_rewards(tiny_lm, x, head, start), multiply_by_inputs=True)
    values, gap = theirs.attribute(
        real, empty, n_steps=steps, method="gausslegendre", return_convergence_delta=True, internal_batch_size=8
    )
    by_token = values[0].sum(1).double().numpy()
    np.testing.assert_allclose(found.values, by_token[start : end - 1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(by_token[:start], 0.0)
    assert found.gap == pytest.approx(-float(gap[0]), abs=1e-4)
    assert "captum" in sys.modules


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_occlusion_by_a_filler_is_captum_s_feature_ablation():
    attr = pytest.importorskip("captum.attr", reason="captum is an optional peer: pip install captum --no-deps")
    words = TEXT.split()
    worth = torch.tensor([WORTH.get(word, 0.0) for word in words])

    def forward(present):  # the reward of the words that are there, with one pair that counts only together
        return (present * worth).sum(1) + present[:, 1] * present[:, 3]

    def reward(_prompts, texts):
        rows = [[float(word != "_") for word in text.split()] for text in texts]
        return forward(torch.tensor(rows)).numpy()

    theirs = attr.FeatureAblation(forward).attribute(torch.ones(1, len(words)))
    np.testing.assert_allclose(occlude(reward, PROMPT, TEXT, filler="_").values, theirs[0].numpy(), atol=1e-6)
