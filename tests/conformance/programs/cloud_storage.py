"""A program for Cloud Storage: large, many, careful, composed."""

import os
import tempfile
from pathlib import Path

from google.api_core.exceptions import PreconditionFailed
from google.cloud import storage
from google.cloud.storage import transfer_manager

client = storage.Client()
bucket = client.create_bucket("programs-own-bucket", location="us-central1")
folder = Path(tempfile.mkdtemp())

# A resumable upload of 100 MiB, in chunks, checked.
block = os.urandom(1024 * 1024)
large = folder / "large"
large.write_bytes(block * 100)
blob = bucket.blob("large", chunk_size=8 * 1024 * 1024)
blob.upload_from_filename(large, checksum="crc32c")
assert blob.size == 100 * 1024 * 1024
back = folder / "back"
blob.download_to_filename(back, checksum="crc32c")
assert back.read_bytes() == large.read_bytes()

# The transfer manager, up in parts and in parallel, and down in ranges.
transfer_manager.upload_chunks_concurrently(
    large,
    bucket.blob("parts"),
    chunk_size=32 * 1024 * 1024,
    max_workers=4,
    worker_type=transfer_manager.THREAD,
)
transfer_manager.download_chunks_concurrently(
    bucket.blob("parts"),
    back,
    chunk_size=32 * 1024 * 1024,
    max_workers=4,
    worker_type=transfer_manager.THREAD,
)
assert back.read_bytes() == large.read_bytes()
names = [f"many/{number}.txt" for number in range(20)]
for name in names:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(name)
results = transfer_manager.upload_many_from_filenames(
    bucket, names, source_directory=str(folder), worker_type=transfer_manager.THREAD
)
assert not [result for result in results if isinstance(result, Exception)], results
assert sorted(found.name for found in client.list_blobs(bucket, prefix="many/")) == sorted(names)
down = folder / "down"
results = transfer_manager.download_many_to_path(
    bucket, names, destination_directory=str(down), worker_type=transfer_manager.THREAD
)
assert not [result for result in results if isinstance(result, Exception)], results
assert (down / names[3]).read_text() == names[3]

# Preconditions.
once = bucket.blob("once")
once.upload_from_string("first", if_generation_match=0)
try:
    bucket.blob("once").upload_from_string("second", if_generation_match=0)
except PreconditionFailed:
    pass
else:
    raise AssertionError("an object was overwritten that must not exist")
assert bucket.blob("once").download_as_text() == "first"

# Compose.
bucket.blob("a").upload_from_string("left ")
bucket.blob("b").upload_from_string("right")
both = bucket.blob("both")
both.compose([bucket.blob("a"), bucket.blob("b")])
assert both.download_as_text() == "left right"
print("stored", sum(1 for _ in client.list_blobs(bucket)))
