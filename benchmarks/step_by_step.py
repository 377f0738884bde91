"""What rationales are worth: students that learn a teacher's labels and reasons, against students that learn the labels alone.

    python benchmarks/step_by_step.py             everything that is not there yet, into step_by_step.json and what is made of it
    python benchmarks/step_by_step.py --table     what is made of it alone: step_by_step.md, docs/step_by_step.svg

The data is the log of lamps (`scripts/sample_signals.py`): synthetic, its labels a composition. The teacher, tiny-0.9m, learns
from people's annotations and labels the questions through the emulator, by batch prediction; what it gets wrong is dropped.
Students, tiny-0.5m, learn 12.5, 25, 50 and 100 % of what is left, with three seeds, in as many steps of as many rows; labels
alone are learnt in twice the steps too, of all rows, which is about what rationales cost. All are asked for 400 held-out labels,
word for word. Intervals are paired bootstraps of 95 % over rows and seeds.

Each cell is kept as it is done, below VERTEX_TUNING_HOME: what was interrupted goes on.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import statistics
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks._measure import CORES, child, machine, run, say
from vertex_tuning import SupervisedTuning, connect, cost, data, distill, training
from vertex_tuning.config import home
from vertex_tuning.distill.parsing import written
from vertex_tuning.emulator.workers.process import scrubbed_environment
from vertex_tuning.evaluation import Comparison, compare
from vertex_tuning.evaluation.reports import Lines, Series, picture

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
DATA, TABLE = FOLDER / "step_by_step.json", FOLDER / "step_by_step.md"
DRAWING = ROOT / "docs" / "step_by_step.svg"
SAMPLES = ROOT / "samples" / "data"
TINY = Path(training.__file__).parent / "tiny"
TEACHER, STUDENT = "tiny-0.9m", "tiny-0.5m"
PRICED_AS = {"teacher": "gemini-2.5-pro", "student": "gemini-2.5-flash-lite"}
LABELS = ("positive", "negative")
SHARES = (0.125, 0.25, 0.5, 1.0)
SEEDS = (1, 2, 3)
STEPS = 700
WITH, ALONE, LONGER = "with rationales", "labels alone", "labels alone, twice the steps"
CELLS = {WITH: (1.0, STEPS), ALONE: (0.0, STEPS), LONGER: (0.0, 2 * STEPS)}
"""Weight of the rationales, and steps."""
TUNING: dict[str, Any] = {"epochs": 5, "adapter_size": 8, "learning_rate_multiplier": 1.5}
CONFIG = {"mode": "full", "batch_size": 32, "learning_rate": 3e-3, "last_checkpoint_only": True, "threads": 1}


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument(
        "--at-once", type=int, default=CORES, help="students that are trained beside each other"
    )
    options = parser.parse_args()
    if not options.table:
        measured = _measure(home() / "benchmarks" / "step-by-step", options.at_once)
        DATA.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    results = json.loads(DATA.read_text(encoding="utf-8"))
    TABLE.write_text(table(results), encoding="utf-8")
    DRAWING.write_text(drawing(results), encoding="utf-8")
    print(table(results))


def _measure(folder: Path, at_once: int) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    teacher = _teach(folder)
    learnt = [json.dumps(row) + "\n" for row in data.read(folder / "labelled.jsonl")]
    # All seeds of a share before the next: what is interrupted has whole lines of the table.
    asked = [
        (kind, share, seed)
        for share in (1.0, 0.25, 0.5, 0.125)
        for seed in SEEDS
        for kind in CELLS
        if kind != LONGER or share == 1.0
    ]
    with ThreadPoolExecutor(at_once) as pool:
        cells = list(pool.map(lambda cell: student(folder, learnt, *cell), asked))
    return {
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
        "teacher": teacher,
        "students": cells,
        "speed": _speed(folder, teacher),
    }


# The teacher


def _teach(folder: Path) -> dict[str, Any]:
    """Tune the teacher, let it label the questions and the held-out rows; `labelled.jsonl` is what is worth learning."""
    done = folder / "teacher.json"
    if done.exists():
        return dict(json.loads(done.read_text(encoding="utf-8")))
    shown = folder / "shown.jsonl"
    rows = [
        {
            "contents": [
                *row["contents"],
                {"role": "model", "parts": [{"text": written(row["rationale"], row["label"])}]},
            ]
        }
        for row in data.read(SAMPLES / "signals-teacher.jsonl")
    ]
    write(shown, rows)
    prompt = distill.TeacherPrompt(labels=LABELS)
    with connect("local", stand_in="tiny") as client:
        spec = SupervisedTuning(base_model=PRICED_AS["teacher"], training=shown, **TUNING)
        model = client.tune(spec).result()
        say(f"teacher: {model.name}")
        held_out = list(data.read(SAMPLES / "signals-held-out.jsonl"))
        job = client.batch_predict(
            [prompt.request(row["contents"]) for row in held_out],
            model=model,
            temperature=0,
            max_output_tokens=48,
        )
        said = [distill.parse(result.text) for result in job.results()]
        right = [
            parsed is not None and parsed.label == row["label"]
            for parsed, row in zip(said, held_out, strict=True)
        ]
        labelled = distill.label(
            client,
            SAMPLES / "signals-questions.jsonl",
            folder / "labelled.jsonl",
            teacher=model,
            prompt=prompt,
            max_output_tokens=48,
            again=True,
        )
    say(str(labelled))
    found = {
        "held_out": _bits(right),
        "rows": {
            key: getattr(labelled, key) for key in ("asked", "kept", "dropped", "gold_rows", "gold_agreed")
        },
        "prompt_tokens": labelled.prompt_tokens,
        "answer_tokens": labelled.answer_tokens,
    }
    done.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


# Students


def student(
    folder: Path,
    learnt: list[str],
    kind: str,
    share: float,
    seed: int,
    *,
    steps: int = 0,
    held_out: Path = SAMPLES / "signals-held-out.jsonl",
) -> dict[str, Any]:
    """One student: trained in a process of its own, unless it was before.

    Args:
        folder: Where what was done is kept.
        learnt: Labelled rows, as lines.
        kind: Of `CELLS`.
        share: Of the rows, the first of them.
        seed: Of the training.
        steps: Other ones than the kind has.
        held_out: Rows with labels.
    """
    weight, usual = CELLS[kind]
    steps = steps or usual
    rows = learnt[: round(share * len(learnt))]
    config = {
        **CONFIG,
        "model": str(TINY / STUDENT),
        "steps": steps,
        "evaluate_interval": steps,
        "seed": seed,
        "rationale_weight": weight,
        "validation": str(held_out),
    }
    key = hashlib.sha256(json.dumps([config, rows]).encode()).hexdigest()[:16]
    kept = folder / f"cell-{key}.json"
    if kept.exists():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    work = folder / key
    work.mkdir(exist_ok=True)
    (work / "rows.jsonl").write_text("".join(rows), encoding="utf-8")
    config |= {"training": str(work / "rows.jsonl"), "output": str(work / "output")}
    (work / "config.json").write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "vertex_tuning.training", "--method", "step_by_step"]
    ended = run(
        [*command, "--config", str(work / "config.json")], scrubbed_environment({"OMP_NUM_THREADS": "1"})
    )
    said = json.loads((work / "output" / "held_out.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {
        "kind": kind,
        "share": share,
        "rows": len(rows),
        "seed": seed,
        "steps": steps,
        "cpu_seconds": round(ended.cpu_seconds, 1),
        "seconds": round(ended.seconds, 1),
        "exact": _bits(said["after"]["exact"]),
        "choice": statistics.fmean(map(str.__eq__, said["after"]["chosen"], said["after"]["right"])),
        "untuned": _bits(said["before"]["exact"]),
        "untuned_choice": statistics.fmean(
            map(str.__eq__, said["before"]["chosen"], said["before"]["right"])
        ),
    }
    kept.write_text(json.dumps(found) + "\n", encoding="utf-8")
    right = found["exact"].count("1") / len(found["exact"])
    say(f"{kind}, {share:.1%}, seed {seed}: {right:.3f}, {found['cpu_seconds']} CPU-s")
    return found


def _speed(folder: Path, teacher: dict[str, Any]) -> dict[str, Any]:
    """The teacher, which says why before each label, and the student, which says the label."""
    kept = folder / "speed.json"
    if not kept.exists():
        tokens = {"teacher": round(teacher["answer_tokens"] / teacher["rows"]["asked"]), "student": 2}
        models = {"teacher": TEACHER, "student": STUDENT}
        found = {
            role: {
                "name": models[role],
                **child(
                    "say.py",
                    {
                        "model": str(TINY / models[role]),
                        "prompts": str(SAMPLES / "signals-held-out.jsonl"),
                        "tokens": tokens[role],
                        "threads": CORES,
                    },
                    scrubbed_environment({"OMP_NUM_THREADS": str(CORES)}),
                ),
            }
            for role in models
        }
        kept.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return dict(json.loads(kept.read_text(encoding="utf-8")))


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows, as JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _bits(hits: list[bool]) -> str:
    return "".join("01"[hit] for hit in hits)


def scores(results: dict[str, Any], kind: str, share: float) -> list[list[float]]:
    """By seed, then by held-out row."""
    found = {
        cell["seed"]: [float(hit) for hit in cell["exact"]]
        for cell in results["students"]
        if (cell["kind"], cell["share"]) == (kind, share)
    }
    return [found[seed] for seed in SEEDS]


# What is made of it


def comparisons(results: dict[str, Any]) -> Iterator[tuple[str, Comparison]]:
    """Each share with rationales, against labels alone: of the same rows, and of all."""
    for share in SHARES:
        ours = scores(results, WITH, share)
        yield f"{share:.1%} against the same rows", compare(scores(results, ALONE, share), ours)
        if share < 1:
            yield f"{share:.1%} against all rows", compare(scores(results, ALONE, 1.0), ours)
    yield (
        "100% against all rows, twice the steps",
        compare(scores(results, LONGER, 1.0), scores(results, WITH, 1.0)),
    )


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    rows, where = results["teacher"]["rows"], results["machine"]
    lines = [
        f"{len(results['students'][0]['exact'])} held-out rows, {len(SEEDS)} seeds, {STEPS} steps of "
        f"{CONFIG['batch_size']} rows; {where['cpu']}, {where['cores']} cores, {results['date']}.",
        "",
        "| learnt | rows | labels alone (its seeds) | with rationales (its seeds) | gain, 95 % interval |",
        "|--:|--:|--:|--:|--:|",
    ]
    found = dict(comparisons(results))
    for share in SHARES:
        one = found[f"{share:.1%} against the same rows"]
        count = next(cell["rows"] for cell in results["students"] if cell["share"] == share)
        lines.append(
            f"| {share:.1%} | {count:,} | {one.baseline:.3f} ({_seeds(one.baseline_by_seed)}) "
            f"| **{one.candidate:.3f}** ({_seeds(one.candidate_by_seed)}) "
            f"| {one.difference:+.3f}, {one.low:+.3f} to {one.high:+.3f} |"
        )
    lines += ["", "| with rationales | against labels alone of | gain, 95 % interval |", "|--:|---|--:|"]
    for name, one in found.items():
        ours, _, theirs = name.partition(" against ")
        if theirs != "the same rows":
            lines.append(
                f"| {ours}: {one.candidate:.3f} | {theirs}: {one.baseline:.3f} "
                f"| {one.difference:+.3f}, {one.low:+.3f} to {one.high:+.3f} |"
            )
    seconds = {
        kind: statistics.median(cell["cpu_seconds"] for cell in results["students"] if cell["kind"] == kind)
        for kind in (WITH, ALONE)
    }
    price = (
        f"In as many steps, a student takes {seconds[WITH]:.0f} CPU seconds with rationales and {seconds[ALONE]:.0f} without "
        "(medians over shares and seeds)."
    )
    return "\n".join([*lines, "", price, "", *_takes(results), "", _told(rows, results["teacher"])]) + "\n"


def _takes(results: dict[str, Any]) -> list[str]:
    """Who is how good, how large and how quick."""
    speed = results["speed"]
    held_out = results["teacher"]["held_out"]
    untuned = results["students"][0]["untuned"]
    lines = [
        "| model | right, word for word | parameters | seconds to an answer | tokens/s, one at a time | tokens/s, 64 together "
        "| tokens answered | US$ for 1,000 answers |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    quality = {
        "teacher": held_out.count("1") / len(held_out),
        "student, with rationales": _mean(scores(results, WITH, 1.0)),
        "student, labels alone": _mean(scores(results, ALONE, 1.0)),
        "student, untuned": untuned.count("1") / len(untuned),
    }
    for name, right in quality.items():
        role = name.partition(",")[0]
        one = speed[role]
        tokens = {"prompt_tokens": one["prompt_tokens"], "answer_tokens": one["answer_tokens"]}
        dollars = cost.answers(PRICED_AS[role], **tokens, tuned="untuned" not in name)
        lines.append(
            f"| {name} ({one['name']}) | {right:.3f} | {one['parameters']:,} | {one['seconds']:.4f} "
            f"| {one['tokens_per_second']:,.0f} "
            f"| {one['tokens_per_second_together']:,.0f} | {one['answer_tokens']} | {dollars:.4f} |"
        )
    priced = " and ".join(f"the {role} as {model}" for role, model in PRICED_AS.items())
    lines += [
        "",
        f"Answers are priced as if they were given by others, {priced}: by the catalog's list, and the tokens counted here. "
        "The models themselves have no price. Tokens a second are those of answers of 32.",
    ]
    return lines


def _told(rows: dict[str, Any], teacher: dict[str, Any]) -> str:
    return (
        f"The teacher was asked {rows['asked']:,} rows for {teacher['prompt_tokens']:,} tokens of prompts and "
        f"{teacher['answer_tokens']:,} of answers; {rows['kept']:,} are worth learning, it agrees with people on "
        f"{rows['gold_agreed']:,} of {rows['gold_rows']:,}."
    )


def drawing(results: dict[str, Any]) -> str:
    """The curve, as an SVG that stands alone."""
    x = [100 * share for share in SHARES]
    series = []
    for kind in (WITH, ALONE):
        by_share = [[statistics.fmean(run) for run in scores(results, kind, share)] for share in SHARES]
        series.append(
            Series(
                kind,
                x,
                [statistics.fmean(means) for means in by_share],
                [min(means) for means in by_share],
                [max(means) for means in by_share],
            )
        )
    lines = Lines(
        "Right labels by rows learnt",
        series,
        x_label="% of the labelled rows",
        y_label="right, word for word",
        log_x=True,
        x_ticks={value: f"{value:g}" for value in x},
        level=_mean(scores(results, LONGER, 1.0)),
        level_name="labels alone, all rows, twice the steps",
    )
    return picture(lines)


def _mean(scores: list[list[float]]) -> float:
    return statistics.fmean(map(statistics.fmean, scores))


def _seeds(means: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.3f}" for value in means)


if __name__ == "__main__":
    main()
