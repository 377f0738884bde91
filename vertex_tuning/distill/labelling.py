"""A teacher labels rows, and says why: by one batch prediction job, at half the price of asking one by one, and resumable."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import data
from vertex_tuning.data.requests import ID, prepare
from vertex_tuning.distill.checking import REASONS, Answer, Checks, Verdict, judge
from vertex_tuning.errors import DatasetError, ServiceError, SpecError

if TYPE_CHECKING:
    from vertex_tuning.batches import BatchJob, BatchResult
    from vertex_tuning.client import TuningClient
    from vertex_tuning.distill.prompting import TeacherPrompt
    from vertex_tuning.models import Model

_GOLD = "gold"
_CUT_OFF = "MAX_TOKENS"
_SEPARATOR = "#"
_REASONS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Labelled:
    """What came of it, and what it took: the manifest beside the rows."""

    path: str
    """JSONL file of the rows that are worth learning: `contents`, `label`, `rationale`, `id`, and `gold` where there was one."""
    teacher: str
    job: str
    """Name of the batch prediction job."""
    digest: str
    """SHA-256 of what was asked and how: the same for an identical run."""
    asked: int
    """Rows, copies not counted."""
    kept: int
    dropped: dict[str, int]
    """Rows that were dropped, by reason."""
    samples: int
    """Answers to each row."""
    prompt_tokens: int
    """Of the teacher, in all requests, as the service counts."""
    answer_tokens: int
    gold_rows: int
    """Rows to which people gave a label, and the teacher one that can be read."""
    gold_agreed: int
    """Those of them on which the two agree."""
    checks: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.kept:,} of {self.asked + self.dropped.get('duplicate', 0):,} rows"]
        lines += [
            f"  {count:,} dropped, {reason}: {REASONS[reason]}" for reason, count in self.dropped.items()
        ]
        if self.gold_rows:
            lines.append(
                f"  the teacher agrees with people on {self.gold_agreed:,} of {self.gold_rows:,} rows"
            )
        lines.append(
            f"  teacher tokens: {self.prompt_tokens:,} asked, {self.answer_tokens:,} answered, at the price of a batch"
        )
        return "\n".join(lines)


@dataclass(slots=True)
class _Row:
    """A row that the teacher is asked."""

    id: str
    request: dict[str, Any]
    gold: str | None


def label(
    client: TuningClient,
    rows: str | os.PathLike[str] | Iterable[Any],
    output: str | os.PathLike[str],
    *,
    teacher: Model | str,
    prompt: TeacherPrompt,
    checks: Checks | None = None,
    samples: int = 1,
    temperature: float | None = None,
    max_output_tokens: int = 256,
    seed: int = 42,
    again: bool = False,
    progress: data.UploadProgress | None = None,
    follow: Callable[[BatchJob], None] | None = None,
) -> Labelled:
    """Let a teacher label rows, check what it says, and write what is worth learning.

    Beside OUTPUT stand `OUTPUT.dropped.jsonl`, every row that was dropped with its reason and the teacher's words, and
    `OUTPUT.manifest.json`. The name of the job is in the manifest as soon as there is one: the same call after an interruption
    goes on with that job, running or ended, and pays for nothing twice.

    Args:
        client: Who is asked.
        rows: What `batch_predict` takes, each with a `gold` label where people gave one: `{"id": "a", "prompt": "...",
            "gold": "positive"}`. Rows that ask the same are asked once.
        output: JSONL file for the rows that are kept.
        teacher: A model of the catalog, or a tuned one, or the name of one.
        prompt: How it is asked.
        checks: What its answers are held against.
        samples: Answers to each row; of several, the label that most give is taken.
        temperature: Left out: 0 for one sample, 0.7 for several.
        max_output_tokens: Longest answer.
        seed: Of the samples.
        again: Ask anew, even where the same was asked before.
        progress: Told how the upload goes: (bytes done, bytes in all).
        follow: Given the job, to be watched until it has ended; left out, it is waited for.

    Raises:
        DatasetError: Every fault of the rows; VT254, not one answer is worth learning.
        SpecError: VT330 a number that makes no sense; VT331, OUTPUT is of another run; and as `batch_predict`.
        JobFailedError, JobCancelledError: The job ended badly.
    """
    checks = checks or Checks()
    if samples < 1:
        raise SpecError("VT330", f"{samples} samples", where="samples", fix="1 or more")
    if not 0.0 <= checks.agreement < 1.0:
        raise SpecError("VT330", f"{checks.agreement:g}", where="agreement", fix="a share from 0 to below 1")
    found, duplicates = _read(rows, prompt.labels)
    options: dict[str, Any] = {
        "temperature": temperature if temperature is not None else 0.0 if samples == 1 else 0.7,
        "max_output_tokens": max_output_tokens,
    }
    requests = list(_requests(found, prompt, samples, seed))
    who = teacher if isinstance(teacher, str) else teacher.served_as
    digest = _digest([who, options, [asdict(row) for row in found], requests])
    target = Path(output)
    manifest = target.with_name(f"{target.name}.manifest.json")
    job = None if again else _resumed(client, target, manifest, digest)
    if job is None:
        job = client.batch_predict(requests, model=teacher, again=again, progress=progress, **options)
        _write(manifest, {"digest": digest, "job": job.name, "teacher": who})
    if not job.ended:
        (follow or _wait)(job)
    results = job.results()
    answers = _by_row(results)
    verdicts = [judge(answers[row.id], prompt.labels, checks, row.gold) for row in found]
    _write_rows(target, found, answers, verdicts)
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason)
    reasons["duplicate"] = duplicates
    compared = [verdict.agrees for verdict in verdicts if verdict.agrees is not None]
    done = Labelled(
        path=str(target),
        teacher=who,
        job=job.name,
        digest=digest,
        asked=len(found),
        kept=sum(verdict.parsed is not None for verdict in verdicts),
        dropped={reason: reasons[reason] for reason in REASONS if reasons[reason]},
        samples=samples,
        prompt_tokens=sum((result.answer.prompt_tokens or 0) for result in results if result.answer),
        answer_tokens=sum((result.answer.answer_tokens or 0) for result in results if result.answer),
        gold_rows=len(compared),
        gold_agreed=sum(compared),
        checks=checks.to_json(),
    )
    _write(manifest, done.to_json())
    if not done.kept:
        words = ", ".join(
            f"{count:,} {reason}" for reason, count in list(done.dropped.items())[:_REASONS_SHOWN]
        )
        raise DatasetError(
            "VT254",
            f"not one of {done.asked:,} answers is worth learning: {words}",
            where=str(target),
            why=f"{_dropped(target)} holds each answer and its reason.",
            fix="give the teacher examples that show the form, a longer answer, or take a larger teacher",
        )
    return done


def _wait(job: BatchJob) -> None:
    job.wait()


# What is asked


def _read(rows: Any, labels: Sequence[str]) -> tuple[list[_Row], int]:
    """The rows that the teacher is asked, each once; and how many were copies."""
    lines = io.BytesIO()
    report = prepare(rows, {}, lines)
    found: list[_Row] = []
    seen: set[str] = set()
    for number, line in enumerate(lines.getvalue().splitlines(), 1):
        row = json.loads(line)
        gold = row.get(_GOLD)
        if gold is not None and gold not in labels:
            what = f"{json.dumps(gold)} is not one of the labels"
            report.add(number, "VT250", _GOLD, what, fix=f"one of {', '.join(labels)}; or leave it out")
        asks = json.dumps(row["request"], sort_keys=True)
        if asks not in seen:
            seen.add(asks)
            found.append(_Row(row[ID], row["request"], gold))
    data.raise_for_faults(report)
    return found, report.rows - len(found)


def _requests(
    rows: Iterable[_Row], prompt: TeacherPrompt, samples: int, seed: int
) -> Iterable[dict[str, Any]]:
    for row in rows:
        body = {**row.request, **prompt.request(row.request["contents"])}
        for sample in range(samples):
            name = f"{row.id}{_SEPARATOR}{sample + 1}"
            own = {**body.get("generationConfig", {}), "seed": seed + sample}
            yield {ID: name, "request": {**body, "generationConfig": own}}


def _digest(told: Any) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _resumed(client: TuningClient, target: Path, manifest: Path, digest: str) -> BatchJob | None:
    """The job that an earlier, identical call began; None where there is none any more."""
    try:
        before = json.loads(manifest.read_text(encoding="utf-8"))
        name, of = str(before["job"]), before["digest"]
    except FileNotFoundError:
        name, of = "", None
    except (ValueError, KeyError, TypeError):
        name, of = "", "unreadable"
    if of is None and not target.exists():
        return None
    if of != digest:
        raise SpecError(
            "VT331",
            "it stands there already, and is of another run: other rows, prompt, teacher or samples",
            where=str(target),
            fix=f"give another output, or remove {manifest} and {target}",
        )
    try:
        job = client.batches.get(name)
    except ServiceError as error:
        if error.code == 404:
            return None
        raise
    from vertex_tuning.following import ENDED, SUCCEEDED

    return None if job.state in ENDED and job.state not in SUCCEEDED else job


# What is answered


def _by_row(results: Iterable[BatchResult]) -> dict[str, list[Answer]]:
    found: defaultdict[str, list[Answer]] = defaultdict(list)
    for result in results:
        cut = result.answer is not None and result.answer.finish_reason == _CUT_OFF
        found[result.id.rpartition(_SEPARATOR)[0]].append(Answer(result.text, not cut))
    return found


def _write_rows(
    target: Path, rows: Sequence[_Row], answers: Mapping[str, list[Answer]], verdicts: Sequence[Verdict]
) -> None:
    kept, dropped = [], []
    for row, verdict in zip(rows, verdicts, strict=True):
        about: dict[str, Any] = {ID: row.id, "contents": row.request["contents"]}
        if system := row.request.get("systemInstruction", row.request.get("system_instruction")):
            about["systemInstruction"] = system
        if row.gold is not None:
            about[_GOLD] = row.gold
        if verdict.parsed is not None:
            kept.append({**about, "label": verdict.parsed.label, "rationale": verdict.parsed.rationale})
        else:
            said = [answer.text for answer in answers[row.id]]
            dropped.append({**about, "reason": verdict.reason, "answers": said})
    for path, items in ((target, kept), (_dropped(target), dropped)):
        _write_text(path, "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items))


def _dropped(target: Path) -> Path:
    return target.with_name(f"{target.name}.dropped.jsonl")


def _write(path: Path, told: dict[str, Any]) -> None:
    _write_text(path, json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    """Whole or not at all."""
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
