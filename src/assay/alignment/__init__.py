"""Alignment: takes prompts and a reward, preferences or demonstrations; yields a policy version with its monitor trail.

`runs` is the room in reading order: one function a method. `sft`, `dpo`, `online_dpo`, `grpo` and `best_of_n` are the
methods, `losses` their losses, `estimators` and `constraints` what stands between a reward and a loss, `trainer` the
step loop, `checkpoint` exact resume, `distributed` several processes, `sampling` and `measuring` what is seen of the
policy on the way, `rollouts` a server that samples it, `scoring` the proxy reward and the watch panel, `settings` what
a run is told. `exchange` takes runs from TRL's configurations and writes runs for other trainers.
"""

from assay.alignment.best_of_n import best_of_n_path, draw_candidates, pick_best
from assay.alignment.rollouts import RolloutSettings, ServedCompletions
from assay.alignment.runs import RunContext, Watched, run_dpo, run_grpo, run_online_dpo, run_sft
from assay.alignment.scoring import TrainingRewards
from assay.alignment.settings import DpoSettings, GrpoSettings, OnlineDpoSettings, SftSettings

__all__ = [
    "DpoSettings",
    "GrpoSettings",
    "OnlineDpoSettings",
    "RolloutSettings",
    "RunContext",
    "ServedCompletions",
    "SftSettings",
    "TrainingRewards",
    "Watched",
    "best_of_n_path",
    "draw_candidates",
    "pick_best",
    "run_dpo",
    "run_grpo",
    "run_online_dpo",
    "run_sft",
]
