"""Who may ask.

A program on this machine may; a web page that a browser shows may not, whether it names us (a foreign `Origin`) or a name of
its own that resolves to us (DNS rebinding, seen by `Host`). Beyond loopback, every call needs the token.
"""

from __future__ import annotations

import hmac
import ipaddress
import re

from vertex_tuning.emulator.status import ApiError, Code

SERVED_HOSTS = re.compile(
    r"""(?x)
      (?: (?P<location>[a-z0-9-]+?)-(?:[a-z]+-)?aiplatform(?:\.sandbox)?   # regional, and Google's own test hosts
        | aiplatform(?:\.(?P<multi>us|eu)\.rep)?
        | (?:[a-z0-9][a-z0-9._-]*\.)?storage
        | www | oauth2 | iamcredentials | cloudresourcemanager
      )\.googleapis\.com
    """
)
_GOOGLE = re.compile(
    r"(?:^|\.)(?:googleapis\.com|google\.com|google\.internal|gstatic\.com|googleusercontent\.com|run\.app)$"
)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_served(host: str) -> bool:
    """Whether the emulator answers for this Google host."""
    return SERVED_HOSTS.fullmatch(host) is not None


def is_google(host: str) -> bool:
    """Whether a host is Google's; what we do not serve of these is refused, never forwarded."""
    return _GOOGLE.search(host) is not None


def without_port(host: str) -> str:
    """`localhost:8085` -> `localhost`, `[::1]:8085` -> `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


class Guard:
    """The check that every request passes first.

    Args:
        token: Demanded on every call; None where the server listens on loopback only.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token

    def check(self, headers: dict[bytes, bytes]) -> str:
        """The request's host, in lower case and without its port.

        Raises:
            ApiError: 403 for a forged request, 401 without the token.
        """
        host = without_port(headers.get(b"host", b"").decode("latin-1").lower()).rstrip(".")
        if self._token is None and not (is_loopback(host) or is_served(host)):
            raise ApiError(
                Code.PERMISSION_DENIED,
                f"The emulator does not answer for host '{host}'. Use a loopback address.",
                rule="VT420",
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.lower().partition(b"://")[2] != headers.get(b"host", b"").lower():
            raise ApiError(
                Code.PERMISSION_DENIED,
                "A web page of another site may not use the emulator.",
                rule="VT421",
            )
        if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            raise ApiError(
                Code.PERMISSION_DENIED,
                "A request that a browser made for another site may not use the emulator.",
                rule="VT421",
            )
        if self._token is not None and not self._has_token(headers):
            raise ApiError(
                Code.UNAUTHENTICATED,
                "This emulator listens beyond loopback: every call needs its token, as "
                "'Authorization: Bearer TOKEN' or 'x-goog-api-key: TOKEN'.",
                rule="VT422",
            )
        return host

    def _has_token(self, headers: dict[bytes, bytes]) -> bool:
        assert self._token is not None
        scheme, _, bearer = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        given = bearer if scheme.lower() == "bearer" else headers.get(b"x-goog-api-key", b"").decode("latin-1")
        return hmac.compare_digest(given.strip().encode(), self._token.encode())
