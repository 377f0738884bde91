"""Steps with data: fetched and checked, split, put into the bucket."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vertex_tuning import connect, data
from vertex_tuning.errors import DatasetError, ServiceError
from vertex_tuning.evaluation import measures
from vertex_tuning.pipelines.steps._step import step, write, write_json
from vertex_tuning.pipelines.steps.registry import check_alias, refuse_open
from vertex_tuning.retries import again, passed_over

if TYPE_CHECKING:
    from google.cloud import storage

    from vertex_tuning.client import TuningClient

log = logging.getLogger(__name__)

FOLDER = "vertex-tuning/pipelines/data"
"""Where runs put their data sets, under the hash of the content; what people upload lies elsewhere."""
USED_BY = "vertex-tuning-step"
"""Key of an object's metadata: the place of the step that used it last."""


class Checked(NamedTuple):
    """What a check found."""

    rows: int
    estimated_tokens: int
    """Characters divided by four."""


class Parts(NamedTuple):
    """Rows of either part."""

    training_rows: int
    test_rows: int


@step
def check(
    source: str,
    *,
    method: str,
    base_model: str,
    checked: str,
    report: str,
    measure: str = "",
    alias: str = "",
) -> Checked:
    """Fetch a data set, and hold it against every rule of its way of tuning.

    What later steps will be told is looked at too, where it is given here: what is wrong is said before a job is paid for.

    Args:
        source: A `gs://` URI of JSONL, or a file.
        method: `supervised`, `preference`...
        base_model: What is to be tuned; a tuned model's name stands for a Gemini.
        checked: Where the rows are put.
        report: Where the verdict is put, as Markdown; also where it is bad.
        measure: That the models will be compared by.
        alias: That the version will get.

    Raises:
        DatasetError: Every fault of the data.
        EvaluationError: VT750 there is no such measure, VT753 rows do not say what it needs.
        PipelineError: VT749, an alias that the registry would not take, or a model that has no place there.
    """
    if alias:
        check_alias(alias)
        refuse_open(base_model)
    fetch(source, checked)
    base = None if "/" in base_model and base_model.startswith("projects/") else base_model
    found = data.check(checked, method=method, base_model=base, name=source.rpartition("/")[2])
    write(report, f"# Data: {found.source}\n\n```\n{found}\n```\n")
    for warning in found.warnings:
        log.warning("%s", warning)
    found.raise_for_faults()
    if measure:
        measures.check([measures.measure(measure)], list(data.read(checked)))
    return Checked(found.rows, found.estimated_tokens)


@step
def split(
    checked: str, *, method: str, test_source: str, test_share: float, seed: int, training: str, test: str
) -> Parts:
    """Set rows apart that no model will learn from: those that were given for it, or a share of the others.

    Copies of one prompt stay on one side.

    Args:
        checked: Rows that were checked.
        method: What they are for.
        test_source: A `gs://` URI or a file of rows for the test; empty: a share of `checked`.
        test_share: In (0, 0.5].
        seed: Another one holds other prompts out.
        training: Where the rows to learn from are put.
        test: Where the others are put.
    """
    if test_source:
        shutil.copyfile(checked, training)
        fetch(test_source, test)
        data.raise_for_faults(*data.check_job(training, test, method=method, base_model=None))
        return Parts(_rows(training), _rows(test))
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / "data.jsonl"
        named.symlink_to(Path(checked).resolve())
        found = data.split(named, validation=test_share, seed=seed, method=method)
        for made, path in ((found.training, training), (found.validation, test)):
            shutil.copyfile(made, path)
    return Parts(found.training_rows, found.validation_rows)


@step
def upload(path: str, *, place: str, uploaded: str) -> str:
    """Put a data set into the bucket under the hash of its content; returns its `gs://` URI.

    The object notes which step used it last, so that what a failed run leaves behind is found, and nothing else.

    Args:
        path: JSONL.
        place: URI of an output of this step.
        uploaded: Where a file that names the object is put.
    """
    with connect() as client:
        while True:
            uri = data.upload(client.connection, path, folder=FOLDER)
            blob = blob_of(client, uri)
            try:
                again(lambda blob=blob: _note(blob, place))  # type: ignore[misc]
            except ServiceError as error:
                # A failed run that used it before us has just cleaned it away, or another one notes itself.
                if error.code not in (404, 412):
                    raise
                continue
            write_json(uploaded, {"uri": uri})
            return uri


def fetch(source: str, path: str) -> None:
    """Put what lies at a `gs://` URI, or in a file, where a step can read it.

    Raises:
        DatasetError: VT201, there is nothing.
        ServiceError: VT501, it may not be read.
    """
    if not data.in_cloud_storage(source):
        try:
            shutil.copyfile(source, path)
        except OSError as error:
            fix = "a gs:// URI, or a path on the machine that runs the step"
            raise DatasetError(
                "VT201", f"it cannot be read: {error.strerror or error}", where=source, fix=fix
            ) from error
        return
    with connect() as client:
        blob = blob_of(client, source)
        try:
            again(lambda: blob.download_to_filename(path, checksum="crc32c"))
        except ServiceError as error:
            if error.code != 404:
                raise
            raise DatasetError("VT201", "there is no such object", where=source) from error


def blob_of(client: TuningClient, uri: str) -> storage.Blob:
    """The object of a `gs://` URI."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return client.connection.storage.bucket(bucket).blob(name)


def remove(blob: storage.Blob) -> bool:
    """Delete an object, unless a step has noted itself there since it was looked at; whether it went."""
    try:
        with passed_over(404):
            again(lambda: blob.delete(if_metageneration_match=blob.metageneration))
    except ServiceError as error:
        if error.code != 412:
            raise
        return False
    return True


def _note(blob: storage.Blob, place: str) -> None:
    blob.reload()
    blob.metadata = {**(blob.metadata or {}), USED_BY: place}
    blob.patch(if_metageneration_match=blob.metageneration)


def _rows(path: str) -> int:
    return sum(1 for _ in data.read(path))
