"""Auditing: the panel that looks at a run on its way, where a recipe asks for one.

A real workspace names a program of its own: it may ask people, a service or another model. In a simulated world three
declared people answer, who judge nothing else; as everywhere in the demo the room of feedback takes what completions
are worth as given numbers, and only their answers reach the run. Either counts as training, since it may end a run.
"""

import json
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import get_args

import numpy as np

from assay.alignment import Answer, Audit, AuditItem
from assay.cli.config import AuditConfig
from assay.cli.context import now
from assay.cli.walk import Walk, stage_seed
from assay.evaluation import load_gold
from assay.feedback.simulated import SimulatedPair, audit_panel, simulate
from assay.records.conversation import last_user_text
from assay.records.errors import ConfigError, TrainingError, explain
from assay.records.identity import ScorerIdentity
from assay.records.judgement import Choice, Judgement
from assay.records.record import digest
from assay.storage.firewall import Registration

NAME = "audit-panel"


def open_audit(walk: Walk) -> Audit | None:
    """The panel that the recipe asks for, registered on the training side; None where it asks for none.

    Raises ConfigError for a simulated panel among real people or for several processes, FirewallError for a panel that
    also judges.
    """
    asked = walk.config.alignment.audit
    if asked is None:
        return None
    if walk.group.size > 1:
        do = "leave --processes out, or the audit"
        got = f"{walk.group.size} processes, each of which would ask the panel"
        raise ConfigError(explain(expected="one process to run an audit in", got=got, do=do))
    audit = _simulated(walk, asked) if asked.panel == "simulated" else _program(asked)
    walk.workspace.firewall.register(Registration(created_at=now(), side="training", identity=audit.identity))
    return audit


def _simulated(walk: Walk, asked: AuditConfig) -> Audit:
    if not any(judgement.source == "simulated" for judgement in walk.workspace.records.all(Judgement)):
        do = "name a program that asks real people with alignment.audit.command"
        raise ConfigError(explain(expected="simulated people to audit in a simulated world", got="real ones", do=do))
    people, feedback = audit_panel(), walk.config.feedback

    def panel(items: Sequence[AuditItem], step: int) -> list[Answer]:
        gold = load_gold()
        prompts = [last_user_text(item.prompt) for item in items]
        first = feedback.gold_scale * gold.score(prompts, [item.first for item in items])
        second = feedback.gold_scale * gold.score(prompts, [item.second for item in items])
        pairs = [
            SimulatedPair(item.prompt, item.first, item.second, float(a), float(b))
            for item, a, b in zip(items, first, second, strict=True)
        ]
        said = simulate(
            pairs,
            people,
            judgements_per_pair=len(people),
            rng=np.random.default_rng([stage_seed(walk.config, "audit"), step]),
            now=now(),
            campaign=f"{walk.config.name}-audit",
            consent_version="simulated",
            bias_scale=feedback.bias_scale,
        )
        votes = [judgement.choice for judgement in said]
        return [majority(votes[i * len(people) : (i + 1) * len(people)]) for i in range(len(items))]

    plain = {"people": [person.model_dump(mode="json") for person in people], "scale": feedback.bias_scale}
    return Audit(panel, asked.items, ScorerIdentity(name=NAME, scorer_kind="human", content_hash=digest(plain)))


def majority(votes: Sequence[Choice]) -> Answer:
    """What more of them chose; a tie where neither was chosen more often."""
    lead = votes.count("first") - votes.count("second")
    return "tie" if lead == 0 else "first" if lead > 0 else "second"


def _program(asked: AuditConfig) -> Audit:
    def panel(items: Sequence[AuditItem], step: int) -> list[Answer]:
        lines = [
            {
                "step": step,
                "prompt": [message.model_dump() for message in item.prompt],
                "first": item.first,
                "second": item.second,
            }
            for item in items
        ]
        return _asked(asked, "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))

    contents = [sha256(Path(word).read_bytes()).hexdigest() for word in asked.command if Path(word).is_file()]
    content = digest({"command": list(asked.command), "files": contents})
    return Audit(panel, asked.items, ScorerIdentity(name=NAME, scorer_kind="judge", content_hash=content))


def _asked(asked: AuditConfig, shown: str) -> list[Answer]:
    """The program's answers. Raises TrainingError where it fails, takes too long, or says something else."""
    do = "mend the program, then go on with --resume; the last checkpoint is whole"
    try:
        ended = subprocess.run(  # noqa: S603 (the program that the user names, without a shell)
            asked.command, input=shown, capture_output=True, text=True, timeout=asked.timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrainingError(explain(expected="answers of the audit's program", got=str(error), do=do)) from error
    if ended.returncode != 0:
        got = f"exit status {ended.returncode}: {ended.stderr.strip()[-200:]}"
        raise TrainingError(explain(expected="answers of the audit's program", got=got, do=do))
    known = {answer: answer for answer in get_args(Answer)}
    words = ended.stdout.split()
    if any(word not in known for word in words):
        got = repr(next(word for word in words if word not in known))
        raise TrainingError(explain(expected="a line of first, second or tie for each item", got=got, do=do))
    return [known[word] for word in words]
