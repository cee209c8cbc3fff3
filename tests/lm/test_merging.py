"""Merging: the written model is the one with its adapter, and the one in memory is left alone."""

import torch

from assay.lm import LoraSettings, add_lora, encode_pair, load
from assay.lm.adapters import policy_parameters
from assay.lm.logprobs import sequence_logprobs
from assay.lm.merging import save_merged
from assay.records.conversation import user_prompt


def test_the_written_model_scores_as_the_one_with_its_adapter(tiny_model_dir, tmp_path):
    tiny_lm = load(str(tiny_model_dir), dtype=torch.float32)
    pair = encode_pair(tiny_lm, user_prompt("Why is the sky blue?"), "Light scatters.")
    base = sequence_logprobs(tiny_lm, [pair])
    add_lora(tiny_lm, LoraSettings(r=4), seed=0)
    with torch.no_grad():
        for parameter in policy_parameters(tiny_lm).values():
            parameter.add_(0.05)
    tuned = sequence_logprobs(tiny_lm, [pair]).detach()
    assert abs(float(tuned - base)) > 0.1
    save_merged(tiny_lm, tmp_path / "model")
    written = load(str(tmp_path / "model"), dtype=torch.float32)
    torch.testing.assert_close(sequence_logprobs(written, [pair]), tuned, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(sequence_logprobs(tiny_lm, [pair]).detach(), tuned)
