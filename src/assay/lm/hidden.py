"""Hidden states: reads features of (prompt, completion) pairs at chosen layers, computing no layer above them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from assay.lm.batching import by_length
from assay.lm.chat import EncodedPair
from assay.lm.loading import LanguageModel
from assay.lm.logprobs import pad


class HiddenFeatures(NamedTuple):
    """Per layer: mean over the completion's tokens and state of its last token, float32 [pairs, layers, width]."""

    mean: np.ndarray
    last: np.ndarray


class _Enough(Exception):  # noqa: N818 - a jump out of the forward pass, not an error
    pass


@torch.no_grad()
def hidden_features(
    lm: LanguageModel,
    pairs: Sequence[EncodedPair],
    layers: Sequence[int],
    *,
    batch_tokens: int = 8192,
    progress: Callable[[int], object] | None = None,
) -> HiddenFeatures:
    """Features of each pair after the given layers (1 is the first). The forward pass stops at the highest."""
    width = lm.causal.config.hidden_size
    mean = np.zeros((len(pairs), len(layers), width), dtype=np.float32)
    last = np.zeros_like(mean)
    lengths = [len(pair.prompt) + len(pair.completion) for pair in pairs]
    for batch in by_length(lengths, max_rows=64, max_tokens=batch_tokens):
        rows = pad([pairs[i] for i in batch], lm.pad_id)
        states = layer_states(lm, layers, input_ids=rows.ids, attention_mask=rows.mask)
        for k, i in enumerate(batch):
            start, end = len(pairs[i].prompt), lengths[i]
            for j, state in enumerate(states):
                mean[i, j] = state[k, start:end].float().mean(0).numpy()
                last[i, j] = state[k, end - 1].float().numpy()
        if progress is not None:
            progress(len(batch))
    return HiddenFeatures(mean, last)


def layer_states(lm: LanguageModel, layers: Sequence[int], **inputs: Any) -> list[torch.Tensor]:
    """States [rows, length, width] after each of the layers (1 is the first); nothing above the highest is computed.

    `inputs` are those of the body: `input_ids` with `attention_mask`, or `inputs_embeds` for gradients, or packed ones.
    """
    caught: dict[int, torch.Tensor] = {}

    def catch(number: int) -> Callable[..., None]:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            caught[number] = output[0] if isinstance(output, tuple) else output
            if number == max(layers):
                raise _Enough

        return hook

    handles = [lm.body.layers[number - 1].register_forward_hook(catch(number)) for number in layers]
    try:
        lm.body(**inputs, use_cache=False)
    except _Enough:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return [caught[number] for number in layers]
