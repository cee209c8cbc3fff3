"""Web security: what every site needs. Signed names in cookies, strict headers, and refusal of foreign forms.

Catches: a changed cookie, a form posted from another site, script or style written into a page, framing, a body that
declares more than 64 KiB. Does not catch: somebody who types another person's name (a name is no proof of identity), or
who reads the traffic of a site served without TLS.
"""

import base64
import binascii
import hmac
import secrets
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Request

from assay.storage.artifacts import write_atomically

LARGEST_BODY = 64 * 1024

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Signer:
    """Signs a name for a cookie and reads it back; what was changed on the way reads as None."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, name: str) -> str:
        """The name with its signature (HMAC-SHA256), in characters that a cookie may hold."""
        return f"{base64.urlsafe_b64encode(name.encode()).decode()}.{self._mac(name)}"

    def read(self, cookie: str | None) -> str | None:
        """The name that `sign` signed, or None."""
        encoded, _, mac = (cookie or "").partition(".")
        try:
            name = base64.urlsafe_b64decode(encoded).decode()
        except (binascii.Error, ValueError):
            return None
        return name if name and hmac.compare_digest(self._mac(name).encode(), mac.encode()) else None

    def _mac(self, name: str) -> str:
        return hmac.new(self._key, name.encode(), sha256).hexdigest()


def signing_key(path: Path) -> bytes:
    """The key kept in a file that only its owner reads; made where absent. Raises StorageError when it cannot be."""
    if not path.exists():
        write_atomically(path, secrets.token_bytes(32))
    return path.read_bytes()


def refusal(request: Request) -> tuple[int, str] | None:
    """Status and reason to refuse a request that changes something, or None: a foreign origin, or a body too large."""
    if request.method in ("GET", "HEAD"):
        return None
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return 403, "This form was sent from another site."
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > LARGEST_BODY:
        return 413, "This form is too large."
    return None
