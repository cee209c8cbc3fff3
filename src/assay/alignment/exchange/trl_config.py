"""TRL config: takes the keys of a TRL 1.16 configuration, yields settings of a run here that mean the same.

What TRL would take as default counts as said: a file that names no `learning_rate` asks for TRL's. Nothing is guessed:
a key that would change what is learnt, and has no counterpart, is refused, all of them together; what is left out
because it changes nothing, or runs somewhat differently, is told.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from assay.alignment.exchange.trl_keys import DIFFERENT, IGNORED, KNOWN, NEUTRAL, TAKEN, TRAINERS, WORKSPACE, Trainer
from assay.records.errors import ConfigError, explain

METHOD_OF: Mapping[Trainer, str] = {
    "sft": "sft",
    **dict.fromkeys(("dpo", "kto", "orpo", "cpo"), "dpo"),
    **dict.fromkeys(("grpo", "rloo"), "grpo"),
    "online_dpo": "online_dpo",
}
"""The method here that does what the trainer does."""
PEAK: Mapping[Trainer, float] = {**dict.fromkeys(TRAINERS, 1e-6), "sft": 2e-5, "online_dpo": 5e-7}
"""TRL's default of `learning_rate`."""
DPO_LOSSES = ("sigmoid", "hinge", "ipo", "robust", "sigmoid_norm")
"""Losses of TRL's DPO trainer that bear the same name here."""
GRPO_LOSSES = ("grpo", "dapo", "dr_grpo")


class TrlReading(NamedTuple):
    """Settings of `method`, the seed where one was named, and what became of the other keys.

    `ignored` and `workspace` are keys; `differences` are sentences.
    """

    method: str
    settings: dict[str, Any]
    seed: int | None
    ignored: tuple[str, ...]
    workspace: tuple[str, ...]
    differences: tuple[str, ...]


def read_trl(given: Mapping[str, Any], trainer: Trainer) -> TrlReading:
    """The run that a configuration of a TRL trainer asks for.

    Raises ConfigError that lists every key which is unknown, has no place in that trainer, or would change the meaning.
    """
    keys = _Keys({name: _number(value) for name, value in given.items()}, trainer)
    keys.check()
    settings = _step_loop(keys)
    settings |= {
        "sft": lambda _: {},
        "dpo": _dpo,
        "kto": _kto,
        "orpo": _orpo,
        "cpo": _cpo,
        "grpo": _grpo,
        "rloo": _rloo,
        "online_dpo": _online_dpo,
    }[trainer](keys)
    if keys.faults:
        lines = "\n".join(f"  {fault}" for fault in keys.faults)
        do = "take these keys out, or run it with TRL"
        raise ConfigError(f"expected a {trainer} configuration that means the same here; {do}:\n{lines}")
    seed = keys.get("seed")
    return TrlReading(
        METHOD_OF[trainer],
        settings,
        None if seed is None else int(seed),
        tuple(sorted(IGNORED.intersection(given))),
        tuple(sorted(WORKSPACE.intersection(given))),
        (*(f"{name}: {DIFFERENT[name]}" for name in sorted(DIFFERENT) if name in given), *keys.differences),
    )


class _Keys:
    """The given keys, with the faults and differences found on the way."""

    def __init__(self, given: dict[str, Any], trainer: Trainer) -> None:
        self._given, self.trainer = given, trainer
        self.faults: list[str] = []
        self.differences: list[str] = []

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a key, or TRL's default."""
        return self._given.get(name, default)

    def names(self, name: str) -> bool:
        """Whether a key was given."""
        return name in self._given

    def refuse(self, name: str, why: str) -> None:
        """Note that a key would change the meaning."""
        self.faults.append(f"{name}: {self.get(name)!r} {why}")

    def check(self) -> None:
        """Note every key that is unknown, misplaced, or has a value that changes the meaning."""
        for name, value in self._given.items():
            if name in TAKEN[self.trainer] or name in WORKSPACE | IGNORED or name in DIFFERENT:
                continue
            if name not in KNOWN:
                self.refuse(name, "is no key of TRL 1.16")
            elif name not in NEUTRAL:
                if value is not None:
                    self.refuse(name, f"has no place in a {self.trainer} configuration")
            elif not any(value is kept or value == kept for kept in NEUTRAL[name]):
                kept = " or ".join(repr(one) for one in NEUTRAL[name])
                self.refuse(name, f"would change what is learnt; only {kept} means the same here")


def _step_loop(keys: _Keys) -> dict[str, Any]:
    schedule = keys.get("lr_scheduler_type", "linear")
    if schedule not in ("linear", "cosine", "constant", "constant_with_warmup"):
        keys.refuse("lr_scheduler_type", "is no schedule here: linear, cosine, constant or constant_with_warmup")
    batch = keys.get("per_device_train_batch_size", 8) * keys.get("gradient_accumulation_steps", 1)
    found: dict[str, Any] = {
        "learning_rate": keys.get("learning_rate", PEAK[keys.trainer]),
        "lr_scheduler_type": "constant" if schedule == "constant_with_warmup" else schedule,
        "warmup_ratio": 0.0 if schedule == "constant" else _warmup(keys),
        "max_grad_norm": keys.get("max_grad_norm", 1.0),
        "weight_decay": keys.get("weight_decay", 0.0),
        "per_device_train_batch_size": batch,
        **_length(keys),
    }
    save = keys.get("save_steps", 500)
    if isinstance(save, int) and save >= 1:
        found["save_steps"] = save
    limit = keys.get("save_total_limit")
    if isinstance(limit, int) and limit >= 1:  # none means all to TRL, and the newest here
        found["save_total_limit"] = limit
    return found | _adapter(keys)


def _warmup(keys: _Keys) -> float:
    """The share of steps over which TRL warms up. `warmup_steps` below 1 is a share."""
    steps, limit = keys.get("warmup_steps", 0), keys.get("max_steps", -1)
    if keys.names("warmup_ratio"):
        return float(keys.get("warmup_ratio"))
    if steps < 1:
        return float(steps)
    if limit > 0:
        return float(steps / limit)
    keys.refuse("warmup_steps", "is a share of steps only beside max_steps; give a number below 1, or max_steps")
    return 0.0


def _length(keys: _Keys) -> dict[str, Any]:
    """How long the run is: `max_steps` overrules the epochs, and extends them where it must."""
    name = "num_train_epochs" if METHOD_OF[keys.trainer] in ("sft", "dpo") else "rounds"
    limit, epochs = keys.get("max_steps", -1), keys.get("num_train_epochs", 3)
    if limit > 0:
        return {"max_steps": int(limit), name: int(limit)}
    if epochs != int(epochs) or epochs < 1:
        keys.refuse("num_train_epochs", "is no whole number of passes; give max_steps")
    return {name: max(1, int(epochs))}


def _adapter(keys: _Keys) -> dict[str, Any]:
    wants = keys.get("use_peft")
    if wants is False:
        keys.refuse("use_peft", "would tune all weights; here an adapter is trained")
    if not wants:
        keys.differences.append("use_peft: an adapter is trained, where TRL would tune all weights")
        return {}
    if not keys.names("lora_dropout"):
        keys.differences.append("lora_dropout: adapters have no dropout, where TRL's default is 0.05")
    lora: dict[str, Any] = {"r": keys.get("lora_r", 16), "alpha": keys.get("lora_alpha", 32)}
    targets = keys.get("lora_target_modules")
    if targets not in (None, "all-linear", ["all-linear"]):
        lora["targets"] = [targets] if isinstance(targets, str) else list(targets)
    elif targets is None:
        keys.differences.append("lora_target_modules: all linear layers, where TRL leaves the choice to peft")
    return {"lora": lora}


def _dpo(keys: _Keys) -> dict[str, Any]:
    given, weights = keys.get("loss_type", ["sigmoid"]), keys.get("loss_weights")
    kinds = [given] if isinstance(given, str) else list(given)
    weights = [1.0] * len(kinds) if weights is None else [float(weight) for weight in weights]
    found: dict[str, Any] = {"beta": keys.get("beta", 0.1), "soft_labels": False}
    if len(kinds) == len(weights) == 2 and kinds[1] == "sft":
        found["sft_weight"] = weights[1]
    elif len(kinds) != 1 or len(weights) != 1:
        keys.refuse("loss_type", "mixes losses; here one may be mixed with sft alone")
    if weights[0] != 1:
        keys.refuse("loss_weights", "scales the loss; its first weight must be 1")
    if kinds[0] not in DPO_LOSSES:
        keys.refuse("loss_type", f"is no loss here; of TRL's there are {', '.join(DPO_LOSSES)}")
    smoothing = keys.get("label_smoothing", 0.0)
    if kinds[0] == "robust":
        found["label_smoothing"] = smoothing
    elif smoothing:
        keys.differences.append(f"label_smoothing: left out, as TRL's {kinds[0]} loss does not read it")
    return found | {"loss_type": kinds[0]}


def _kto(keys: _Keys) -> dict[str, Any]:
    if keys.get("loss_type", "kto") != "kto":
        keys.refuse("loss_type", "is no loss here; of TRL's KTO trainer there is kto")
    batch = keys.get("per_device_train_batch_size", 8) * keys.get("gradient_accumulation_steps", 1)
    if batch % 2:
        keys.refuse("per_device_train_batch_size", "counts completions in TRL; a preference gives two, so it is odd")
    keys.differences.append("kto: a step takes both completions of a preference; its baseline is drawn among all")
    names = ("desirable_weight", "undesirable_weight")
    weights = {name: keys.get(name, 1.0) for name in names}
    shared = {"beta": keys.get("beta", 0.1), "soft_labels": False, "loss_type": "kto"}
    return {**shared, **weights, "per_device_train_batch_size": max(1, batch // 2)}


def _orpo(keys: _Keys) -> dict[str, Any]:
    keys.differences.append("orpo: the likelihood counts the completion's tokens, where TRL counts the prompt's too")
    return {"beta": keys.get("beta", 0.1), "soft_labels": False, "loss_type": "orpo"}


def _cpo(keys: _Keys) -> dict[str, Any]:
    kind = {"sigmoid": "cpo", "simpo": "simpo"}.get(keys.get("loss_type", "sigmoid"))
    if kind is None:
        keys.refuse("loss_type", "is no loss here; of TRL's CPO trainer there are sigmoid and simpo")
    found = {"beta": keys.get("beta", 0.1), "soft_labels": False, "loss_type": kind or "cpo"}
    if kind == "simpo":
        found["simpo_gamma"] = keys.get("simpo_gamma", 0.5)
    return found | {"label_smoothing": keys.get("label_smoothing", 0.0), "sft_weight": keys.get("cpo_alpha", 1.0)}


def _grpo(keys: _Keys) -> dict[str, Any]:
    kind, scale = keys.get("loss_type", "dapo"), keys.get("scale_rewards", "group")
    if kind not in GRPO_LOSSES:
        keys.refuse("loss_type", f"is no loss here; of TRL's there are {', '.join(GRPO_LOSSES)}")
    scale = {True: "group", False: "none"}.get(scale, scale)
    found = {"loss_type": kind, "scale_rewards": scale, "kl_coef": keys.get("beta", 0.0), "kl_estimator": "k3"}
    return found | _groups(keys, generations=8)


def _rloo(keys: _Keys) -> dict[str, Any]:
    return {"loss_type": "rloo", "kl_coef": keys.get("beta", 0.05), **_groups(keys, generations=2)}


def _groups(keys: _Keys, *, generations: int) -> dict[str, Any]:
    keys.differences.append("sampling: completions are drawn once a pass over the prompts, not before each step")
    low = keys.get("epsilon", 0.2)
    high = keys.get("epsilon_high")
    return {
        "epsilon_low": low,
        "epsilon_high": low if high is None else high,
        "num_generations": keys.get("num_generations", generations),
        "num_iterations": keys.get("num_iterations", 1),
        "max_completion_length": keys.get("max_completion_length", 512),
    }


def _online_dpo(keys: _Keys) -> dict[str, Any]:
    if keys.get("loss_type", "sigmoid") != "sigmoid":
        keys.refuse("loss_type", "is no loss here; of TRL's online DPO there is sigmoid")
    beta = keys.get("beta", 0.1)
    if isinstance(beta, list):
        if len(beta) != 1:
            keys.refuse("beta", "changes by epoch; give one number")
        beta = beta[0]
    keys.differences.append("sampling: completions are drawn once a pass over the prompts, not before each step")
    sampling = {"max_completion_length": keys.get("max_new_tokens", 64), "temperature": keys.get("temperature", 0.9)}
    return {"beta": beta, "num_generations": 2, **sampling}


def _number(value: Any) -> Any:
    """Texts that are numbers as numbers: YAML reads `1e-6` as text, and TRL's command line makes a number of it."""
    if isinstance(value, list):
        return [_number(one) for one in value]
    if not isinstance(value, str):
        return value
    try:
        found = float(value)
    except ValueError:
        return value
    return found if math.isfinite(found) else value


def trainer_named(name: str) -> Trainer:
    """The trainer of that name. Raises ConfigError for any other."""
    for trainer in TRAINERS:
        if trainer == name.replace("-", "_"):
            return trainer
    raise ConfigError(explain(expected=f"one of TRL's {', '.join(TRAINERS)}", got=repr(name), do="name one of them"))
