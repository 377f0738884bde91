"""Cloud services, rehearsed: `--map my-reward-abc-uc.a.run.app=http://127.0.0.1:9000`.

A reward that names the host is then sent to the service on this machine; all else of the request is as in the cloud.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from vertex_tuning.errors import Fault, RewardError

_FORM = "my-reward-abc-uc.a.run.app=http://127.0.0.1:9000"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_TARGET = re.compile(r"http://(?:\[[0-9a-fA-F:.]+\]|[^/?#@:\[\]\s]+):\d{1,5}/?")


def read(given: Sequence[str], *, own_port: int = 0) -> dict[str, str]:
    """Maps as the command line has them: from a host to the address that stands in for it.

    Args:
        given: `HOST=http://127.0.0.1:PORT`, each.
        own_port: The emulator's own, which nothing is sent to; 0: not known.

    Raises:
        RewardError: VT940 to VT943, with every fault.
    """
    found: dict[str, str] = {}
    faults: list[Fault] = []
    for text in given:
        host, equals, target = text.partition("=")
        host, target = host.strip().lower().rstrip("."), target.strip().rstrip("/")
        where = f"--map {text}"
        start = len(faults)
        if not equals or not target:
            faults.append(Fault("VT940", "there is no HOST=ADDRESS in it", where, fix=f"--map {_FORM}"))
            continue
        _check_host(host, where, faults)
        _check_target(target, where, own_port, faults)
        if found.get(host, target) != target:
            what = f"{host} is mapped to {found[host]} already"
            faults.append(Fault("VT943", what, where, fix="one address for each host"))
        if len(faults) == start:
            found[host] = target
    if len(faults) == 1:
        only = faults[0]
        raise RewardError(only.rule, only.what, where=only.where, why=only.why, fix=only.fix)
    if faults:
        raise RewardError("VT940", f"the maps have {len(faults)} faults", where="--map", faults=faults)
    return found


def check_port(maps: Mapping[str, str], port: int) -> None:
    """See that no map leads to a port that turned out to be the emulator's own.

    Raises:
        RewardError: VT942.
    """
    read([f"{host}={target}" for host, target in maps.items()], own_port=port)


def _check_host(host: str, where: str, faults: list[Fault]) -> None:
    is_number = False
    with contextlib.suppress(ValueError):
        is_number = bool(ipaddress.ip_address(host))
    if is_number or len(host) > 253 or not _HOST.fullmatch(host):
        what = f'"{host}" is not the name of a host'
        why = "It is the part of the reward's address between https:// and the next slash."
        faults.append(Fault("VT940", what, where, why, f"--map {_FORM}"))
    elif host == "localhost" or host.endswith(".localhost"):
        faults.append(Fault("VT940", f"{host} is reached without a map", where, fix="leave it out"))


def _check_target(target: str, where: str, own_port: int, faults: list[Fault]) -> None:
    if not _TARGET.fullmatch(target) or not 0 < int(target.rpartition(":")[2]) < 65536:
        what = f'"{target}" is not http://127.0.0.1:PORT'
        why = "The path is that of the reward's own address."
        faults.append(Fault("VT940", what, where, why, f"--map {_FORM}"))
        return
    host, port = address(target)
    if not _is_loopback(host):
        why = "What is rehearsed does not leave this machine."
        faults.append(
            Fault("VT941", f"{host} is not on this machine", where, why, f"http://127.0.0.1:{port}")
        )
    elif port == own_port:
        why = "It would be asked in its own name."
        faults.append(Fault("VT942", f"{port} is the emulator's own port", where, why, "another port"))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address(target: str) -> tuple[str, int]:
    """Host and port of the address that stands in."""
    parts = urlsplit(target)
    return parts.hostname or "", parts.port or 80
