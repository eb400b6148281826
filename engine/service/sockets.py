"""Listening sockets that several processes share, so that the kernel spreads connections."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import UsageError


def shared_socket(host: str, port: int) -> socket.socket:
    """A socket bound to host and port beside others of its kind. UsageError if that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        raise _unusable(host, port, error) from error
    return bound


@contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """The port itself, or a free one for 0, kept from others until the block ends.

    It is bound and never listened on, so no connection ends here.
    """
    if port:
        _refuse_if_taken(host, port)
    with shared_socket(host, port) as reserved:
        yield reserved.getsockname()[1]


def _refuse_if_taken(host: str, port: int) -> None:
    # SO_REUSEPORT would let us join another service of the same user and share its connections.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            alone.bind((host, port))
        except (OSError, OverflowError) as error:
            raise _unusable(host, port, error) from error


def _unusable(host: str, port: int, error: Exception) -> UsageError:
    return UsageError(f"cannot listen on {host} port {port} ({error})", "name another one")
