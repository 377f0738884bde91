"""The step that trains students: with rationales, and on labels alone, on the same rows and as many steps.

Two ways, with one outcome. `open` trains the true two-part loss in our own container, by custom jobs, once for each seed; what
a student would say to the held-out rows is measured by its job. `managed` mixes the two tasks into one set for the tuning
service, which has no seeds; its students are asked by batch prediction.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from vertex_tuning import SupervisedTuning, connect, data, distill
from vertex_tuning.data import rationales
from vertex_tuning.errors import JobCancelledError, SpecError
from vertex_tuning.pipelines.steps._step import step, write_json
from vertex_tuning.pipelines.steps.data import blob_of, fetch
from vertex_tuning.pipelines.steps.tuning import Stoppable, begin, begin_training
from vertex_tuning.retries import again

if TYPE_CHECKING:
    from vertex_tuning.client import TuningClient
    from vertex_tuning.custom import TrainingRun
    from vertex_tuning.jobs import TuningJob
    from vertex_tuning.models import TunedModel

log = logging.getLogger(__name__)

OPEN, MANAGED = "open", "managed"
RATIONALES, LABELS = "rationales", "labels"
"""The two kinds of student."""
_HELD_OUT = "held_out.json"
_MOST_TOKENS = 16
"""Of a label."""


class Students(NamedTuple):
    """What was trained."""

    trained: int
    model_name: str
    """The first student with rationales: a `gs://` folder, or a model's name."""


@step
def train(
    labelled: str,
    *,
    test_source: str,
    way: str,
    student: str,
    seeds: Sequence[int],
    rationale_weight: float,
    mode: str,
    steps: int,
    batch_size: int,
    learning_rate: float,
    host: str,
    at_once: int,
    place: str,
    test: str,
    students: str,
    about: dict[str, Any],
) -> Students:
    """Train students of both kinds, and tell what each says to rows that none has seen.

    Every job is labelled by the step: tried again, it takes up the jobs that it began, and pays for none twice. Asked to end
    (SIGTERM), it cancels those that still run.

    Args:
        labelled: Rows with labels and rationales.
        test_source: A `gs://` URI or a file of held-out rows with labels.
        way: `open` or `managed`.
        student: `open`: a `gs://` folder of weights, or the name of a model that comes with this package. `managed`: a model of
            the catalog.
        seeds: One student of each kind for each. `managed`: one of each kind, whatever the seeds.
        rationale_weight: `open`: the paper's lambda. `managed`: how often a rationale stands in the mix for each label.
        mode: `open`: `adapter` or `full`.
        steps: `open`: of training; `managed`: the service decides.
        batch_size: `open`: rows in a step, each with both tasks.
        learning_rate: `open`: peak rate.
        host: `open`: machine, as `custom.start_training` takes it.
        at_once: Jobs beside each other.
        place: URI of an output of this step.
        test: Where the held-out rows are put.
        students: Where it is told what they say, as JSON.
        about: Metadata of that artifact, filled here.

    Raises:
        SpecError: VT332, there is no such way, or nothing to train.
    """
    if way not in (OPEN, MANAGED) or not seeds:
        what = "there are no seeds" if way in (OPEN, MANAGED) else f'"{way}" is not a way to train students'
        raise SpecError("VT332", what, fix='way: "open" or "managed"; seeds: [1, 2, 3]')
    with tempfile.TemporaryDirectory() as scratch, connect() as client, Stoppable() as asked:
        begun = asked.of(cast("Any", _Begun()))
        folder = Path(scratch)
        rows, held_out = folder / "labelled.jsonl", folder / "test.jsonl"
        shutil.copyfile(labelled, rows)
        fetch(test_source, str(held_out))
        data.raise_for_faults(*data.check_job(rows, held_out, method="step_by_step", base_model=None))
        shutil.copyfile(held_out, test)
        if way == OPEN:
            config = {
                "model": _weights(student),
                "training": str(rows),
                "validation": str(held_out),
                "mode": mode,
                "steps": steps,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "evaluate_interval": steps,
                "last_checkpoint_only": True,
                "threads": 1,
            }
            weights = {RATIONALES: rationale_weight, LABELS: 0.0}
            wanted = [
                (kind, int(seed)) for seed in seeds for kind in weights
            ]  # a list's numbers come as fractions

            def one(student: tuple[str, int]) -> dict[str, Any]:
                kind, seed = student
                told = {**config, "seed": seed, "rationale_weight": weights[kind]}
                return _train(client, told, kind, seed, host, place, begun)

            with ThreadPoolExecutor(at_once) as pool:
                runs = list(pool.map(one, wanted))
        else:
            runs = list(
                _tuned(client, rows, held_out, student, max(1, round(rationale_weight)), place, begun)
            )
        said = [row["label"] for row in data.read(held_out)]
    first = next(run for run in runs if run["kind"] == RATIONALES)
    write_json(students, {"way": way, "student": student, "runs": runs, "right": said})
    about |= {"way": way, "student": student, "resourceName": first["model"]}
    return Students(len(runs), first["model"])


class _Begun:
    """The jobs that the step began, as one that can be cancelled."""

    name = "the students' jobs"

    def __init__(self) -> None:
        self._jobs: list[TrainingRun | TuningJob] = []
        self._over = False

    def check(self) -> None:
        """Before another one is begun."""
        if self._over:
            raise JobCancelledError("VT602", "the step was asked to end", where=self.name)

    def add(self, job: TrainingRun | TuningJob) -> None:
        """One more."""
        self._jobs.append(job)
        if self._over:
            job.cancel()

    def cancel(self) -> None:
        """Those that still run; and no more are begun."""
        self._over = True
        for job in self._jobs:
            if not job.refresh().ended:
                job.cancel()


def _weights(student: str) -> str:
    """A folder of weights: given, or of this package."""
    if student.startswith("gs://"):
        return student
    ours = Path(str(resources.files("vertex_tuning"))) / "training" / "tiny"
    known = sorted(path.name for path in ours.iterdir())
    if student not in known:
        fix = f"a gs:// folder of weights, or one of: {', '.join(known)}"
        raise SpecError(
            "VT332", f'"{student}" is not a student that can be trained', where="student", fix=fix
        )
    return str(ours / student)


# In our own container


def _train(
    client: TuningClient, config: dict[str, Any], kind: str, seed: int, host: str, place: str, begun: _Begun
) -> dict[str, Any]:
    begun.check()
    step, called = f"{place}#{kind}-{seed}", f"student-{kind}-{seed}"
    run = begin_training(client, "step_by_step", config, step, host=host, display_name=called)
    begun.add(run)
    log.info("student with %s, seed %s: %s", kind, seed, run.name)
    trained = run.result()
    blob = blob_of(client, f"{trained.output_uri}/{_HELD_OUT}")
    said = json.loads(again(lambda: blob.download_as_bytes(retry=None)))
    steps = [event for event in trained.events if event["event"] == "step"]
    progress = run.refresh().progress()
    log.info("student with %s, seed %s: %s of the labels", kind, seed, _share(said["after"]["exact"]))
    return {
        "kind": kind,
        "seed": seed,
        "model": trained.model_uri,
        "job": trained.job,
        "seconds": progress.elapsed,
        "steps": len(steps),
        "losses": [[event["step"], event["label_loss"]] for event in steps],
        "exact": said["after"]["exact"],
        "chosen": said["after"]["chosen"],
        "before": {"exact": said["before"]["exact"], "chosen": said["before"]["chosen"]},
    }


def _share(exact: Sequence[bool]) -> str:
    return f"{sum(exact) / len(exact):.3f}"


# By the tuning service


def _tuned(
    client: TuningClient,
    rows: Path,
    held_out: Path,
    base_model: str,
    weight: int,
    place: str,
    begun: _Begun,
) -> Iterator[dict[str, Any]]:
    asked = list(data.read(held_out))
    before = _said(client, client.models.base(base_model).served_as, asked)
    for kind, repeated in ((RATIONALES, weight), (LABELS, 0)):
        mixed = rows.with_name(f"{kind}.jsonl")
        log.info("%s", distill.mix(rows, mixed, rationale_weight=repeated))
        given = {"base_model": base_model, "training": mixed, "display_name": f"student-{kind}"}
        job = begin(client, SupervisedTuning, f"{place}#{kind}", **given)
        begun.add(job)
        model = job.result()
        yield {
            "kind": kind,
            "seed": 0,
            "model": model.name,
            "job": job.name,
            "seconds": job.refresh().progress().elapsed,
            "steps": job.progress().steps,
            "losses": [],
            "exact": _said(client, model, asked),
            "chosen": [],
            "before": {"exact": before, "chosen": []},
        }


def _said(client: TuningClient, model: TunedModel | str, rows: Sequence[dict[str, Any]]) -> list[bool]:
    """Which rows a model labels rightly, word for word."""
    requests = [rationales.asked(row, rationales.LABEL) for row in rows]
    job = client.batch_predict(requests, model=model, temperature=0, max_output_tokens=_MOST_TOKENS)
    return [result.text.strip() == row["label"] for result, row in zip(job.results(), rows, strict=True)]
