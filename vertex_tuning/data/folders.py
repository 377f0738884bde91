"""Files and folders, into the bucket under the hash of their content, and back: weights, adapters."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from vertex_tuning.data.upload import bucket_of, put_once
from vertex_tuning.errors import DatasetError
from vertex_tuning.retries import again

if TYPE_CHECKING:
    from google.cloud import storage

    from vertex_tuning.connection import Connection

FOLDER = "vertex-tuning/files"
_AT_ONCE = 4
"""Files that travel side by side."""


def upload_folder(connection: Connection, path: Path) -> str:
    """Put a folder, or a file, into the connection's bucket, unless it is there.

    Args:
        connection: Where to.
        path: What; links out of it are followed, hidden files left out.

    Returns:
        `gs://BUCKET/vertex-tuning/files/SHA256/NAME`: the name is the folder's own, or the file's.

    Raises:
        ConfigurationError: VT108, VT109, VT110, as for `upload`.
        DatasetError: VT202, it cannot be read.
        ServiceError: The service refused it.
    """
    path = path.resolve()
    files = {path.name: path} if path.is_file() else _files(path)
    bucket = bucket_of(connection)
    try:
        digests = {name: _digest(file) for name, file in files.items()}
    except OSError as error:
        raise DatasetError("VT202", f"it cannot be read: {error.strerror}", where=str(path)) from error
    whole = hashlib.sha256(
        "".join(f"{digests[name]} {name}\n" for name in sorted(files)).encode()
    ).hexdigest()
    root = f"{FOLDER}/{whole}"
    for name, file in files.items():
        with file.open("rb") as opened:
            put_once(bucket, f"{root}/{name}", opened, digests[name], "application/octet-stream")
    return f"gs://{bucket.name}/{root}/{path.name}"


def _files(folder: Path) -> dict[str, Path]:
    """Files by their place in the bucket, below the folder's own name."""
    return {
        str(PurePosixPath(folder.name, *file.relative_to(folder).parts)): file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download_folder(client: storage.Client, uri: str, target: Path, *, without: Iterable[str] = ()) -> bool:
    """Put an object, or all that lies in a folder of a bucket, at a local path; False where nothing is there.

    Args:
        client: Of Cloud Storage.
        uri: `gs://BUCKET/PATH`.
        target: A file, or a folder, which is made.
        without: Names of files to leave.
    """
    name, _, path = uri.removeprefix("gs://").partition("/")
    bucket, path = client.bucket(name), path.rstrip("/")
    found = again(lambda: list(client.list_blobs(bucket, prefix=path, retry=None)))
    wanted = {blob.name: target / blob.name.removeprefix(f"{path}/") for blob in found if blob.name != path}
    wanted = {name: place for name, place in wanted.items() if name.startswith(f"{path}/")}
    if any(blob.name == path for blob in found):
        wanted = {path: target}
    left = set(without)
    wanted = {name: place for name, place in wanted.items() if place.name not in left and name[-1] != "/"}

    def fetch(item: tuple[str, Path]) -> None:
        name, place = item
        place.parent.mkdir(parents=True, exist_ok=True)
        again(lambda: bucket.blob(name).download_to_filename(str(place), retry=None))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(fetch, wanted.items()))
    return bool(wanted)
