"""Flags: OpenFeature flags from one JSON file in flagd's shape, and the kill switch that keeps the candidate away.

The file is read whole whenever it changes. A broken or vanished file leaves every flag at its last known good value,
marked STALE; the kill switch does not accept a stale value and falls to its safe side.
"""

import json
import os
from logging import getLogger
from pathlib import Path
from typing import Any

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from assay.storage.artifacts import write_atomically

SERVE_CANDIDATE = "serve_candidate"

_log = getLogger(__name__)


class _Flag(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    state: str
    variants: dict[str, Any]
    defaultVariant: str  # noqa: N815 (flagd's spelling)

    @model_validator(mode="after")
    def _default_exists(self) -> "_Flag":
        if self.defaultVariant not in self.variants or self.state not in ("ENABLED", "DISABLED"):
            raise ValueError("a flag needs state ENABLED or DISABLED and a defaultVariant among its variants")
        return self


class _FlagFile(BaseModel):
    flags: dict[str, _Flag]


class FileProvider(AbstractProvider):
    """Resolves flags from a file. Knows static flags only: a file with `targeting` is refused as a whole."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._version: tuple[int, int, int] | None = None
        self._flags: dict[str, _Flag] = {}
        self._is_fresh = False

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="assay file provider")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """A boolean flag."""
        return self._resolve(flag_key, default_value, (bool,))

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """A text flag."""
        return self._resolve(flag_key, default_value, (str,))

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """A whole number flag."""
        return self._resolve(flag_key, default_value, (int,))

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """A number flag."""
        return self._resolve(flag_key, default_value, (float, int))

    def resolve_object_details(
        self, flag_key: str, default_value: Any, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Any]:
        """A list or mapping flag."""
        return self._resolve(flag_key, default_value, (dict, list))

    def _resolve(self, key: str, default: Any, kinds: tuple[type, ...]) -> FlagResolutionDetails[Any]:
        self._reload()
        flag = self._flags.get(key)
        if flag is None:
            return FlagResolutionDetails(default, error_code=ErrorCode.FLAG_NOT_FOUND, reason=Reason.ERROR)
        if flag.state == "DISABLED":
            return FlagResolutionDetails(default, reason=Reason.DISABLED)
        value: Any = flag.variants[flag.defaultVariant]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            return FlagResolutionDetails(default, error_code=ErrorCode.TYPE_MISMATCH, reason=Reason.ERROR)
        reason = Reason.STATIC if self._is_fresh else Reason.STALE
        return FlagResolutionDetails(value, reason=reason, variant=flag.defaultVariant)

    def _reload(self) -> None:
        try:
            stat = os.stat(self._path)
            version = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if version == self._version:
                return
            self._is_fresh = False
            self._version = version
            self._flags = _FlagFile.model_validate_json(self._path.read_bytes()).flags
            self._is_fresh = True
        except (OSError, ValidationError) as error:
            if self._is_fresh or self._version is None:
                _log.warning("flags in %s cannot be read, the last good ones stay: %s", self._path, error)
            self._is_fresh = False
            if isinstance(error, OSError):
                self._version = None


def flag_client(path: Path) -> OpenFeatureClient:
    """An OpenFeature client that reads this file, apart from the clients of other files."""
    domain = f"assay:{path.resolve()}"
    api.set_provider_and_wait(FileProvider(path), domain=domain)
    return api.get_client(domain)


def may_serve_candidate(client: OpenFeatureClient) -> bool:
    """The kill switch: True only where the file says so now; False where it is missing, broken, stale or silent."""
    details = client.get_boolean_details(SERVE_CANDIDATE, False)
    return details.value and details.reason == Reason.STATIC


def set_candidate_switch(path: Path, *, is_on: bool) -> None:
    """Write the kill switch into the file and keep the other flags; a broken file is replaced."""
    try:
        flags = dict(json.loads(path.read_bytes())["flags"])
    except (OSError, ValueError, KeyError, TypeError):
        flags = {}
    flags[SERVE_CANDIDATE] = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "on" if is_on else "off",
    }
    write_atomically(path, json.dumps({"flags": flags}, indent=1).encode())
