"""Export: writes a reward as a directory that transformers opens as a one-label sequence classifier, scores unchanged.

Takes a tuned reward of one member (LoRA is merged, all in float32) or a linear head on the last state; yields a
directory for `AutoModelForSequenceClassification.from_pretrained`. transformers takes the score at the last token that
is not padding, and has neither a shift nor other inputs: the written scores are the raw ones, `reward.json` beside them
tells shift and scale, and a reward that needs more than that is refused with the reason.

The end-of-turn token that closes a completion is scored, so it must not be the padding; where it is (as in SmolLM2),
another special token becomes the padding of the exported model. A text to score is the prompt with its generation
prompt, the completion, the end-of-turn token, and nothing behind it: some chat templates add a line break there.
"""

import copy
import json
import os
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from assay.lm import LanguageModel
from assay.records.errors import ModelError, StorageError, explain
from assay.rewards.ensemble import RewardEnsemble
from assay.rewards.feature_maps import SURFACE
from assay.rewards.protocol import StoredReward
from assay.rewards.tuning.last_state import LastStateReward
from assay.rewards.tuning.tuned import TunedReward, install


def export_stored(reward: StoredReward, directory: Path) -> None:
    """Write a stored reward, all or nothing. Raises ModelError that says why one cannot be such a classifier."""
    if directory.exists():
        do = "name a directory that is not there yet"
        raise StorageError(explain(expected="a new directory", got=str(directory), do=do))
    if isinstance(reward, RewardEnsemble):
        refuse_ensemble(reward)
    if not isinstance(reward, TunedReward):
        do = "train one with `assay reward train --kind tuned`, or serve this one as it is"
        expected = "a tuned reward, whose head reads the last token behind the final norm"
        raise ModelError(explain(expected=expected, got=f"one of the kind {reward.kind}", do=do))
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=directory.parent) as beside:
            export_tuned(reward, Path(beside) / "whole")
            os.replace(Path(beside) / "whole", directory)
    except OSError as error:
        do = "free disk space, or name another directory"
        raise StorageError(explain(expected=f"to write {directory}", got=str(error), do=do)) from error


def export_tuned(reward: TunedReward, directory: Path) -> None:
    """Write a tuned reward of one member; its reward is (exported score - shift) / scale.

    Raises ModelError for several members, or a model without a one-label classifier; StorageError for a full disk.
    """
    if len(reward.members) != 1:
        do = "export members one by one, or average their weights with `warm_average` first"
        expected = "one member, as a classifier has one head"
        raise ModelError(explain(expected=expected, got=str(len(reward.members)), do=do))
    member = reward.members[0]
    install(reward.lm, member)
    model = copy.deepcopy(reward.lm.model).float()
    merged = model.merge_and_unload() if isinstance(model, PeftModel) else model
    scale = {"shift": member.shift, "scale": member.scale, "temperature": reward.temperature}
    _write(reward.lm, merged.model.state_dict(), member.head, merged.config, scale, directory)


def export_last_state(reward: LastStateReward, directory: Path) -> None:
    """Write a linear head on the last state; layers above the one it reads are left out.

    Raises ModelError for a model without a one-label classifier; StorageError for a full disk.
    """
    lm = reward.lm
    base = copy.deepcopy(lm.model).unload() if isinstance(lm.model, PeftModel) else lm.causal
    config = copy.deepcopy(base.config)
    above = tuple(f"layers.{number}." for number in range(reward.layer, config.num_hidden_layers))
    config.num_hidden_layers = reward.layer
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: reward.layer]
    state = {name: tensor.float() for name, tensor in base.model.state_dict().items() if not name.startswith(above)}
    head = torch.from_numpy(reward.head.astype(np.float32))
    _write(lm, state, head, config, {"shift": 0.0, "scale": 1.0, "temperature": 1.0}, directory)


def refuse_ensemble(reward: RewardEnsemble) -> NoReturn:
    """Raise ModelError with every reason why an ensemble on frozen features is no one-label classifier."""
    names = [member.view.name for member in reward.members]
    reasons = {
        f"it has {len(names)} members and a classifier one head": len(names) > 1,
        "a member sees the text's surface": any(name.endswith(SURFACE) for name in names),
        "a member reads the mean over the completion and not the last token": any("mean" in name for name in names),
        "members read states in front of the final norm and not behind it": True,
    }
    got = "; ".join(reason for reason, holds in reasons.items() if holds)
    do = "fit a head with `fit_last_state`, or fine-tune, and export that; or serve this one as it is"
    raise ModelError(explain(expected="a reward that a one-label classifier can hold", got=got, do=do))


def _write(
    lm: LanguageModel,
    state: dict[str, torch.Tensor],
    head: torch.Tensor,
    config: Any,
    scale: dict[str, float],
    directory: Path,
) -> None:
    config = copy.deepcopy(config)
    tokenizer = copy.deepcopy(lm.tokenizer)
    config.num_labels, config.dtype = 1, torch.float32
    config.pad_token_id = padding(lm)
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(config.pad_token_id)
    classifier = _classifier(config)
    getattr(classifier, classifier.base_model_prefix).load_state_dict(state)
    with torch.no_grad():
        classifier.score.weight.copy_(head[None])
    try:
        classifier.save_pretrained(str(directory))
        tokenizer.save_pretrained(str(directory))
        (directory / "reward.json").write_text(json.dumps(scale, sort_keys=True), encoding="utf-8")
    except OSError as error:
        do = "free disk space, or name another directory"
        raise StorageError(explain(expected=f"to write {directory}", got=str(error), do=do)) from error


def _classifier(config: Any) -> Any:
    """An empty one-label classifier. Raises ModelError where transformers has none with a plain linear head."""
    do = "serve the reward as it is, or take a model that transformers can classify with"
    expected = f"a sequence classifier with a linear head for {config.model_type!r}"
    try:
        classifier = AutoModelForSequenceClassification.from_config(config).float()
    except ValueError as error:
        raise ModelError(explain(expected=expected, got=str(error).splitlines()[0], do=do)) from error
    score = getattr(classifier, "score", None)
    if not isinstance(score, torch.nn.Linear) or score.bias is not None:
        raise ModelError(explain(expected=expected, got=type(classifier).__name__, do=do))
    return classifier


def padding(lm: LanguageModel) -> int:
    """A special token that never ends a completion. Raises ModelError when every one does."""
    known = [lm.tokenizer.pad_token_id, lm.tokenizer.unk_token_id, lm.tokenizer.bos_token_id]
    added = [number for number, token in sorted(lm.tokenizer.added_tokens_decoder.items()) if token.special]
    for number in [*known, *added]:
        if number is not None and number not in lm.eos_ids:
            return int(number)
    do = "add a padding token to the tokenizer"
    raise ModelError(explain(expected="a special token to pad with", got="only those that end a text", do=do))
