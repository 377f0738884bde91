"""kfp's own client of registries of compiled pipelines, led to a registry that is not at Google's address."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@contextlib.contextmanager
def elsewhere(host: str, api: str, repository: str, token: str) -> Iterator[Any]:
    """A `RegistryClient`, to be used inside the block.

    Args:
        host: Where files go to and come from.
        api: Where Artifact Registry answers: `http://127.0.0.1:8085/v1`.
        repository: As Artifact Registry names it: `projects/.../repositories/...`.
        token: Shown with each request.
    """
    from kfp.registry import ApiAuth, RegistryClient

    package, version = f"{repository}/packages/{{package_name}}", "versions/{version}"
    tag = f"{api}/{package}/tags/{{tag}}"
    # In its own words, and as much as is asked of it.
    places = {
        "upload_url": host,
        "get_version_url": f"{api}/{package}/{version}",
        "get_tag_url": tag,
        "create_tag_url": f"{api}/{package}/tags?tagId={{tag}}",
        "update_tag_url": f"{tag}?updateMask=version",
        "version_format": f"{package}/{version}",
    }
    with tempfile.TemporaryDirectory() as folder, _no_proxy_to(host):
        file = Path(folder) / "registry.json"
        file.write_text(json.dumps(places), encoding="utf-8")
        yield RegistryClient(host=host, auth=ApiAuth(token), config_file=str(file))


@contextlib.contextmanager
def _no_proxy_to(address: str) -> Iterator[None]:
    """No proxy that the environment names is the way to loopback; that client takes no other word for it."""
    name = "no_proxy"
    before = os.environ.get(name)
    hosts = [before or os.environ.get(name.upper(), ""), urlsplit(address).hostname or ""]
    os.environ[name] = ",".join(host for host in hosts if host)
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
