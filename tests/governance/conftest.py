"""Fixtures of the governance tests: an office with people and a policy that may ship."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from governance_cases import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.workspace.close()
