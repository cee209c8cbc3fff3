"""GKD loss: generalised Jensen-Shannon divergence of teacher and student (Agarwal et al. 2023, arXiv 2306.13649).

    M = beta P + (1 - beta) Q       with P the teacher's next-token distribution and Q the student's
    D = beta KL(P || M) + (1 - beta) KL(Q || M)

beta = 0 stands for forward KL(P || Q), which covers all that the teacher does, and beta = 1 for reverse KL(Q || P),
which seeks its mode: the limits of D / beta and D / (1 - beta).
"""

import torch
from torch.nn.functional import kl_div, log_softmax

from assay.records.errors import ConfigError, explain


def generalised_jsd(
    student_logits: torch.Tensor, teacher_logits: torch.Tensor, *, beta: float = 0.5, temperature: float = 1.0
) -> torch.Tensor:
    """Divergence [tokens] in nats of logits [tokens, vocabulary]. Raises ConfigError for a beta outside [0, 1]."""
    if not 0 <= beta <= 1:
        raise ConfigError(explain(expected="a beta from 0 to 1", got=f"{beta:g}", do="mend the setting"))
    student = log_softmax(student_logits / temperature, dim=-1)
    teacher = log_softmax(teacher_logits / temperature, dim=-1)
    if beta == 0:
        return _kl(teacher, student)
    if beta == 1:
        return _kl(student, teacher)
    share = torch.tensor(beta, dtype=student.dtype)
    mixture = torch.logaddexp(teacher + share.log(), student + torch.log1p(-share))
    return beta * _kl(teacher, mixture) + (1 - beta) * _kl(student, mixture)


def _kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """KL(p || q) [tokens] of log-probabilities [tokens, vocabulary]."""
    return kl_div(q, p, reduction="none", log_target=True).sum(-1)
