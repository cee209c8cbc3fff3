"""Fixtures: a synthetic policy, its evidence and the records around it, as a report needs them."""

import pytest
from evaluation_records import make_dossier, make_evidence, make_policies


@pytest.fixture(scope="session")
def policies():
    return make_policies()


@pytest.fixture(scope="session")
def evidence(policies):
    return make_evidence(policies)


@pytest.fixture(scope="session")
def dossier(policies, evidence):
    return make_dossier(policies, evidence)
