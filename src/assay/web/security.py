"""Web security: what every site needs. Signed sessions and links, strict headers, and refusal of foreign forms.

Catches: a changed or old cookie, a form posted from another site or without the page's own token, script or style
written into a page, framing, a body larger than 256 KiB or of no declared length. Does not catch: somebody who types
another person's name while the site needs no account, or who reads the traffic of a site served without TLS.
"""

import base64
import binascii
import hmac
import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from fastapi import Request

from assay.storage.artifacts import write_once

LARGEST_BODY = 256 * 1024
SESSION_TIME = timedelta(hours=12)
LINK_TIME = timedelta(days=3)

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
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
        return f"{base64.urlsafe_b64encode(name.encode()).decode()}.{self.mac(name)}"

    def read(self, cookie: str | None) -> str | None:
        """The name that `sign` signed, or None."""
        encoded, _, mac = (cookie or "").partition(".")
        try:
            name = base64.urlsafe_b64decode(encoded).decode()
        except (binascii.Error, ValueError):
            return None
        return name if name and hmac.compare_digest(self.mac(name).encode(), mac.encode()) else None

    def mac(self, name: str) -> str:
        """HMAC-SHA256 (hex) of a text under this key."""
        return hmac.new(self._key, name.encode(), sha256).hexdigest()


class Join(NamedTuple):
    """What a join link is for: one campaign, and the parameter in which a provider names a person."""

    campaign: str
    parameter: str


class Session(NamedTuple):
    """One person's visit: who, since when, what makes it differ from every other, and the link they joined by."""

    name: str
    since: int
    nonce: str
    join: Join | None = None


def write_session(signer: Signer, name: str, *, now: datetime, join: Join | None = None) -> str:
    """A cookie for a new visit; one that was joined by a link is good for that campaign alone."""
    kind, whose = ("session", name) if join is None else ("joined", f"{join.campaign}\n{join.parameter}\n{name}")
    return signer.sign(f"{kind}\n{int(now.timestamp())}\n{secrets.token_hex(16)}\n{whose}")


def read_session(signer: Signer, cookie: str | None, *, now: datetime) -> Session | None:
    """The visit of a cookie, or None where it was changed, or is twelve hours old."""
    kind, since, nonce, whose = _four(signer.read(cookie))
    if kind not in ("session", "joined") or not 0 <= now.timestamp() - int(since) < SESSION_TIME.total_seconds():
        return None
    if kind == "session":
        return Session(whose, int(since), nonce)
    campaign, parameter, name = whose.split("\n", 2)
    return Session(name, int(since), nonce, Join(campaign, parameter))


def form_token(signer: Signer, session: Session) -> str:
    """What every form of a visit carries; another site cannot know it."""
    return signer.mac(f"form\n{session.nonce}\n{session.name}")


def is_form_token(signer: Signer, session: Session, token: str) -> bool:
    """Whether a form came from a page of this visit."""
    return hmac.compare_digest(form_token(signer, session).encode(), token.encode())


def write_link(signer: Signer, name: str, *, now: datetime) -> str:
    """A token for a login link that works once, within three days."""
    return signer.sign(f"link\n{int((now + LINK_TIME).timestamp())}\n{secrets.token_hex(16)}\n{name}")


def read_link(signer: Signer, token: str | None, *, now: datetime) -> Session | None:
    """Who a link lets in, with its nonce; None where it was changed or is too old."""
    kind, until, nonce, name = _four(signer.read(token))
    return Session(name, int(until), nonce) if kind == "link" and now.timestamp() < int(until) else None


def write_join(signer: Signer, join: Join) -> str:
    """The key of a join link; it lets in whoever a provider sends, for as long as the campaign recruits."""
    return signer.sign(f"join\n{join.campaign}\n{join.parameter}\n")


def read_join(signer: Signer, key: str | None) -> Join | None:
    """What a join link is for, or None where its key was changed."""
    kind, campaign, parameter, _ = _four(signer.read(key))
    return Join(campaign, parameter) if kind == "join" else None


def _four(text: str | None) -> tuple[str, str, str, str]:
    parts = (text or "").split("\n", 3)
    return (parts[0], parts[1], parts[2], parts[3]) if len(parts) == 4 else ("", "0", "", "")


def signing_key(path: Path) -> bytes:
    """The key kept in a file that only its owner reads; made where absent, one for all processes of a site.

    Raises StorageError when it cannot be kept.
    """
    return write_once(path, secrets.token_bytes(32))


def refusal(request: Request) -> tuple[int, str] | None:
    """Status and reason to refuse a request that changes something, or None: a foreign origin, or a body too large."""
    if request.method in ("GET", "HEAD"):
        return None
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return 403, "This form was sent from another site."
    if "transfer-encoding" in request.headers:
        return 411, "This form does not say how long it is."
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > LARGEST_BODY:
        return 413, "This form is too large."
    return None
