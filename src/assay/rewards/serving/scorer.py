"""Scorer: a stored reward made ready for other trainers. Takes pairs, yields rewards with all that is known of them.

What training may optimise stands on the training side of the firewall: a held-out rater is refused, and so is a watch
panel, which only ever stops a run. Spread and outlier flag are told beside the reward and never mixed into it here:
what the reward is made of was settled when it was trained.
"""

from collections.abc import Sequence
from datetime import datetime
from threading import Lock
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from assay.lm import LanguageModel, encode_pair, load
from assay.lm.chat import require_context
from assay.records.conversation import last_user_text
from assay.records.errors import FirewallError, ModelError, explain
from assay.records.policy import PolicyVersion
from assay.records.reward import RewardVersion
from assay.rewards.protocol import StoredReward, Texts
from assay.rewards.serving.exchange import Pair
from assay.rewards.stored import open_stored
from assay.storage import Workspace
from assay.storage.firewall import Registration

WATCH_PANEL = "watch-panel"


class Scored(NamedTuple):
    """Scores of n pairs: `reward` as trained, `members` [n, k] with their `mean` and s.d. `spread`, `is_outlier`.

    `probability` is the calibrated chance that people prefer the completion to one whose reward, before any shaping, is
    0: about the average reference completion; of a cost, that the completion is allowed. Every field but `members` is
    [n].
    """

    reward: np.ndarray
    probability: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    is_outlier: np.ndarray
    members: np.ndarray


class RewardScorer:
    """A reward, with the aggregation, shaping and calibration it was trained with, and the model that reads for it.

    One thread at a time scores, the others wait.
    """

    def __init__(self, reward: StoredReward, lm: LanguageModel, *, name: str = "reward") -> None:
        self.reward, self.lm, self.name = reward, lm, name
        self._lock = Lock()

    def score(self, pairs: Sequence[Pair]) -> Scored:
        """Scores of all pairs. Raises InputError that lists every pair longer than the model's context."""
        prompts, completions = [pair.prompt for pair in pairs], [pair.completion for pair in pairs]
        with self._lock:  # neither the tokenizer nor the hooks on the model's layers bear two threads at once
            self._require_context(pairs)
            texts, plain = Texts(self.lm, prompts, completions), self.reward.unshaped()
            scores = self.reward.score_on(texts)
            unshaped = scores.reward if plain is self.reward else plain.score_on(texts).reward
        return Scored(
            reward=scores.reward,
            probability=np.asarray(expit(self.reward.calibrator.logits(unshaped))),
            mean=scores.members.mean(1),
            spread=scores.disagreement,
            is_outlier=scores.outlier,
            members=scores.members,
        )

    def _require_context(self, pairs: Sequence[Pair]) -> None:
        lengths = (
            (f"row {row}, to {last_user_text(prompt)[:60]!r}", encode_pair(self.lm, prompt, completion).length)
            for row, (prompt, completion) in enumerate(pairs)
        )
        require_context(self.lm, lengths, do="shorten these and send all again; nothing was scored")


def open_scorer(workspace: Workspace, reward: str, *, now: datetime, model: str | None = None) -> RewardScorer:
    """The stored reward of this id, or its first digits, ready to be optimised against.

    `model` says where the backbone lies if it moved. Raises FirewallError for a reward that judges or watches,
    ModelError for other weights than the reward was trained on, StorageError where the reward is missing or damaged.
    """
    version = workspace.records.get(RewardVersion, reward)
    if version.name == WATCH_PANEL:
        do = "serve the proxy; a run that is rewarded by its monitor learns to evade it"
        raise FirewallError(explain(expected="a reward to optimise", got=f"the {WATCH_PANEL}", do=do))
    workspace.firewall.register(Registration(created_at=now, side="training", identity=version.identity))
    workspace.artifacts.verify(version.artifact)
    references = [policy for policy in workspace.records.all(PolicyVersion) if policy.method == "reference"]
    lm = load(model or (references[-1].base_model if references else "default"))
    if lm.id != version.backbone:
        got, do = f"weights {lm.id[:12]} in {lm.source!r}", "name the model that the reward was trained on"
        raise ModelError(explain(expected=f"the backbone {version.backbone[:12]}", got=got, do=do))
    return RewardScorer(open_stored(workspace.artifacts.path(version.artifact), lambda: lm), lm, name=version.id)
