"""Hidden states: the early exit gives what a full pass gives."""

import numpy as np
import torch

from assay.lm import encode_pair, hidden_features
from assay.records.conversation import user_prompt


def test_states_equal_those_of_a_full_forward_pass(tiny_lm):
    pairs = [encode_pair(tiny_lm, user_prompt("Why?"), text) for text in ("Because.", "The sky is blue, so it is.")]
    found = hidden_features(tiny_lm, pairs, [1, 3])
    assert found.mean.shape == (2, 2, 32)
    for i, pair in enumerate(pairs):
        ids = torch.tensor([[*pair.prompt, *pair.completion]])
        with torch.no_grad():
            states = tiny_lm.model(ids, output_hidden_states=True).hidden_states
        for j, layer in enumerate((1, 3)):
            expected = states[layer][0, len(pair.prompt) :]
            np.testing.assert_allclose(found.mean[i, j], expected.mean(0), atol=1e-5)
            np.testing.assert_allclose(found.last[i, j], expected[-1], atol=1e-5)


def test_no_layer_above_the_highest_is_computed(tiny_lm):
    calls = []
    handle = tiny_lm.body.layers[3].register_forward_hook(lambda *_: calls.append(1))
    hidden_features(tiny_lm, [encode_pair(tiny_lm, user_prompt("Why?"), "So.")], [2])
    handle.remove()
    assert calls == []
