"""Network guard: refuses every connection, bound port, datagram and name look-up of this process, and notes each.

Takes nothing, yields the list of what was tried; local sockets (AF_UNIX) stay allowed. It listens to the interpreter's
own audit events, so it also sees what a library reached for through the C module or in another thread, and what a broad
`except` swallowed.

Does not catch: native code that opens sockets itself, and child processes.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

REFUSED = frozenset(
    {
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.getnameinfo",
        "socket.sendmsg",
        "socket.sendto",
    }
)
"""Audit events of the network; `connect_ex` and `gethostbyname_ex` raise those of their plain kin."""

_listening: list[list[str]] = []
_is_installed = False


class NetworkError(AssertionError):
    """Something asked for the network. No OSError, so that nothing takes it for a network that is merely down."""


@contextmanager
def refused_network() -> Iterator[list[str]]:
    """Refuse the network inside the block; yields what was tried, also where the error was swallowed."""
    global _is_installed
    if not _is_installed:
        sys.addaudithook(_refuse)  # cannot be taken out again; outside the block it lets everything through
        _is_installed = True
    attempts: list[str] = []
    _listening.append(attempts)
    try:
        yield attempts
    finally:
        _listening.pop()


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listening or event not in REFUSED:
        return
    subject, *rest = arguments
    if isinstance(subject, socket.SocketType):
        if subject.family == socket.AF_UNIX:
            return
        subject = rest[0] if rest else None
    tried = f"{event} {subject!r}"
    for attempts in _listening:
        attempts.append(tried)
    raise NetworkError(f"asked the network: {tried}")
