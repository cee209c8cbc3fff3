"""Enrolment: one name, one key, first entry stands, and a key counts only under its own name."""

import shutil

import pytest
from governance_cases import NOW, Office

from assay.governance import create_key, enroll, load_key, people
from assay.governance.enrolment import KEY_ENROLLED, person_of
from assay.governance.signing import SigningKey, sign
from assay.records.errors import GovernanceError


def test_enrolled_people_are_read_back_with_role_and_key(office: Office) -> None:
    found = people(office.workspace.ledger.entries())
    assert {name: person.role for name, person in found.items()} == {
        "olga": "owner",
        "anna": "approver",
        "ben": "approver",
    }
    assert found["anna"].public_key == office.anna.public_key
    assert found["anna"].seq == 2


def test_a_name_is_enrolled_once_whatever_its_case(office: Office) -> None:
    for name in ("anna", "ANNA"):
        key = create_key(office.keys / "new", name)
        with pytest.raises(GovernanceError, match="enrolled in entry 2"):
            enroll(office.workspace, key, role="owner", now=NOW)


def test_a_key_is_enrolled_for_one_name(office: Office) -> None:
    with pytest.raises(GovernanceError, match="key of its own"):
        enroll(office.workspace, SigningKey("carla", office.anna.private), role="approver", now=NOW)


def test_a_copied_key_file_does_not_act_under_another_name(office: Office) -> None:
    shutil.copy(office.keys / "anna.pem", office.keys / "carla.pem")
    entries = office.workspace.ledger.entries()
    with pytest.raises(GovernanceError, match="not enrolled"):
        person_of(entries, load_key(office.keys, "carla"))
    shutil.copy(office.keys / "anna.pem", office.keys / "ben.pem")
    with pytest.raises(GovernanceError, match="was enrolled with"):
        person_of(entries, load_key(office.keys, "ben"))


def test_a_later_entry_in_the_ledger_cannot_take_a_name_over(office: Office) -> None:
    thief = create_key(office.keys / "thief", "anna")
    statement = {"name": "anna", "public_key": thief.public_key, "role": "owner"}
    office.workspace.ledger.append(KEY_ENROLLED, **statement, signature=sign(thief, KEY_ENROLLED, statement))
    found = people(office.workspace.ledger.entries())
    assert found["anna"].public_key == office.anna.public_key
    assert found["anna"].role == "approver"


def test_an_entry_that_the_key_did_not_sign_enrolls_nobody(office: Office) -> None:
    carla = create_key(office.keys, "carla")
    forged = sign(office.ben, KEY_ENROLLED, {"name": "carla", "public_key": carla.public_key, "role": "owner"})
    for signature in (forged, None):
        office.workspace.ledger.append(
            KEY_ENROLLED, name="carla", public_key=carla.public_key, role="owner", signature=signature
        )
    statement = {"name": "carla", "public_key": carla.public_key, "role": "king"}
    office.workspace.ledger.append(KEY_ENROLLED, **statement, signature=sign(carla, KEY_ENROLLED, statement))
    assert "carla" not in people(office.workspace.ledger.entries())
