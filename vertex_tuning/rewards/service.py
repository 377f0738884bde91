"""Rewards by a service of the user's: `cloudRunRewardScorer`.

It is sent `{"example": row, "response": turn, "metadata": {...}}` and answers `{"reward": number}`.

From here services on this machine alone are reached: by their own names, or by the cloud's where these are mapped (`maps.py`).
The address is looked up once and checked before anything is sent to it; no redirect is followed, no proxy is asked, and the
answer is bounded in size and time. So a reward cannot be made to look into a network for somebody else.

Source: Google Cloud documentation, "Reward functions" (2026-09-25).
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from vertex_tuning import catalog
from vertex_tuning.rewards import maps, scoring
from vertex_tuning.rewards.scoring import Score

_MOST = 64 * 1024
_closed: set[int] = set()
_mapped: dict[str, tuple[str, int]] = {}
_doing = {"job": 0, "step": 0}


def close_port(port: int) -> None:
    """Never reach this port: the emulator's own, which would be asked in its own name."""
    _closed.add(port)


def map_hosts(given: Mapping[str, str]) -> None:
    """From now on, in this process, reach these hosts at the addresses that stand in for them; see `maps.read`."""
    _mapped.update({host: maps.address(target) for host, target in given.items()})


def say(*, job: int, step: int) -> None:
    """From now on, in this process, tell services that this job asks, at this step; 0 and 0 where there is no job."""
    _doing.update(job=job, step=step)


class _NotReachedError(Exception):
    """Nothing was sent."""


def score(uri: str, example: Any, response: Any, parsed: str | None) -> Score:
    """What the service pays; a failure where it is not to be reached, or pays nothing that is a number."""
    # The page spells the id in one way, the schema in another.
    metadata = {"step": _doing["step"], "tuning_job_id": _doing["job"], "tuningJobId": _doing["job"]}
    body = json.dumps({"example": example, "response": response, "metadata": metadata}).encode()
    limits = catalog.limits("reward_cloud_run")
    try:
        status, said = _post(urlsplit(uri), body, float(limits["max_seconds"]))
    except _NotReachedError as error:
        return scoring.failed("VT926", f"{uri}: {error}", parsed=parsed)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Refused, reset, cut off or too late: that may pass. A certificate, or an address that is none, stays as it is.
        passing = isinstance(error, ConnectionError | TimeoutError | http.client.HTTPException)
        what = f"{uri}: {type(error).__name__}: {error}"
        return scoring.failed("VT927", what, parsed=parsed, passing=passing)
    if status != 200:
        more = (
            "; redirects are not followed"
            if 300 <= status < 400
            else f": {said[:200].decode(errors='replace')}"
        )
        passing = status in limits["retry_statuses"]
        return scoring.failed("VT927", f"{uri} answered {status}{more}", parsed=parsed, passing=passing)
    return _read(uri, said, parsed)


def _read(uri: str, said: bytes, parsed: str | None) -> Score:
    if len(said) > _MOST:
        return scoring.failed("VT927", f"{uri} answered more than {_MOST // 1024} KiB", parsed=parsed)
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        found = None
    value = found.get("reward") if isinstance(found, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        what = f'{uri} answered no {{"reward": number}}: {said[:200].decode(errors="replace")}'
        return scoring.failed("VT927", what, parsed=parsed)
    try:
        paid = scoring.clipped(float(value), parsed)
    except OverflowError:
        return scoring.failed("VT927", f"{uri} answered a number that is too large", parsed=parsed)
    assert isinstance(found, dict)
    aux = found.get("user_requested_aux_info") or ""
    return Score(paid.reward, paid.failure, parsed, str(aux))


def _post(uri: SplitResult, body: bytes, seconds: float) -> tuple[int, bytes]:
    secure, host = uri.scheme == "https", uri.hostname or ""
    port = uri.port or (443 if secure else 80)
    mapped = _mapped.get(host.rstrip("."))
    at, at_port = mapped or (host, port)
    secure = secure and mapped is None
    sock: socket.socket = socket.create_connection((_address(at, at_port), at_port), seconds)
    # Limits of single reads do not bound a service that sends a letter at a time.
    late = threading.Event()

    def cut() -> None:
        late.set()
        _shut(sock)

    watch = threading.Timer(seconds, cut)
    watch.daemon = True
    watch.start()
    try:
        if secure:
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
        connection.sock = sock
        path = (uri.path or "/") + (f"?{uri.query}" if uri.query else "")
        named = uri.netloc.rpartition("@")[2] if uri.port else host
        connection.request("POST", path, body, {"Host": named, "Content-Type": "application/json"})
        answer = connection.getresponse()
        status, said = answer.status, answer.read(_MOST + 1)
    except (OSError, http.client.HTTPException) as error:
        if late.is_set():
            raise TimeoutError(f"no answer within {seconds:g} seconds") from error
        raise
    finally:
        watch.cancel()
        sock.close()
    if late.is_set():  # what was cut off looks whole where nobody said how long it would be
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    return status, said


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _address(host: str, port: int) -> str:
    """The address of a host on this machine; what was checked is what is connected to."""
    if port in _closed:
        raise _NotReachedError("that is the emulator itself")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        what = f"the host is not found ({error.strerror or error})"
        raise _NotReachedError(f"{what}; {_cure(host)}") from error
    addresses = [str(item[4][0]) for item in found]
    for address in addresses:
        if not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            what = f"{address} is not on this machine; only services here are reached from here"
            raise _NotReachedError(what if host == address else f"{what}; {_cure(host)}")
    return addresses[0]


def _cure(host: str) -> str:
    """How a service that is meant for the cloud is rehearsed."""
    return (
        f"to rehearse it with a service on this machine: --map {host}=http://127.0.0.1:PORT "
        "(of `emulator start`, `emulator exec` and `reward test`)"
    )
