"""Estimates by a client: what the service counts, and how long an earlier job took."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sdk.conftest import rows
from vertex_tuning import ServiceError, SupervisedTuning, TuningClient, aconnect
from vertex_tuning.models import TunedModel


def spec(**fields: Any) -> SupervisedTuning:
    return SupervisedTuning(**{"base_model": "gemini-2.5-flash", "training": rows(), "epochs": 2} | fields)


def test_the_service_counts_some_rows_by_its_own_tokenizer(client: TuningClient) -> None:
    roughly, closely = client.estimate(spec()), client.estimate(spec(), ask=40)
    assert closely.tokens[0] == closely.tokens[1]
    asked = "".join(part["text"] for row in rows() for turn in row["contents"] for part in turn["parts"])
    counted = client.connection.genai.models.count_tokens(
        model="gemini-2.5-flash",
        contents=[part["text"] for row in rows() for turn in row["contents"] for part in turn["parts"]],
    )
    assert closely.tokens[0] == pytest.approx(2 * (counted.total_tokens or 0), rel=0.01)
    assert f"{len(asked) / (counted.total_tokens or 1):.2f} characters a token" in closely.tokenizer
    assert roughly.rows == closely.rows == 40


def test_an_earlier_job_tells_how_long_a_token_takes(client: TuningClient, tuned: TunedModel) -> None:
    job = next(job for job in client.jobs.list() if job.display_name == "opposites")
    assert job.billable_tokens
    took = job.progress().elapsed
    found = client.estimate(spec(), ask=40, like=job)
    assert found.seconds is not None
    assert took is not None
    # The same rows, as often: about as long, but for what the service adds to a row of its own.
    assert found.seconds[0] == pytest.approx(took * found.tokens[0] / job.billable_tokens)


def test_what_a_tuned_model_was_tuned_from_is_looked_up(client: TuningClient, tuned: TunedModel) -> None:
    assert client.estimate(spec(base_model=tuned)).model == "gemini-2.5-flash"
    with pytest.raises(ServiceError) as caught:
        client.estimate(spec(base_model="projects/1/locations/us-central1/models/7@1"))
    assert caught.value.code == 404


async def test_it_is_awaited_too(client: TuningClient) -> None:
    connection = await aconnect("local")
    async with connection:
        assert await connection.estimate(spec()) == client.estimate(spec())
