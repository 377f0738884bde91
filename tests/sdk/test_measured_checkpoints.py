"""Checkpoints that the service measures while it tunes, asked for in a spec and read from the job."""

from __future__ import annotations

import json

import pytest

from tests.sdk.conftest import rows
from vertex_tuning import EvaluationConfig, SupervisedTuning, TuningClient


@pytest.mark.slow
def test_each_checkpoint_is_measured_and_its_scores_are_read_from_the_job(client: TuningClient) -> None:
    spec = SupervisedTuning(
        base_model="gemini-2.5-flash",
        training=rows(60, tag=" (measured)"),
        validation=rows(5, tag=" (measured)"),
        epochs=2,
        adapter_size=16,
        evaluation=EvaluationConfig(metrics=["exact_match", "rouge1", "rougeL"], temperature=0),
    )
    job = client.tune(spec)
    assert job.evaluations() == [], "nothing is measured yet"
    job.wait()
    found = job.evaluations()
    assert [one.checkpoint_id for one in found] == ["1", "2"]
    for one in found:
        assert one.error == ""
        assert {"exact_match", "rouge", "rouge (2)"} <= one.scores.keys()
        assert all(0 <= score <= 1 or "deviation" in name for name, score in one.scores.items())
        assert one.output_uri.startswith(f"gs://{client.connection.bucket}/vertex-tuning/evaluations/")
        bucket, _, folder = one.output_uri.removeprefix("gs://").partition("/")
        blob = client.connection.storage.bucket(bucket).blob(f"{folder}/evaluation_results.jsonl")
        told = [json.loads(line) for line in blob.download_as_text().splitlines()]
        hits = [row["metrics"]["exact_match"]["score"] for row in told]
        assert one.scores["exact_match"] == pytest.approx(sum(hits) / 5)
    assert job.refresh().evaluations() == found
