"""Storage tests run twice: on SQLite in the workspace, and on PostgreSQL."""

import pytest


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request):
    """URL of an empty database, or None for SQLite in the workspace."""
    return request.getfixturevalue("postgresql") if request.param == "postgresql" else None
