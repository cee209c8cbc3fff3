"""Under test: a loaded model as the callables of regression, with and without its adapter."""

import numpy as np
import pytest

from assay.records.conversation import user_prompt

PROMPTS = [user_prompt("What is the capital of France?"), user_prompt("Repeat this word exactly: river")]


@pytest.mark.slow
def test_the_reference_is_the_model_without_its_adapter():
    from assay.evaluation.under_test import under_test
    from assay.lm import LoraSettings, add_lora, load

    lm = load()
    base = under_test(lm, max_tokens=6)
    texts, scores = base.generate(PROMPTS, 1), base.logprobs(PROMPTS, ["Paris is.", "river"])
    assert base.generate(PROMPTS, 1) == texts
    assert all((one <= 0).all() for one in scores)

    add_lora(lm, LoraSettings(), seed=0)
    for name, parameter in lm.model.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(0.02)
    tuned, reference = under_test(lm, max_tokens=6), under_test(lm, max_tokens=6, is_reference=True)
    again, moved = (one.logprobs(PROMPTS, ["Paris is.", "river"]) for one in (reference, tuned))
    assert reference.generate(PROMPTS, 1) == texts
    assert np.allclose(np.concatenate(again), np.concatenate(scores), atol=1e-4)
    assert np.abs(np.concatenate(moved) - np.concatenate(scores)).max() > 0.1
