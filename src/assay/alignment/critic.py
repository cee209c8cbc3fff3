"""Critic: a value head on the policy's last states, what PPO's advantages are measured against.

One linear unit reads the state that predicts a token and says what reward is still to come. It looks at the states
without a gradient, so learning values cannot bend the policy, and it has an optimiser of its own; both are part of what
a resumed run takes up.
"""

from collections.abc import Sequence
from typing import Any

import torch

from assay.lm import LanguageModel
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import token_states


class Critic:
    """A linear value head [width] with a shift; begins at 0, so its first advantages are plain returns."""

    def __init__(self, width: int, *, learning_rate: float) -> None:
        self._weights = torch.zeros(width + 1, requires_grad=True)
        self._optimizer = torch.optim.Adam([self._weights], lr=learning_rate)

    def values(self, states: torch.Tensor) -> torch.Tensor:
        """Values [tokens] of states [tokens, width], with gradient towards the head alone.

        States are brought to length sqrt(width), so that one step size suits every model.
        """
        states = states.detach().float()
        scaled = states / (states.norm(dim=1, keepdim=True) / states.shape[1] ** 0.5 + 1e-6)
        return scaled @ self._weights[:-1] + self._weights[-1]

    def add(self, loss: torch.Tensor) -> None:
        """Add the gradient of a part of a step's loss."""
        (gradient,) = torch.autograd.grad(loss, [self._weights], retain_graph=True)
        self._weights.grad = gradient if self._weights.grad is None else self._weights.grad + gradient

    def learn(self) -> None:
        """One step of the head on what was added."""
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """Weights, moments and steps as plain data."""
        kept = self._optimizer.state.get(self._weights, {})
        moments = {name: torch.as_tensor(value).tolist() for name, value in kept.items()}
        return {"weights": self._weights.detach().tolist(), "moments": moments}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave, bit for bit."""
        with torch.no_grad():
            self._weights.copy_(torch.tensor(state["weights"]))
        for name, value in state["moments"].items():
            self._optimizer.state[self._weights][name] = torch.tensor(value)


def completion_states(lm: LanguageModel, pairs: Sequence[EncodedPair]) -> torch.Tensor:
    """The policy's states [tokens, width] that predict each completion token, pair by pair, without gradient."""
    with torch.no_grad():
        return token_states(lm, pairs)
