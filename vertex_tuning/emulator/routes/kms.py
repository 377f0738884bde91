"""Cloud KMS: rings and keys. Nothing is encrypted with them."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.routes import iam_policies, provisioned

routes = Routes("cloudkms.googleapis.com")

_RINGS = "projects/{project}/locations/{location}/keyRings"
_RING = f"{_RINGS}/{{ring}}"
_KEYS = f"{_RING}/cryptoKeys"
_KEY = f"{_KEYS}/{{key}}"


def _words(name: str) -> str:
    kind = "CryptoKey" if "/cryptoKeys/" in name else "KeyRing"
    return f"{kind} {name} not found."


@routes.get(_RINGS, versions=("v1",))
async def list_rings(call: Call) -> dict[str, Any]:
    """Of a location."""
    return provisioned.listed(call, "keyRings", _RINGS, total=True)


@routes.get(_RING, versions=("v1",))
async def get_ring(call: Call) -> dict[str, Any]:
    """A ring."""
    return provisioned.found(call, _RING, _words)


@routes.get(_KEYS, versions=("v1",))
async def list_keys(call: Call) -> dict[str, Any]:
    """Of a ring."""
    provisioned.found(call, _RING, _words)
    return provisioned.listed(call, "cryptoKeys", _KEYS, total=True)


@routes.get(_KEY, versions=("v1",))
async def get_key(call: Call) -> dict[str, Any]:
    """A key, with the state of its first version."""
    return provisioned.found(call, _KEY, _words)


iam_policies.serve(routes, _KEY, lambda call: str(provisioned.found(call, _KEY, _words)["name"]))
iam_policies.serve(routes, _RING, lambda call: str(provisioned.found(call, _RING, _words)["name"]))
