"""Where weights in a folder come from: what lies in it, or above it, tells.

A tuning job of an open model leaves a copy of its manifest in its output folder. A custom job has its order in the bucket, with
everything that it was given; that order is its manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from vertex_tuning._task import ORDER
from vertex_tuning.custom import FOLDER as TRAINING
from vertex_tuning.lineage.bucket import SCHEMA, below, described, read, split
from vertex_tuning.lineage.chain import Json, Parent
from vertex_tuning.retries import again

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection

NOTES = "lineage"
"""Folder of the notes on weights, in the folder of the weights."""
TUNING = "tuning"
"""Kind of a manifest that a tuning job left there."""
_DATA = ("training", "validation")
_PARENTS = {"model": "base", "initial": "initial", "reward_model": "reward"}
"""Fields of an order that name weights, and what these were to the run."""


def manifest_of(connection: Connection, uri: str) -> Json | None:
    """The manifest of weights; None where nothing was left."""
    bucket, name = split(uri)
    for folder in _upwards(name):
        left = [one for one in below(connection, bucket, f"{folder}/{NOTES}") if one.get("kind") == TUNING]
        if left:
            return left[-1]
        if folder.rpartition("/")[0] == TRAINING:
            order = read(connection, bucket, f"{folder}/{ORDER}")
            return None if order is None else _of_order(connection, f"gs://{bucket}/{folder}", order)
    return None


def _upwards(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition("/")[0]


def _of_order(connection: Connection, base: str, order: Json) -> Json:
    bucket, folder = split(base)
    blob = again(lambda: connection.storage.bucket(bucket).get_blob(f"{folder}/{ORDER}", retry=None))
    config = order.get("config", {})
    parents = [Parent(role, str(config[name])) for name, role in _PARENTS.items() if config.get(name)]
    return {
        "schema": SCHEMA,
        "kind": "training",
        "key": folder.rpartition("/")[2],
        "made": f"{blob.time_created:%Y-%m-%dT%H:%M:%SZ}" if blob is not None else "",
        "method": order.get("method", ""),
        "settings": {name: value for name, value in config.items() if name not in (*_DATA, *_PARENTS)},
        "parents": [asdict(parent) for parent in parents],
        "data": {name: described(connection, config[name]) for name in _DATA if config.get(name)},
        "versions": {},
    }
