"""Keys and signatures: rights, names, tampering, keys under another name."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.governance.signing import create_key, is_signed, load_key, sign
from assay.records.errors import GovernanceError


def test_a_key_is_read_back_as_it_was_made_and_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        key = create_key(tmp_path / "keys", "anna")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "keys" / "anna.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert load_key(tmp_path / "keys", "anna").public_key == key.public_key
    assert len(key.public_key) == 64


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    first = create_key(tmp_path, "anna")
    with pytest.raises(GovernanceError, match="anna.pem"):
        create_key(tmp_path, "anna")
    assert load_key(tmp_path, "anna").public_key == first.public_key


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    create_key(tmp_path, "anna")
    (tmp_path / "anna.pem").chmod(0o640)
    with pytest.raises(GovernanceError, match="chmod 600"):
        load_key(tmp_path, "anna")


@pytest.mark.parametrize("name", ["", "../anna", "a/b", ".anna", "anna\n", "anna ", "аnna", "a" * 65])
def test_a_name_that_leaves_the_directory_or_misleads_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(GovernanceError, match="name"):
        create_key(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_files_that_hold_no_ed25519_key_are_refused(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for name, content in (("noise", b"noise"), ("other", other)):
        (tmp_path / f"{name}.pem").write_bytes(content)
        (tmp_path / f"{name}.pem").chmod(0o600)
        with pytest.raises(GovernanceError, match="Ed25519"):
            load_key(tmp_path, name)
    with pytest.raises(GovernanceError, match="enroll"):
        load_key(tmp_path, "nobody")


def test_a_signature_holds_for_its_statement_purpose_and_key_alone(tmp_path: Path) -> None:
    key, stranger = create_key(tmp_path, "anna"), create_key(tmp_path, "ben")
    signature = sign(key, "approval", {"request": "r", "approves": True})
    assert is_signed(key.public_key, signature, purpose="approval", statement={"approves": True, "request": "r"})
    assert not is_signed(key.public_key, signature, purpose="decision", statement={"request": "r", "approves": True})
    assert not is_signed(key.public_key, signature, purpose="approval", statement={"request": "r", "approves": False})
    assert not is_signed(
        stranger.public_key, signature, purpose="approval", statement={"request": "r", "approves": True}
    )


def test_a_key_that_does_not_fit_on_the_disk_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; from assay.governance import create_key\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))\n"
        "create_key(Path(sys.argv[1]), 'anna')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "no key was kept" in done.stderr
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=40, deadline=None)
@given(position=st.integers(0, 127), digit=st.sampled_from("0123456789abcdef"))
def test_a_signature_with_any_changed_digit_is_refused(
    tmp_path_factory: pytest.TempPathFactory, position: int, digit: str
) -> None:
    key = create_key(tmp_path_factory.mktemp("keys"), "anna")
    signature = sign(key, "approval", {"request": "r"})
    changed = signature[:position] + digit + signature[position + 1 :]
    holds = is_signed(key.public_key, changed, purpose="approval", statement={"request": "r"})
    assert holds == (changed == signature)


@pytest.mark.parametrize("noise", ["", "zz", "00", "0" * 64, "é"])
def test_malformed_keys_and_signatures_do_not_verify(tmp_path: Path, noise: str) -> None:
    key = create_key(tmp_path, "anna")
    assert not is_signed(noise, sign(key, "p", {}), purpose="p", statement={})
    assert not is_signed(key.public_key, noise, purpose="p", statement={})
