"""The same, awaited: the event loop is never held up."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.sdk.conftest import rows
from vertex_tuning import ServiceError, SupervisedTuning, aconnect

BASE = "gemini-2.5-flash"


@pytest.fixture
async def aclient(emulator, tmp_path, monkeypatch):
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    async with await aconnect("local") as client:
        yield client


async def test_the_main_path_awaited(aclient):
    report = await aclient.check(rows(tag=" async"))
    assert report.ok
    assert (await aclient.upload(rows(tag=" async"))).startswith("gs://")
    job = await aclient.tune(SupervisedTuning(base_model=BASE, training=rows(tag=" async"), epochs=2))
    seen = [progress async for progress in job.follow()]
    assert seen[-1].state == job.state == "JOB_STATE_SUCCEEDED"
    model = await job.result()
    answer = await model.generate("Opposite of hot?", temperature=0, max_output_tokens=4)
    assert "".join(
        [text async for text in model.stream("Opposite of hot?", temperature=0, max_output_tokens=4)]
    ) == (answer.text)
    assert await model.count_tokens("Opposite of hot?") == answer.prompt_tokens
    first, last = await model.checkpoints()
    assert (await first.generate("Opposite of hot?", max_output_tokens=2)).answer_tokens > 0
    await model.make_default(first)
    assert model.served_as == first.served_as != last.served_as
    assert [measure["step"] for measure in await job.metrics()]
    assert (await aclient.models.get(model.name)).name == model.name
    assert model.name in {found.name for found in await aclient.models.list()}
    await model.delete()
    with pytest.raises(ServiceError):
        await aclient.models.get(model.name)


async def test_the_loop_goes_on_while_a_job_is_followed(aclient):
    longest, last = 0.0, time.monotonic()

    async def tick() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            longest, last = max(longest, now - last), now

    ticking = asyncio.create_task(tick())
    job = await aclient.tune(SupervisedTuning(base_model=BASE, training=rows(tag=" loop"), epochs=1))
    await job.wait()
    ticking.cancel()
    assert longest < 1.0  # generous: a loop that is held up stands still for the whole job


async def test_many_questions_at_once(aclient):
    base = aclient.models.base(BASE)
    answers = await asyncio.gather(
        *(base.generate(f"Say {n}.", temperature=0, max_output_tokens=4) for n in range(24))
    )
    assert all(answer.answer_tokens > 0 for answer in answers)


async def test_a_job_that_is_cancelled_and_one_that_is_no_longer_watched(aclient):
    spec = SupervisedTuning(base_model=BASE, training=rows(300, tag=" watch"), epochs=40)
    job = await aclient.tune(spec)
    async for _ in job.follow():
        break
    await job.cancel()
    assert (await job.wait()).state == "JOB_STATE_CANCELLED"
    assert (await aclient.jobs.get(job.name)).state == "JOB_STATE_CANCELLED"
    assert job.name in {found.name for found in await aclient.jobs.list(limit=50)}
