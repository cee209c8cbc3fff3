"""Config: what one run of the walk is told. A recipe is this as YAML; unknown keys fail, all faults come together."""

import re
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from assay.alignment import (
    BestOfNSftSettings,
    DpoSettings,
    GkdSettings,
    GrpoSettings,
    OnlineDpoSettings,
    RolloutSettings,
    SftSettings,
)
from assay.alignment.settings import PpoSettings
from assay.feedback import Folds
from assay.preferences import AGGREGATORS
from assay.records.errors import ConfigError
from assay.records.record import Value, digest
from assay.rewards.composite import read_parts
from assay.rewards.kinds import RewardChoice

HELD_OUT_REWARD = "held-out-reward"
TAKEN = ("learnt", "proxy", "plain", "watch", "watch-panel", HELD_OUT_REWARD)
"""Names of rewards that no further one can have."""


def reward_name_fault(name: str) -> str | None:
    """What was expected of the name of a further reward, or None where it can be one."""
    if re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name) and name not in TAKEN:
        return None
    return f"a name of small letters, digits, - and _, none of {', '.join(TAKEN)}"


class SamplingConfig(Value):
    """How completions are sampled."""

    system_prompt: str | None = None
    """System message put before each prompt of the demo; imported prompts keep their own."""
    candidates: int = Field(default=3, ge=2)
    """Completions a prompt that the simulated panel compares."""
    max_tokens: int = Field(default=64, ge=1)
    """Tokens of a sampled completion."""


class FeedbackConfig(Value):
    """Where judgements come from."""

    source: Literal["simulated", "file"] = "file"
    """`file` imports judgements of people; `simulated` lets the declared panel judge sampled completions."""
    judgements: Path | None = None
    """File to import: jsonl, JSON list or parquet, also gzipped; the format is detected."""
    demonstrations: Path | None = None
    """File with demonstrations to import."""
    folds: Folds = Folds()
    """How prompts and annotators are divided."""
    judgements_per_pair: int = Field(default=3, ge=1)
    """Judgements a pair of the simulated panel."""
    gold_scale: float = Field(default=1.0, gt=0)
    """Simulated panel: how strongly it feels quality, in logits a unit of gold at temperature 1."""
    bias_scale: float = Field(default=1.0, ge=0)
    """Simulated panel: multiplies its pulls towards length and flattery."""


class AuditConfig(Value):
    """A panel that compares a few of the policy's completions with the reference's at each checkpoint."""

    panel: Literal["simulated", "command"] = "command"
    """Who looks: a program of your own, or in a simulated world three people who judge nothing else."""
    command: tuple[str, ...] = ()
    """The program with its arguments: items as JSON lines on its input, an answer a line on its output."""
    items: int = Field(default=24, ge=1)
    """Items a checkpoint, at most one for each sampled completion."""
    timeout_s: float = Field(default=3600.0, gt=0)
    """Seconds that the program may take for a checkpoint."""

    @model_validator(mode="after")
    def _somebody_looks(self) -> Self:
        if (self.panel == "command") != bool(self.command):
            raise ValueError("expected a command with panel command, and none with panel simulated")
        return self


class AlignmentConfig(Value):
    """Which methods run, in this order; what is absent is skipped."""

    sft: SftSettings | None = None
    """Fine-tune on demonstrations first."""
    dpo: DpoSettings | None = None
    """DPO on the preferences of people."""
    online_dpo: OnlineDpoSettings | None = None
    """Push the policy against the learnt reward, guarded."""
    grpo: GrpoSettings | None = None
    """Push the policy against the learnt reward by policy gradients, guarded."""
    ppo: PpoSettings | None = None
    """Push the policy against the learnt reward with a critic, guarded."""
    best_of_n_sft: BestOfNSftSettings | None = None
    """Fine-tune on the learnt reward's pick of n completions, guarded."""
    gkd: GkdSettings | None = None
    """Distil earlier policies into one on its own samples, guarded."""
    rollouts: RolloutSettings | None = None
    """A server that draws the completions of the online methods; null samples in this process."""
    unguarded_rounds: int = Field(default=0, ge=0)
    """Also run `online_dpo` for so many rounds on a single reward, without monitors, to show what happens."""
    max_preferences: int | None = Field(default=None, ge=8)
    """Use at most so many preferences in DPO, chosen by the seed."""
    max_prompts: int = Field(default=32, ge=2)
    """Training prompts that policies are sampled and measured on."""
    best_of_n: int = Field(default=4, ge=1)
    """Candidates a prompt of best-of-n against the ensemble; 1 leaves it out."""
    reward_parts: dict[str, dict[str, Any]] | None = None
    """Parts of the reward that is optimised, by name with weight and what each is; None is the learnt reward alone."""
    audit: AuditConfig | None = None
    """Have a panel look at each checkpoint of a watched run; None asks nobody."""
    monitors: dict[str, dict[str, float | int | str]] | None = None
    """Monitors by name with their settings; None is all of them with their defaults."""

    @field_validator("reward_parts")
    @classmethod
    def _parts_can_be(cls, value: dict[str, dict[str, Any]] | None) -> dict[str, dict[str, Any]] | None:
        if value is not None:
            try:
                read_parts(value)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return value


class EvaluationConfig(Value):
    """How a policy is judged."""

    max_prompts: int = Field(default=64, ge=4)
    """Held-out prompts at most."""
    max_tokens: int = Field(default=64, ge=1)
    """Tokens of a completion."""
    temperature: float = Field(default=0.0, ge=0)
    """Sampling temperature of policy and reference; 0 compares their most likely answers, free of sampling noise."""
    seeds: tuple[int, ...] = (1, 2)
    """Seeds of the repeated runs that give the noise floor of the regression checks."""


class RunConfig(Value):
    """One run of the walk."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")
    """Name of the run; its default directory is runs/NAME."""
    model: str = "default"
    """`default` (SmolLM2-135M-Instruct), a local directory, or a hub id."""
    seed: int = 0
    """Seed of everything random."""
    feedback: FeedbackConfig
    sampling: SamplingConfig = SamplingConfig()
    aggregation: str = "joint"
    """How judgements become the preferences that train; those that judge are always aggregated by `joint`."""
    traits: Path | None = None
    """What groups people whose judgements train: a CSV file, or `declared`; None makes no minority report."""
    reward: RewardChoice = RewardChoice()
    further_rewards: dict[str, dict[str, Any]] | None = None
    """Rewards to fit beside the proxy: by name, the keys of `reward`."""
    max_reward_preferences: int | None = Field(default=None, ge=8)
    """Fit the reward on at most so many preferences, chosen by the seed."""
    alignment: AlignmentConfig = AlignmentConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    release: Literal["simulated", "people"] = "people"
    """`simulated` lets two simulated approvers decide and serves the result; `people` leaves it to people."""

    @field_validator("aggregation")
    @classmethod
    def _aggregation_exists(cls, value: str) -> str:
        if value not in AGGREGATORS:
            raise ValueError(f"expected one of {', '.join(sorted(AGGREGATORS))}")
        return value

    @field_validator("further_rewards")
    @classmethod
    def _further_rewards_can_be(cls, value: dict[str, dict[str, Any]] | None) -> dict[str, dict[str, Any]] | None:
        faults = []
        for name, given in (value or {}).items():
            fault = reward_name_fault(name)
            faults += [f"{name!r}: expected {fault}"] if fault else []
            try:
                RewardChoice.model_validate(given)
            except ValidationError as error:
                faults += [f"{name}.{_fault(one)}" for one in error.errors()]
        if faults:
            raise ValueError("; ".join(faults))
        return value

    @property
    def choices(self) -> dict[str, RewardChoice]:
        """The further rewards, by name."""
        return {name: RewardChoice.model_validate(given) for name, given in (self.further_rewards or {}).items()}

    @property
    def hash(self) -> str:
        """Hash of the whole configuration."""
        return digest(self.model_dump(mode="json"))


def read_config(path: Path, *, overrides: dict[str, Any] | None = None) -> RunConfig:
    """A run's configuration from YAML; `overrides` (dotted keys) win. Raises ConfigError with all faults."""
    return parse_config(override(read_settings(path), overrides or {}), where=str(path))


def read_settings(path: Path) -> dict[str, Any]:
    """Plain settings from YAML. Raises ConfigError for a file that is not there or holds no mapping."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        do = "name a file of settings, such as recipes/pandalm.yaml"
        raise ConfigError(f"expected settings in {path}; got {error.strerror}; {do}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected YAML in {path}; got {' '.join(str(error).split())}; mend the file") from error
    if not isinstance(data, dict):
        raise ConfigError(f"expected a mapping of settings in {path}; got {type(data).__name__}; mend the file")
    return data


def parse_config(data: dict[str, Any], *, where: str) -> RunConfig:
    """A run's configuration from plain data. Raises ConfigError with every fault."""
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        lines = "\n".join(f"  {_fault(one)}" for one in error.errors())
        raise ConfigError(f"expected settings as in docs/configuration.md; mend these in {where}:\n{lines}") from error


def override(data: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Set dotted keys in plain data, in place, and return it. Raises ConfigError for a key below a single value."""
    for key, value in overrides.items():
        place = data
        *path, last = key.split(".")
        for part in path:
            if place.get(part) is None:
                place[part] = {}
            place = place[part]
            if not isinstance(place, dict):
                raise ConfigError(
                    f"expected settings below {part!r} of --set {key}; got a single value; name another key"
                )
        place[last] = value
    return data


def _fault(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key"
    return f"{place}: {error['msg']}; got {error.get('input')!r}"
