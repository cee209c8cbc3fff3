"""Pseudonyms: names in place of people's names, the same for the same key. Takes a name and a key, yields a pseudonym.

Catches: the name itself, and trying out names by whoever does not hold the key (HMAC-SHA256). Does not catch: a person
who is recognised by what they wrote, and whoever holds the key: destroy it, and nobody can tell who was who.
"""

import hmac
from hashlib import sha256
from pathlib import Path

KEY_FILE = "pseudonyms.key"
DIGITS = 16


def pseudonym(name: str, key: bytes) -> str:
    """`p-` and sixteen hex digits."""
    return f"p-{hmac.new(key, name.encode(), sha256).hexdigest()[:DIGITS]}"


def key_path(workspace: Path) -> Path:
    """Where the key of a workspace lies."""
    return workspace / KEY_FILE
