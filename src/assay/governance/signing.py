"""Signing: Ed25519 keys in files and signatures over canonical bytes. Takes a directory and a name, yields a key.

A private key lies in `<directory>/<name>.pem` with rights 0600; a file that others can read is refused. The name of the
file proves nothing: whose key it is says the ledger (`enrolment`), and every act compares the two.

Catches: a changed message, name or word under a signature; a signature made for another purpose.
Does not catch: a private key that somebody copied, or one person who holds the keys of two. Keep keys apart.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from assay.records.errors import GovernanceError, explain
from assay.records.record import canonical_json

KEYS_FOLDER = "keys"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")


@dataclass(frozen=True)
class SigningKey:
    """A private key as it was found under a name. `public_key` is hex."""

    name: str
    private: Ed25519PrivateKey

    @property
    def public_key(self) -> str:
        """The public half: 64 hex digits."""
        return self.private.public_key().public_bytes_raw().hex()


def check_name(name: str) -> str:
    """The name of a person, unchanged. Raises GovernanceError when it could be mistaken, or leave its directory."""
    if not _NAME.match(name):
        expected = "a name of at most 64 letters, digits, '.', '_', '@' or '-', beginning with a letter or digit"
        raise GovernanceError(explain(expected=expected, got=repr(name), do="choose another name"))
    return name


def create_key(directory: Path, name: str) -> SigningKey:
    """Make a key and keep it in a new file with rights 0600. Raises GovernanceError when the name has one already."""
    path = _key_path(directory, name)
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        todo = "use the key that is there, or another name or directory"
        raise GovernanceError(explain(expected=f"to make a new key file {path}", got=str(error), do=todo)) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        todo = "free disk space and try again; no key was kept"
        raise GovernanceError(explain(expected=f"to write the key file {path}", got=str(error), do=todo)) from error
    return SigningKey(name, private)


def load_key(directory: Path, name: str) -> SigningKey:
    """Read a key. Raises GovernanceError when it is missing, not an Ed25519 key, or readable by anybody else."""
    path = _key_path(directory, name)
    try:
        with path.open("rb") as file:
            rights = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            pem = file.read()
    except OSError as error:
        todo = f"make one with `assay release enroll {name}`, or say where it lies with --keys"
        raise GovernanceError(explain(expected=f"a key file {path}", got=str(error), do=todo)) from error
    if rights & 0o077:
        todo = f"run `chmod 600 {path}`, and enrol a new key if anybody else could have read it"
        raise GovernanceError(explain(expected=f"a key file {path} with rights 600", got=f"{rights:o}", do=todo))
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise _not_a_key(path, "an unreadable file") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _not_a_key(path, "a key of another kind")
    return SigningKey(name, private)


def sign(key: SigningKey, purpose: str, statement: dict[str, object]) -> str:
    """Ed25519 signature (hex) over the canonical bytes of a statement made for one purpose."""
    return key.private.sign(_message(purpose, statement)).hex()


def is_signed(public_key: str, signature: str, *, purpose: str, statement: dict[str, object]) -> bool:
    """Whether the holder of `public_key` signed this statement for this purpose; False for anything malformed."""
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        public.verify(bytes.fromhex(signature), _message(purpose, statement))
    except (InvalidSignature, ValueError):
        return False
    return True


def _message(purpose: str, statement: dict[str, object]) -> bytes:
    return canonical_json({"purpose": f"assay/{purpose}/1", "statement": statement})


def _key_path(directory: Path, name: str) -> Path:
    return directory / f"{check_name(name)}.pem"


def _not_a_key(path: Path, got: str) -> GovernanceError:
    return GovernanceError(
        explain(expected=f"an Ed25519 private key in {path}", got=got, do="restore the key file or enrol a new name")
    )
