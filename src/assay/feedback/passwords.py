"""Passwords: hashes that are slow to guess. Takes a password and a salt, yields a hash; later says whether one fits.

New hashes are argon2id with the second choice of RFC 9106 (3 passes over 64 MiB in 4 lanes). Hashes of before are
scrypt; they are still checked, and `is_outdated` says that a right password deserves a new one. Each check works
through both kinds, against a hash of nobody where there is none to compare with, so that the time it takes tells
neither whether somebody has a password nor how old its hash is.

Catches: guessing from a stolen copy of the records, where each guess takes that memory and time. Does not catch: a
password that is easy to guess, and one that was stolen whole; a hash of another cost than today's takes its own time.
"""

import hmac
import re
from base64 import b64encode
from hashlib import scrypt

from argon2.exceptions import VerificationError
from argon2.low_level import Type, hash_secret, verify_secret

COST = {"time_cost": 3, "memory_cost": 64 * 1024, "parallelism": 4}
"""Passes, KiB and lanes of argon2id."""
SCRYPT_COST = {"n": 2**15, "r": 8, "p": 1}
"""What scrypt hashes of before were made with; one of nobody takes as long."""

_BYTES = 32
_SCRYPT = re.compile(r"scrypt\$(\d+)\$(\d+)\$(\d+)\$([0-9a-f]{32})\$([0-9a-f]{64})")


def hash_password(password: str, *, salt: bytes) -> str:
    """argon2id hash with its cost and salt (PHC string format)."""
    return hash_secret(password.encode(), salt, **COST, hash_len=_BYTES, type=Type.ID).decode()


def is_right(password: str, stored: str | None) -> bool:
    """Whether a password belongs to a stored hash; None, and what is no hash, takes as long and is never right."""
    old = _SCRYPT.fullmatch(stored or "")
    new = stored if stored is not None and stored.startswith("$argon2id$") else None
    fits_old = _fits_scrypt(password, old or _SCRYPT.fullmatch(_old_nobody())) and old is not None
    fits_new = _fits_argon2(password, new or _nobody()) and new is not None
    return fits_old or fits_new


def is_outdated(stored: str) -> bool:
    """Whether a hash was made otherwise than one would be made today."""
    return not stored.startswith(_beginning())


def _fits_argon2(password: str, stored: str) -> bool:
    try:
        return verify_secret(stored.encode(), password.encode(), Type.ID)
    except VerificationError:
        return False


def _fits_scrypt(password: str, stored: re.Match[str] | None) -> bool:
    if stored is None:
        return False
    n, r, p, salt, wanted = stored.groups()
    cost = {"n": int(n), "r": int(r), "p": int(p)}
    given = scrypt(password.encode(), salt=bytes.fromhex(salt), **cost, dklen=_BYTES, maxmem=256 * int(n) * int(r))
    return hmac.compare_digest(given, bytes.fromhex(wanted))


def _beginning() -> str:
    """What a hash of today begins with."""
    return "$argon2id$v=19$m={memory_cost},t={time_cost},p={parallelism}$".format(**COST)


def _nobody() -> str:
    salt, key = (b64encode(bytes(length)).decode().rstrip("=") for length in (16, _BYTES))
    return f"{_beginning()}{salt}${key}"


def _old_nobody() -> str:
    return "scrypt${n}${r}${p}$".format(**SCRYPT_COST) + f"{'0' * 32}${'0' * 64}"
