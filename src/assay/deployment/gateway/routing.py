"""Routing: decides which releases may answer a request, in order, and falls back when one fails.

The candidate is reached by its share alone, never by name: its exposure is what the ledger says it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from logging import getLogger
from typing import NamedTuple, TypeVar

from openfeature.client import OpenFeatureClient

from assay.deployment.flags import may_serve_candidate
from assay.deployment.gateway.protocol import Engine, Engines
from assay.deployment.rollout import Rollout, release_for
from assay.records.errors import AssayError, DeploymentError, explain
from assay.records.release import Release
from assay.storage import Workspace

ROUTED = "assay"
STABLE = "stable"

_log = getLogger(__name__)
T = TypeVar("T")


class UnknownModelError(DeploymentError):
    """A model name that this gateway does not serve."""


class BusyEngineError(DeploymentError):
    """An engine with too many requests waiting; not a failure of the release."""


class EngineFailedError(DeploymentError):
    """No release could answer."""


class Route(NamedTuple):
    """The releases to try in order, the candidate's id if it is one of them, and what is amiss already."""

    releases: tuple[str, ...]
    candidate: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Routing:
    """Reads pointer and kill switch at each request; engines and releases are looked up once."""

    workspace: Workspace
    engines: Engines
    rollout: Rollout
    flags: OpenFeatureClient
    layers_digest: str
    _releases: dict[str, Release] = field(default_factory=dict)

    def route(self, model: str, user: str | None) -> Route:
        """Who may answer. Raises UnknownModelError for a name that is not served."""
        pointer = self.rollout.pointer
        stable = pointer.status.stable
        if model not in (ROUTED, STABLE, stable):
            do = f"ask for {ROUTED!r}; a candidate is reached by its share alone, never by name"
            raise UnknownModelError(explain(expected=f"{ROUTED!r}, {STABLE!r} or a stable id", got=repr(model), do=do))
        notes = () if self._has_layers(stable) else ("the layers are not those of the stable release",)
        chosen = release_for(pointer, user) if model == ROUTED else stable
        if chosen == stable or not may_serve_candidate(self.flags):
            return Route((stable,), None, notes)
        if not self._has_layers(chosen):
            why = "the layers are not those of the candidate: answered by the stable release"
            return Route((stable,), None, (*notes, why))
        return Route((chosen, stable), chosen, notes)

    def first_success(
        self, route: Route, attempt: Callable[[str, Engine], T], failed: Callable[[str], None]
    ) -> tuple[T, tuple[str, ...]]:
        """The first attempt that succeeds, with notes on those that did not; `failed` hears of each.

        Raises EngineFailedError when all fail. Catches everything: an engine is other people's code.
        """
        notes = route.notes
        for release in route.releases:
            try:
                return attempt(release, self.engines[release]), notes
            except BusyEngineError:
                raise
            except Exception as error:
                _log.exception("release %s failed", release[:12])
                failed(release)
                notes = (*notes, f"release {release[:12]} failed ({type(error).__name__})")
        raise EngineFailedError(explain(expected="a release to answer", got="; ".join(notes), do="try again later"))

    def _has_layers(self, release: str) -> bool:
        try:
            found = self._releases.get(release) or self.workspace.records.get(Release, release)
        except AssayError as error:
            _log.error("release %s cannot be read: %s", release[:12], error)
            return False
        self._releases[release] = found
        return found.layers_digest == self.layers_digest
