"""How a job does: a live display on a terminal, a few lines in a log."""

from __future__ import annotations

import re

import pytest

from tests.cli.conftest import BASE
from vertex_tuning.cli._follow import Lines, Pace, describe, duration
from vertex_tuning.jobs import Progress

TUNING = "TUNING_JOB_STATE_TUNING"
LONG = r"step \d+/(\d+), [\d a-z]+ left, loss \d+\.\d{3}, [\d,]+ tokens/s"


class Clock:
    """Time passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def at(step: int | None, steps: int | None = 1000, *, state: str = "RUNNING", sub: str = TUNING) -> Progress:
    return Progress(f"JOB_STATE_{state}", sub, step=step, steps=steps)


def lines_of(clock: Clock, moments: list[tuple[float, Progress]]) -> list[str]:
    lines, start = Lines(clock), clock.now
    said = []
    for second, progress in moments:
        clock.now = start + second
        said.append(lines.line(progress))
    return [line for line in said if line]


def test_a_quick_job_says_its_states_and_no_more():
    moments = [
        (0.0, at(None, None, state="PENDING", sub="")),
        (1.0, at(None, None, sub="TUNING_JOB_STATE_PROCESSING_DATASET")),
        *((1 + step / 100, at(step, 100)) for step in range(1, 100)),
        (2.1, at(100, 100, sub="TUNING_JOB_STATE_POST_PROCESSING")),
        (2.5, at(100, 100, state="SUCCEEDED", sub="")),
    ]
    said = [line.partition(",")[0] for line in lines_of(Clock(), moments)]
    assert said == ["pending", "processing dataset", "tuning", "post processing", "succeeded"]


def test_a_long_job_says_a_line_per_tenth_of_its_steps():
    said = lines_of(Clock(), [(float(step), at(step)) for step in range(1001)])
    assert [re.search(r"step (\d+)", line)[1] for line in said] == [str(step) for step in range(0, 1001, 100)]


def test_a_job_of_a_few_steps_says_a_line_every_ten_seconds():
    said = lines_of(Clock(), [(second / 10, at(second // 10, 20)) for second in range(200)])
    assert [re.search(r"step (\d+)", line)[1] for line in said] == ["0", "10"]


def test_a_job_that_does_not_tell_its_steps_says_a_line_every_ten_seconds():
    said = lines_of(Clock(), [(float(second), at(None, None)) for second in range(35)])
    assert said == ["tuning"] * 4


def test_the_time_left_is_told_by_the_steps_seen_since_one_looks():
    clock, pace = Clock(), Pace(Clock())
    pace = Pace(clock)
    assert pace.left is None
    pace.see(at(400))  # the job began long ago
    assert pace.left is None
    clock.now += 10
    pace.see(at(420))
    assert pace.left == pytest.approx(290)
    clock.now += 5
    assert pace.left == pytest.approx(285)  # it counts down between two answers
    clock.now += 1000
    assert pace.left == 0
    pace.see(at(300))  # resumed from an earlier checkpoint
    assert pace.left is None
    pace.see(at(1000, state="SUCCEEDED", sub=""))
    assert pace.left is None


def test_a_line_tells_steps_time_left_loss_and_speed():
    progress = Progress("JOB_STATE_RUNNING", TUNING, step=8, steps=16, loss=3.01413, tokens_per_second=5654.9)
    assert describe(progress, left=200) == "tuning, step 8/16, 3 min 20 s left, loss 3.014, 5,655 tokens/s"
    ended = Progress("JOB_STATE_SUCCEEDED", "", step=16, steps=16, loss=1.5, elapsed=61.2)
    assert describe(ended) == "succeeded, step 16/16, loss 1.500, took 1 min 01 s"
    assert describe(Progress("JOB_STATE_OF_NEW", "")) == "of new"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (90000, "25 h 00 min"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_a_log_is_not_flooded(tuning):
    before, name, after = re.split(
        r"^(projects/.*/tuningJobs/\d+)\n", tuning.err.partition("Ask it:")[0], flags=re.M
    )
    cost, *warning = before.splitlines()
    assert "US$" in cost
    assert "/tuningJobs/" in name
    assert len(warning) == 3  # the model's last day has come
    said = after.splitlines()
    stages = [line.partition(",")[0] for line in said]
    assert len(said) <= 8, said  # five states at most, and some patience on a busy machine
    assert stages[-1] == "succeeded"


def test_a_terminal_shows_what_happens_from_the_upload_to_the_end(terminal, train):
    shown = terminal("tune", "supervised", str(train), "--base-model", BASE, "--epochs", "9", pipe_out=True)
    shown.until("checking the data")
    shown.until(r"uploading [━ ]+[\d.]+/[\d.]+ kB")
    shown.until("starting the job")
    assert not re.search(r"starting the job [━ ]+[\d.]+/", shown.text)
    shown.until(r"tuning [━╸╺]+ step \d+/\d+")
    assert shown.end() == 0
    # The display is gone at the end; what stays is the last word.
    last = r"^succeeded, step (\d+)/\1, loss [\d.]+, [\d,]+ tokens/s, took \d+ s$"
    assert re.search(last, shown.text, re.MULTILINE)
    assert shown.out().startswith("Tuned model: projects/")


@pytest.mark.parametrize(
    ("columns", "there"),
    [
        (120, rf"tuning [━╸╺]+ {LONG} 0:00:\d\d"),
        (40, r"tuning [━╸╺]+ step \d+/\d+ 0:00:\d\d"),
        (20, "tuning"),
    ],
    ids=["wide", "narrow", "tiny"],
)
def test_a_terminal_shows_what_there_is_room_for_and_keeps_up(terminal, long_job, columns, there):
    shown = terminal("jobs", "watch", long_job.id, columns=columns)
    shown.until(there)
    shown.process.terminate()
    shown.end()


def test_a_terminal_that_cannot_draw_gets_lines(terminal, env, long_job):
    env["TERM"] = "dumb"
    shown = terminal("jobs", "watch", long_job.id)
    shown.until(r"(pending|tuning|processing dataset)[^\n]*\n")
    assert "\x1b" not in shown.raw
    shown.process.terminate()
    shown.end()
