"""Settings: what a run of the trainer is told, with the names that users know from TRL."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from assay.alignment.estimators import AdvantageScale, KlEstimator
from assay.alignment.losses.preference import REFERENCE_FREE, WITHOUT_MARGIN, Knobs, LossType, sft_weight_of
from assay.alignment.teachers import TeacherMean
from assay.alignment.trackers import TrackerName
from assay.lm import LoraSettings
from assay.lm.step_size import Schedule
from assay.records.record import Value
from assay.rewards.features import surface_names


class TrainerSettings(Value):
    """Settings of the step loop."""

    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak step size of AdamW."""
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the step size rises from zero."""
    lr_scheduler_type: Schedule = "linear"
    """After the warm-up: `constant` holds the step size; `linear`, or `cosine` along half a cosine, ends at zero."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after so many steps, whatever epochs or rounds say."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's decay of the adapter weights."""
    report_to: tuple[TrackerName, ...] = ("tensorboard",)
    """Trackers that are told the run's numbers: `tensorboard`, `mlflow` and `wandb` (extras); [] for none."""
    save_steps: int = Field(default=10, ge=1)
    """A checkpoint of everything needed to resume is kept after every so many steps."""
    save_total_limit: int = Field(default=1, ge=1)
    """How many of them are kept, the newest."""
    lora: LoraSettings = LoraSettings()
    """Size and place of the adapter."""


class WatchedSettings(TrainerSettings):
    """A run that a watch panel scores on the way."""

    load_best_model_at_end: bool = False
    """Keep the checkpoint that the watch panel scores best, of those that the monitors allow; not the last of them."""


class SampledSettings(WatchedSettings):
    """A run that learns from the policy's own samples, round after round."""

    rounds: int = Field(default=6, ge=1)
    """How many rounds of sampling and steps, unless a monitor stops the run."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Completions a step."""
    max_completion_length: int = Field(default=48, ge=1)
    """Tokens of a sampled completion."""
    is_guarded: bool = True
    """Whether monitors may stop the run. Off only to show what happens without them."""


class RewardedSettings(SampledSettings):
    """A run that pushes its samples against the learnt reward."""

    aggregation: str = "uwo"
    """How the ensemble's members become the reward."""
    support_epsilon: float | None = Field(default=None, gt=0, lt=1)
    """Completions with a token that the reference gives less than this earn no more than the worst of their draw."""


class SftSettings(TrainerSettings):
    """Supervised fine-tuning on demonstrations."""

    num_train_epochs: int = Field(default=2, ge=1)
    """Passes over the demonstrations."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Demonstrations a step."""


class DpoSettings(WatchedSettings):
    """DPO, or another loss on preferences that people gave, with demonstrations mixed in where that is declared."""

    loss_type: LossType = "sigmoid"
    """The loss, by TRL's name; `simpo`, `cpo` and `orpo` need no reference."""
    beta: float = Field(default=0.1, gt=0)
    """Strength of the pull towards the reference."""
    kl_raise_factor: float = Field(default=2.0, gt=1)
    """Where a monitor asks to raise the KL coefficient, `beta` is multiplied by this, once a checkpoint."""
    kl_raise_limit: float = Field(default=8.0, ge=1)
    """It is raised to at most so many times the `beta` that the run began with."""
    num_train_epochs: int = Field(default=1, ge=1)
    """Passes over the preferences."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Preferences a step."""
    measure_steps: int = Field(default=8, ge=1)
    """Sample and measure the policy, and let the monitors look, after every so many steps."""
    soft_labels: bool = True
    """Use the aggregation's probability as label; otherwise each preference counts as certain."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Share of the labels taken to be turned round: softens them (cDPO), or is taken back out of them (`robust`)."""
    use_weights: bool = False
    """Weigh each preference by the aggregation's weight over the mean weight; meant for hard labels."""
    margin_scale: float = Field(default=0.0, ge=0)
    """Ask the chosen completion to win by this times the preference's margin in logits; meant for hard labels."""
    surface_offset: tuple[str, ...] = ()
    """Surface columns whose share in people's choices the policy shall not learn (R-DPO, fitted on the labels):
    log_words, ends_sentence, log_lines, list_marks, exclamations, questions, mean_word_length."""
    reference_free: bool = False
    """Count the reference as uniform, so that nothing pulls the policy back to it."""
    sft_weight: float | None = Field(default=None, ge=0)
    """Weight of the chosen completions' NLL in nats a token; None is the loss's own: 1 in rpo, orpo and cpo, else 0."""
    demonstrations_share: float = Field(default=0.0, ge=0, le=0.9)
    """Share of a step's rows that are demonstrations, beside all its preferences."""
    demonstrations_weight: float = Field(default=1.0, gt=0)
    """Weight of the demonstrations' NLL in nats a token."""
    simpo_gamma: float = Field(default=0.5, ge=0)
    """`simpo`: margin in logits by which every pair should be won."""
    desirable_weight: float = Field(default=1.0, gt=0)
    """`kto`: weight of the chosen completions."""
    undesirable_weight: float = Field(default=1.0, gt=0)
    """`kto`: weight of the rejected completions."""
    reward_limit: float = Field(default=10.0, gt=0)
    """`chipo`: differences of the implicit reward beyond twice this, in logits, give no gradient."""
    max_completion_length: int = Field(default=64, ge=1)
    """Tokens of a sampled completion when the policy is measured."""

    @field_validator("surface_offset")
    @classmethod
    def _columns_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return surface_names(value)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.has_margin and self.loss_type in WITHOUT_MARGIN:
            name = "margin_scale" if self.margin_scale else "surface_offset"
            raise ValueError(f"{name} has no place in {self.loss_type}, which has a target of its own")
        if self.reference_free and self.loss_type in ("chipo", "kto"):
            raise ValueError(f"{self.loss_type} is defined by the ratio to a reference, so it cannot be reference_free")
        return self

    @property
    def has_margin(self) -> bool:
        """Whether a pair has more to win, or less, than its label alone asks for."""
        return bool(self.margin_scale or self.surface_offset)

    @property
    def has_reference(self) -> bool:
        """Whether the reference enters the loss."""
        return not self.reference_free and self.loss_type not in REFERENCE_FREE

    @property
    def demonstrations_a_step(self) -> int:
        """Demonstrations beside a full batch of preferences: at least one where a share is declared."""
        share = self.demonstrations_share
        return max(1, round(self.per_device_train_batch_size * share / (1 - share))) if share else 0

    @property
    def weight_of_sft(self) -> float:
        """`sft_weight`, or the loss's own."""
        return sft_weight_of(self.loss_type) if self.sft_weight is None else self.sft_weight

    def knobs(self, beta: float) -> Knobs:
        """What turns the loss, at the beta that monitors may have raised."""
        return Knobs(
            beta=beta,
            label_smoothing=self.label_smoothing,
            simpo_gamma=self.simpo_gamma,
            desirable_weight=self.desirable_weight,
            undesirable_weight=self.undesirable_weight,
            reward_limit=self.reward_limit,
        )


class ConstraintSettings(Value):
    """One limit that a run must keep, held by a multiplier that a controller moves once a draw."""

    name: str = Field(min_length=1)
    """What is limited: `kl`, `reward` (a proxy point), `words`, `rules`, or a stored reward (a cost) by name or id."""
    limit: float
    """The mean over a draw that must not be passed, in the value's own unit; nats a completion for `kl`."""
    direction: Literal["at_most", "at_least"] = "at_most"
    """Which side of the limit is allowed."""
    k_p: float = Field(default=0.1, ge=0)
    """How strongly the multiplier answers to the violation itself."""
    k_i: float = Field(default=0.05, ge=0)
    """How much of the violation is added up at each draw; alone it is plain dual ascent."""
    k_d: float = Field(default=0.0, ge=0)
    """How strongly it answers to a rise of the violation."""
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the past in the violation that the first and the last see."""
    start: float = Field(default=0.0, ge=0)
    """The multiplier before the first draw."""
    bound: float = Field(default=10.0, gt=0)
    """The multiplier never rises above this."""

    @model_validator(mode="after")
    def _controls(self) -> Self:
        if not self.k_p and not self.k_i:
            raise ValueError("expected k_p or k_i above 0, or the multiplier never moves")
        if self.start > self.bound:
            raise ValueError(f"expected a start up to the bound of {self.bound:g}; got {self.start:g}")
        if self.name == "kl" and self.direction == "at_least":
            raise ValueError("expected at_most for kl: nothing is gained by leaving the reference")
        return self


class OnlineDpoSettings(RewardedSettings):
    """Online DPO: each round samples the policy, lets a reward order the samples, and takes DPO steps on the pairs."""

    beta: float = Field(default=0.1, gt=0)
    """Strength of the pull towards the reference."""
    kl_raise_factor: float = Field(default=2.0, gt=1)
    """Where a monitor asks to raise the KL coefficient, `beta` is multiplied by this, once a checkpoint."""
    kl_raise_limit: float = Field(default=8.0, ge=1)
    """It is raised to at most so many times the `beta` that the run began with."""
    num_generations: int = Field(default=2, ge=2)
    """Completions a prompt and round; the best and the worst make a pair."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Pairs a step."""
    epochs_per_round: int = Field(default=1, ge=1)
    """Passes over a round's pairs."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature."""
    aggregation: str = "uwo"
    """How the ensemble's members become the reward that orders the samples."""
    constraints: tuple[ConstraintSettings, ...] = ()
    """Limits on costs that multipliers hold; none on `kl`, which the best-against-worst loss does not hold down."""
    rules: tuple[dict[str, Any], ...] = ()
    """Rules whose kept share a constraint on `rules` limits, each with its name as `rule` and its settings."""

    @model_validator(mode="after")
    def _constraints_fit(self) -> Self:
        check_constraints(self.constraints, self.rules)
        if any(one.name == "kl" for one in self.constraints):
            raise ValueError("constraints: online_dpo learns from hard labels, whose KL no beta holds; take grpo")
        return self


class GrpoSettings(RewardedSettings):
    """GRPO and its kin: each round draws a group of completions a prompt, and each learns from how it did in its group.

    Completions are drawn at temperature 1, for which alone the log-probabilities of the loss are those of the draw.
    """

    loss_type: Literal["grpo", "dapo", "dr_grpo", "rloo", "reinforce"] = "grpo"
    """The loss: the first three weigh tokens differently and take KL in the loss; `rloo`, `reinforce` in the reward."""
    kl_coef: float = Field(default=0.04, ge=0)
    """Strength of the KL penalty towards the reference."""
    kl_estimator: KlEstimator = "k3"
    """Estimator of the KL in the loss; k2 alone has the gradient of the KL, k1 has none there."""
    kl_target: float | None = Field(default=None, gt=0)
    """KL in nats a completion towards which `kl_coef` is adapted after each round; None leaves it alone."""
    kl_horizon: float = Field(default=1000.0, gt=0)
    """Completions over which the adaptation acts; fewer is faster."""
    kl_raise_factor: float = Field(default=2.0, gt=1)
    """Where a monitor asks to raise the KL coefficient, it is multiplied by this, once a checkpoint."""
    kl_raise_limit: float = Field(default=8.0, ge=1)
    """Monitors raise it to at most so many times its start, and the adaptation moves it by at most this factor."""
    epsilon_low: float = Field(default=0.2, gt=0, le=1)
    """Probability ratios below 1 less this give no gradient that lowers them further."""
    epsilon_high: float = Field(default=0.2, gt=0)
    """Probability ratios above 1 plus this give no gradient that raises them further."""
    scale_rewards: AdvantageScale = "group"
    """`grpo`, `dapo`, `dr_grpo`: divide by the s.d. of the group, of the batch, or not at all."""
    num_generations: int = Field(default=4, ge=2)
    """Completions a prompt and round."""
    num_iterations: int = Field(default=1, ge=1)
    """Passes over a round's completions."""
    per_device_train_batch_size: int = Field(default=16, ge=1)
    """Completions a step."""
    constraints: tuple[ConstraintSettings, ...] = ()
    """Limits on costs, on the reward or on the KL that multipliers hold."""
    rules: tuple[dict[str, Any], ...] = ()
    """Rules whose kept share a constraint on `rules` limits, each with its name as `rule` and its settings."""

    @model_validator(mode="after")
    def _kl_acts(self) -> Self:
        check_constraints(self.constraints, self.rules)
        is_held = any(one.name == "kl" for one in self.constraints)
        if is_held and self.kl_target is not None:
            raise ValueError("kl_target and a constraint on kl would both move the KL coefficient; take one of them")
        if (self.kl_coef or is_held) and self.kl_estimator == "k1" and self.loss_type in ("grpo", "dapo", "dr_grpo"):
            raise ValueError("kl_estimator k1 has no gradient in the loss; take k2 or k3, or rloo or reinforce")
        if self.kl_target is not None and not self.kl_coef:
            raise ValueError("kl_target adapts kl_coef, which is 0; give it a start")
        return self


class PpoSettings(RewardedSettings):
    """PPO: policy gradients against a critic, a value head on the policy's own states, with KL in the reward.

    Completions are drawn at temperature 1, for which alone the log-probabilities of the loss are those of the draw.
    """

    kl_coef: float = Field(default=0.05, ge=0)
    """Price of a nat of KL towards the reference, in the reward of each token."""
    kl_raise_factor: float = Field(default=2.0, gt=1)
    """Where a monitor asks to raise the KL coefficient, it is multiplied by this, once a checkpoint."""
    kl_raise_limit: float = Field(default=8.0, ge=1)
    """It is raised to at most so many times its start."""
    gamma: float = Field(default=1.0, gt=0, le=1)
    """Discount of later rewards, a token."""
    lam: float = Field(default=0.95, ge=0, le=1)
    """GAE: 1 trusts the returns, 0 the critic alone."""
    epsilon_low: float = Field(default=0.2, gt=0, le=1)
    """Probability ratios below 1 less this give no gradient that lowers them further."""
    epsilon_high: float = Field(default=0.2, gt=0)
    """Probability ratios above 1 plus this give no gradient that raises them further."""
    value_clip: float = Field(default=0.2, gt=0)
    """Values that moved further than this since the draw give no gradient that moves them on."""
    value_learning_rate: float = Field(default=1e-2, gt=0)
    """Step size of the critic."""
    num_generations: int = Field(default=2, ge=1)
    """Completions a prompt and round."""
    num_iterations: int = Field(default=2, ge=1)
    """Passes over a round's completions."""
    per_device_train_batch_size: int = Field(default=16, ge=1)
    """Completions a step."""


def check_constraints(constraints: Sequence[ConstraintSettings], rules: Sequence[dict[str, Any]]) -> None:
    """Raise ValueError for two constraints on one thing, or rules without a constraint on them and the other way."""
    names = [one.name for one in constraints]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"constraints: expected each thing limited once; got {', '.join(twice)} twice")
    if ("rules" in names) != bool(rules):
        raise ValueError("constraints: expected `rules` beside a constraint on rules, and one on them beside `rules`")


class BestOfNSftSettings(SampledSettings):
    """Best-of-n distillation: each round samples n completions a prompt, and fine-tunes on the reward's pick."""

    rounds: int = Field(default=1, ge=1)
    """How many rounds of sampling and steps, unless a monitor stops the run; one is plain best-of-n distillation."""
    num_generations: int = Field(default=8, ge=2)
    """Completions a prompt and round, out of which one is picked."""
    epochs_per_round: int = Field(default=2, ge=1)
    """Passes over a round's picks."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Picks a step."""
    measure_steps: int = Field(default=8, ge=1)
    """Sample and measure the policy, and let the monitors look, after every so many steps."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature."""
    aggregation: str = "uwo"
    """How the ensemble's members become the reward that picks."""


class GkdSettings(SampledSettings):
    """On-policy distillation (GKD): the student is moved towards its teachers at every token of its own samples.

    Completions are drawn at temperature 1, so that KL and entropy are those of the policy.
    """

    teachers: tuple[str, ...] = ("guarded",)
    """Policies by name (the latest of it) or id; several teach together."""
    teacher_mean: TeacherMean = "geometric"
    """How several become one: `geometric` keeps what none thinks unlikely, `arithmetic` what one would say."""
    jsd_beta: float = Field(default=0.5, ge=0, le=1)
    """0 covers all that the teachers do (forward KL), 1 seeks their mode (reverse KL), between lies the JSD."""
    loss_temperature: float = Field(default=1.0, gt=0)
    """Temperature at which student and teachers are compared."""
    num_generations: int = Field(default=2, ge=1)
    """Completions a prompt and round."""
    epochs_per_round: int = Field(default=1, ge=1)
    """Passes over a round's completions."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Completions a step."""

    @field_validator("teachers")
    @classmethod
    def _somebody_teaches(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("expected at least one teacher, each named once")
        return value
