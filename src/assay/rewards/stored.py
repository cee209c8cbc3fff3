"""Stored: opens whatever kind of reward a directory holds, by the tag in its `reward.json`.

    (none)                      ensemble: heads on frozen states, one estimate each (`RewardEnsemble`)
    attributes, groups, cost    heads that each speak of a thing of their own (`CalibratedHeads`)
    tuned                       a language model's own weights (`TunedReward`)

A tuned reward needs the model that it was trained from, and has it for itself from then on; the others are read by
whatever model they are scored with.
"""

import json
from collections.abc import Callable
from pathlib import Path

from assay.lm import LanguageModel
from assay.records.errors import StorageError, explain
from assay.rewards.calibrated_heads import FILE, MODELS, CalibratedHeads
from assay.rewards.ensemble import RewardEnsemble
from assay.rewards.protocol import StoredReward
from assay.rewards.tuning.tuned import TunedReward


def open_stored(directory: Path, open_model: Callable[[], LanguageModel]) -> StoredReward:
    """The reward in a directory. `open_model` is called for a tuned one, and must give a model that nobody else uses.

    Raises StorageError when the directory holds no reward of a known kind, ModelError for a tuned one of another model.
    """
    kind = _kind(directory)
    if kind == "ensemble":
        return RewardEnsemble.open(directory)
    if kind == "tuned":
        return TunedReward.open(open_model(), directory)
    if kind in MODELS:
        return CalibratedHeads.open(directory)
    do = "open it with the version of Assay that made it"
    expected = f"a reward of one of the kinds ensemble, tuned, {', '.join(MODELS)} in {directory}"
    raise StorageError(explain(expected=expected, got=repr(kind), do=do))


def _kind(directory: Path) -> str:
    try:
        plain = json.loads((directory / FILE).read_text(encoding="utf-8"))
        return str(plain.get("kind", "ensemble"))
    except (OSError, ValueError, AttributeError) as error:
        do = "train it again with `assay reward train`"
        raise StorageError(explain(expected=f"a reward in {directory}", got=str(error), do=do)) from error
