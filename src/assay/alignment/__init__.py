"""Alignment: takes prompts and a reward, preferences or demonstrations; yields a policy version with its monitor trail.

One function a method: SFT and DPO in `runs`, with what all share, those that sample in `online`, two that distil in
`distillation`. `sft`, `dpo`, `online_dpo`, `grpo`, `ppo` (with its `critic`), `best_of_n`, `best_of_n_sft` and `gkd`
(with its `teachers`) are the methods, `losses` their losses; `estimators`, `constraints` and `lagrangian` stand between
a reward and a loss, `rounds` is what methods that sample share. `trainer` is the step loop, `checkpoint` exact resume,
`distributed` several processes, `sampling` and `measuring` what is seen of the policy on the way, `rollouts` a server
that samples it, `scoring` the proxy reward, the watch panel and costs, `auditing` a panel that looks at some of it,
`settings` what a run is told, `faults` what breaks a step from outside, `support` a floor for what the reward cannot
know. `exchange` takes runs from TRL's configurations and writes runs for other trainers.
"""

from assay.alignment.auditing import Answer, Audit, AuditItem
from assay.alignment.best_of_n import best_of_n_path, draw_candidates, pick_best
from assay.alignment.distillation import run_best_of_n_sft, run_gkd
from assay.alignment.online import run_grpo, run_online_dpo, run_ppo
from assay.alignment.rollouts import RolloutSettings, ServedCompletions
from assay.alignment.runs import RunContext, Watched, run_dpo, run_sft
from assay.alignment.scoring import TrainingRewards
from assay.alignment.settings import (
    BestOfNSftSettings,
    DpoSettings,
    GkdSettings,
    GrpoSettings,
    OnlineDpoSettings,
    PpoSettings,
    SftSettings,
)

__all__ = [
    "Answer",
    "Audit",
    "AuditItem",
    "BestOfNSftSettings",
    "DpoSettings",
    "GkdSettings",
    "GrpoSettings",
    "OnlineDpoSettings",
    "PpoSettings",
    "RolloutSettings",
    "RunContext",
    "ServedCompletions",
    "SftSettings",
    "TrainingRewards",
    "Watched",
    "best_of_n_path",
    "draw_candidates",
    "pick_best",
    "run_best_of_n_sft",
    "run_dpo",
    "run_gkd",
    "run_grpo",
    "run_online_dpo",
    "run_ppo",
    "run_sft",
]
