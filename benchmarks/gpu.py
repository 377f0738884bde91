"""Our training on a GPU: how fast beside TRL, how much memory beside what we say before it is paid for, and whether it repeats.

    python benchmarks/gpu.py                  all of it, into gpu.json and gpu.md
    python benchmarks/gpu.py speed same       these; the others keep their earlier figures

For a machine with a GPU and nothing else to do. Each run is a process of its own; a step's time is the median of all but the
first two, and the quickest stands beside it: with small models the processor decides, which starts the kernels, and a virtual
one is not always quick. Models of 1 and 8 billion have the shapes of Llama 3.2 1B and Llama 3.1 8B and weights of noise: what
they learn is nothing, what they cost is the same. Rows are of 512 tokens, half of them the answer; LoRA of rank 8 and alpha 16
on every linear layer. TRL is given the base in bf16, which is its leanest way, and in fp32 under autocast.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._measure import CORES, child, machine, number, say
from tests.training.killed import killed_and_begun_again
from vertex_tuning import catalog, fitting
from vertex_tuning.cli import demo
from vertex_tuning.config import home
from vertex_tuning.emulator.weights import WeightsStore
from vertex_tuning.training.config import SupervisedConfig

FOLDER = Path(__file__).resolve().parent
DATA, TABLE = FOLDER / "gpu.json", FOLDER / "gpu.md"
STAND_IN = "smollm2-135m-instruct"
TOKENS, STEPS, SEED = 512, 10, 42
_LLAMA: dict[str, Any] = {"vocab_size": 128_256, "num_attention_heads": 32, "num_key_value_heads": 8}
SHAPES: dict[str, dict[str, Any]] = {
    "1B": {
        **_LLAMA,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "tie_word_embeddings": True,
    },
    "8B": {
        **_LLAMA,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "tie_word_embeddings": False,
    },
}
ADAPTER: dict[str, Any] = {"mode": "adapter"}
LEAN: dict[str, Any] = {"mode": "adapter", "gradient_checkpointing": True}
FULL: dict[str, Any] = {"mode": "full"}
OURS: dict[str, dict[str, Any]] = {"": {}}
TRL: dict[str, dict[str, Any]] = {
    "TRL, bf16 base": {"dtype": "bfloat16", "bf16": True, "options": {"max_length": None}},
    "TRL, fp32 base": {"dtype": "float32", "bf16": True, "options": {"max_length": None}},
}
"""What TRL is told beside the config; we are told nothing else."""
RUNS: list[tuple[str, str, dict[str, Any], int, dict[str, dict[str, Any]]]] = [
    ("1B", "supervised", ADAPTER, 8, OURS | TRL),
    ("1B", "supervised", LEAN, 8, OURS),
    ("1B", "supervised", FULL, 8, OURS),
    ("1B", "preference", ADAPTER, 4, OURS),
    ("8B", "supervised", LEAN, 4, OURS | {"TRL, bf16 base": TRL["TRL, bf16 base"]}),
    ("8B", "supervised", ADAPTER, 4, OURS),
]
"""Shape, way, settings, batch, and who trains."""
PARTS = ("shapes", "speed", "same")


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without")
    parser.add_argument("--only", metavar="SHAPE", choices=SHAPES, help="of the shapes, this one: 1B or 8B")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where gpu.json and gpu.md are kept")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    if "gpus" not in machine():
        parser.error("there is no GPU here")
    kept = options.folder / DATA.name
    results = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    results |= {"machine": machine(), "date": datetime.date.today().isoformat()}

    def keep(part: str, found: Any) -> None:
        results[part] = found
        kept.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")

    with tempfile.TemporaryDirectory(prefix="vertex-tuning-gpu-") as folder:
        for part in options.parts or PARTS:
            if part == "shapes":
                rows = [one for one in results.get(part, []) if options.only not in (None, one["shape"])]
                for name in [options.only] if options.only else SHAPES:
                    for one in _shapes(name, Path(folder)):
                        rows.append(one)
                        keep(part, rows)
            else:
                keep(part, _speed(Path(folder)) if part == "speed" else _same(Path(folder)))
    (options.folder / TABLE.name).write_text(table(results), encoding="utf-8")
    print(table(results))


def _shapes(name: str, folder: Path) -> Any:
    """One after the other."""
    model = folder / name
    given = {"model": str(model), "shape": SHAPES[name], "tokens": TOKENS, "rows": 64}
    made = child("shaped.py", given)
    for where, method, settings, batch, trainers in RUNS:
        if where != name:
            continue
        config = {
            **_config(model, model / ("pairs.jsonl" if method == "preference" else "examples.jsonl"), folder),
            **settings,
            "steps": STEPS,
            "batch_size": batch,
            "max_tokens": TOKENS + 64,  # the other answer of a pair may have a token more
        }
        for who, trainer in trainers.items():
            found = _steps(trainer, method, config, folder)
            told = {"shape": name, "parameters": made["parameters"], "method": method, **settings}
            sequences = batch * (2 if method == "preference" else 1)
            yield {
                **told,
                "who": who,
                "batch": batch,
                "tokens": TOKENS,
                "sequences": sequences,
                **found,
            }
    shutil.rmtree(model)


def _steps(trainer: dict[str, Any], method: str, config: dict[str, Any], folder: Path) -> dict[str, Any]:
    output = tempfile.mkdtemp(dir=folder)
    config = {**config, "output": output}
    if trainer:
        found = child("train_trl.py", {**config, **trainer})
    else:
        found = child("step_ours.py", {"method": method, "config": config})
    shutil.rmtree(output, ignore_errors=True)
    say(
        f"{'TRL' if trainer else 'ours'}, {method}, {config['model']}: {_times(found)} s, {found['allocated'] / 1e9:.1f} GB"
    )
    return {name: found[name] for name in ("seconds", "allocated", "reserved")}


def _config(model: Path, training: Path, folder: Path) -> dict[str, Any]:
    return {
        "model": str(model),
        "training": str(training),
        "output": str(folder / "output"),
        "learning_rate": 1e-4,
        "adapter_size": 8,
        "epochs": 1,
        "seed": SEED,
        "threads": CORES,
        "last_checkpoint_only": True,
    }


def _reviews(folder: Path) -> dict[str, Any]:
    """SmolLM2 and the film reviews of the demo."""
    store = WeightsStore(home() / "weights")
    model = store.pull(STAND_IN, progress=say)
    training, _ = demo._examples(home() / "datasets", 1)
    rows = folder / "reviews.jsonl"
    rows.write_text("".join(f"{json.dumps(demo._row(*one))}\n" for one in training), encoding="utf-8")
    rate = catalog.stand_in(STAND_IN).learning_rate_adapter
    return {**_config(model, rows, folder), "learning_rate": rate, "epochs": 4, "batch_size": 8}


def _speed(folder: Path) -> dict[str, Any]:
    """A small model, real rows: most of the time goes into starting kernels."""
    config = _reviews(folder)
    return {who or "ours": _steps(one, "supervised", config, folder) for who, one in (OURS | TRL).items()}


def _same(folder: Path) -> dict[str, Any]:
    """The same run three times: twice in one go, and once killed after its first checkpoint and begun again."""
    config = {**_reviews(folder), "epochs": 2, "last_checkpoint_only": False}

    def digest(output: Path) -> str:
        last = max((output / "checkpoints").iterdir(), key=lambda path: int(path.name))
        return hashlib.sha256((last / "adapter_model.safetensors").read_bytes()).hexdigest()

    found = []
    for name in ("first", "second"):
        output = folder / name
        told = {"method": "supervised", "config": {**config, "output": str(output)}}
        losses = child("step_ours.py", told)["losses"]
        found.append({"run": name, "sha256": digest(output), "losses": losses})
    output = folder / "killed"
    again: dict[str, Any] = {**config, "output": str(output)}
    events = killed_and_begun_again(SupervisedConfig(**again), folder / "killed.json")
    losses = [event["loss"] for event in events if event["event"] == "step"]
    found.append({"run": "killed and begun again", "sha256": digest(output), "losses": losses})
    return {"runs": found}


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    where = results["machine"]
    lines = [
        f"{', '.join(where['gpus'])}; {where['cpu']}, {where['cores']} cores; {results['date']}. "
        "Seconds: median, and the quickest.",
        "",
        "| model | way | rows a step | trained by | seconds a step | tokens/s | memory | said before |",
        "|---|---|--:|---|--:|--:|--:|--:|",
    ]
    for one in results.get("shapes", ()):
        way = f"{one['method']}, {'every weight' if one['mode'] == 'full' else 'adapter'}"
        way += ", gradient checkpointing" if one.get("gradient_checkpointing") else ""
        said = "" if one["who"] else f"{_estimate(one) / 1e9:.1f} GB"
        speed = number(one["sequences"] * one["tokens"] / statistics.median(one["seconds"][1:]))
        lines.append(
            f"| {one['shape']} | {way} | {one['sequences']} x {one['tokens']} tokens | {one['who'] or 'vertex-tuning'} "
            f"| {_times(one)} | {speed} | {one['allocated'] / 1e9:.1f} GB | {said} |"
        )
    for who, one in results.get("speed", {}).items():
        lines.append(
            f"| SmolLM2 135M | supervised, adapter | 8 film reviews | {'vertex-tuning' if who == 'ours' else who} "
            f"| {_times(one)} | | {one['allocated'] / 1e9:.1f} GB | |"
        )
    if runs := results.get("same", {}).get("runs"):
        alike = len({one["sha256"] for one in runs}) == 1
        lines += [
            "",
            f"SmolLM2 on the film reviews, {', '.join(one['run'] for one in runs)}: the adapters are "
            f"{'the same, byte for byte' if alike else 'not the same'}.",
        ]
    return "\n".join(lines) + "\n"


def _times(one: dict[str, Any]) -> str:
    seconds = one["seconds"][1:]
    return f"{statistics.median(seconds):.3f}, {min(seconds):.3f}"


def _estimate(one: dict[str, Any]) -> int:
    """Bytes, as `fitting` has it."""
    of = SHAPES[one["shape"]]
    shape = fitting.Shape(one["parameters"], of["hidden_size"], of["num_hidden_layers"], of["vocab_size"])
    return fitting.Run(
        shape=shape,
        method=one["method"],
        mode=one["mode"],
        batch_size=one["batch"],
        max_tokens=one["tokens"],
        gradient_checkpointing=one.get("gradient_checkpointing", False),
    ).memory("gpu")


if __name__ == "__main__":
    main()
