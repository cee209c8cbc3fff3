"""Functions: a reward as the Python function that TRL's trainers (`reward_funcs`) and verl (`compute_score`) call."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assay.lm import LanguageModel
from assay.records.errors import InputError, explain
from assay.rewards.protocol import StoredReward
from assay.rewards.serving.exchange import Said, read_pairs
from assay.rewards.serving.scorer import RewardScorer

NAME = "assay_reward"


def reward_function(reward: StoredReward, lm: LanguageModel, *, name: str = NAME) -> Callable[..., list[float]]:
    """The reward as one of TRL's `reward_funcs`, with aggregation and shaping as trained."""
    return trl_function(RewardScorer(reward, lm), name=name)


def trl_function(scorer: RewardScorer, *, name: str = NAME) -> Callable[..., list[float]]:
    """A reward function of TRL: prompts and completions, texts or messages, and any further columns, to rewards.

    Where the trainer lets it log (TRL 1.x), the mean spread of the members and the share of outliers go to its
    metrics as `NAME/spread` and `NAME/outlier_rate`, and each completion's to its table.
    """

    def score(
        prompts: Sequence[Said],
        completions: Sequence[Said],
        *,
        log_metric: Callable[[str, float], object] | None = None,
        log_extra: Callable[[str, list[Any]], object] | None = None,
        **_columns: object,
    ) -> list[float]:
        scored = scorer.score(read_pairs(scorer.lm, prompts, completions))
        if log_metric is not None and len(prompts):
            log_metric(f"{name}/spread", float(scored.spread.mean()))
            log_metric(f"{name}/outlier_rate", float(scored.is_outlier.mean()))
        if log_extra is not None:
            log_extra(f"{name}/spread", scored.spread.tolist())
            log_extra(f"{name}/is_outlier", scored.is_outlier.tolist())
        return [float(reward) for reward in scored.reward]

    score.__name__ = score.__qualname__ = name
    return score


def verl_function(scorer: RewardScorer, *, prompt_key: str = "prompt") -> Callable[..., dict[str, float]]:
    """A `custom_reward_function` of verl, which is called once a completion.

    verl passes no prompt, so the rows of its data set must carry it, a text or messages, as `extra_info[prompt_key]`.
    The reply's `score` is the reward; verl averages the rest into its metrics.
    """
    score_all = verl_batch_function(scorer, prompt_key=prompt_key)

    def compute_score(
        data_source: object,
        solution_str: str,
        ground_truth: object,
        extra_info: Mapping[str, Any] | None = None,
        **_settings: object,
    ) -> dict[str, float]:
        return score_all([data_source], [solution_str], [ground_truth], [extra_info or {}])[0]

    return compute_score


def verl_batch_function(scorer: RewardScorer, *, prompt_key: str = "prompt") -> Callable[..., list[dict[str, float]]]:
    """The same for verl's `batch` reward manager: one call a batch, and so one pass through the backbone."""

    def compute_score(
        data_sources: Sequence[object],
        solution_strs: Sequence[str],
        ground_truths: Sequence[object],
        extra_infos: Sequence[Mapping[str, Any]],
        **_settings: object,
    ) -> list[dict[str, float]]:
        without = [row for row, extra in enumerate(extra_infos) if extra.get(prompt_key) is None]
        if without:
            do = "add it to the rows of the data set"
            got = f"rows without it: {without[:20]}"
            raise InputError(explain(expected=f"the prompt in extra_info[{prompt_key!r}]", got=got, do=do))
        prompts = [_plain(extra[prompt_key]) for extra in extra_infos]
        scored = scorer.score(read_pairs(scorer.lm, prompts, solution_strs))
        columns = {"score": scored.reward, "spread": scored.spread, "is_outlier": scored.is_outlier}
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, map(float, row), strict=True)) for row in rows]

    return compute_score


def _plain(prompt: Any) -> Said:
    """A prompt as read from parquet, where a list of messages is an array."""
    return prompt if isinstance(prompt, str) else list(prompt)
