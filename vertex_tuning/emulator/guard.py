"""Who may ask, and for which host.

A program on this machine may; a web page that a browser shows may not, whether it names us (a foreign
`Origin`) or a name of its own that resolves to us (DNS rebinding, seen by `Host`). Beyond loopback, every
call needs the token.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
from typing import TYPE_CHECKING

from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from starlette.types import Scope

SERVED_HOSTS = re.compile(
    r"""(?x)
    (?: (?: (?P<location>(?!autopush-)[a-z0-9-]+?) - )?
        (?:autopush-)? aiplatform                      # Google's own client tests name its `autopush` hosts
        (?: \.(?P<multi>us|eu)\.rep )? (?:\.sandbox)?
      | (?P<storage> (?:[a-z0-9][a-z0-9._-]*\.)? storage | www )
      | (?P<project> oauth2 | openidconnect | iamcredentials | cloudresourcemanager | iam | serviceusage | cloudquotas
          | (?: cloudkms | artifactregistry | compute | run ) (?: \.[a-z]+(?:-[a-z]+[0-9]+)\.rep )?
          | [a-z]+(?:-[a-z]+[0-9]+)-run )
    )\.googleapis\.com
    | (?P<registry>[a-z]+(?:-[a-z]+[0-9]+)?) -kfp\.pkg\.dev
    | [a-z0-9-]+ \. (?P<dedicated>[a-z]+(?:-[a-z]+[0-9]+)?) - [a-z0-9]+ \.prediction\.vertexai\.goog
    """
)
_GOOGLE = re.compile(
    r"(?:^|\.)(?:googleapis\.com|google\.com|google\.internal|gstatic\.com|googleusercontent\.com|google|goog"
    r"|run\.app|cloudfunctions\.net|appspot\.com|gcr\.io|pkg\.dev)$"
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


def has_proxy_token(head: bytes, token: str) -> bool:
    """Whether the head of a `CONNECT` has the token: as a bearer, or as the password of the proxy's URL."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() != b"proxy-authorization":
            continue
        scheme, _, given = value.strip().partition(b" ")
        if scheme.lower() == b"basic":
            try:
                given = base64.b64decode(given, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        return hmac.compare_digest(given.strip(), token.encode())
    return False


class Guard:
    """The check that every request passes first.

    Args:
        token: Demanded on every call; None where the server listens on loopback only.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token

    def check(self, scope: Scope) -> str:
        """The request's host, in lower case and without its port.

        Raises:
            ApiError: 403 for a request that a web page forged, 401 without the token.
        """
        headers = dict(scope["headers"])
        authority = headers.get(b"host", b"").decode("latin-1").lower()
        host = without_port(authority).rstrip(".")
        if not (self._token or is_loopback(host) or is_served(host)):
            raise _no_such_host(host)
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower().partition("://")[2] != authority:
            raise ApiError(
                Code.PERMISSION_DENIED, "A web page of another site may not use the emulator.", rule="VT421"
            )
        if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            raise ApiError(
                Code.PERMISSION_DENIED,
                "A request that a browser made for another site may not use the emulator.",
                rule="VT421",
            )
        # Who came through the front door showed it there; inside, Google's programs have their own.
        if self._token and not scope["state"].get("tunnel") and not self._has_token(headers):
            raise ApiError(
                Code.UNAUTHENTICATED,
                "This emulator listens beyond loopback: every call needs its token, as "
                "'Authorization: Bearer TOKEN' or 'x-goog-api-key: TOKEN'.",
                rule="VT422",
            )
        return host

    def _has_token(self, headers: dict[bytes, bytes]) -> bool:
        assert self._token is not None
        scheme, _, bearer = headers.get(b"authorization", b"").partition(b" ")
        given = bearer if scheme.lower() == b"bearer" else headers.get(b"x-goog-api-key", b"")
        return hmac.compare_digest(given.strip(), self._token.encode())


def _no_such_host(host: str) -> ApiError:
    if is_google(host):
        return ApiError(
            Code.PERMISSION_DENIED,
            f"The emulator does not serve {host}; nothing was sent to Google.",
            rule="VT423",
        )
    return ApiError(
        Code.PERMISSION_DENIED,
        f"The emulator neither answers for host '{host}' nor passes anything on. Use a loopback address.",
        rule="VT420",
    )
