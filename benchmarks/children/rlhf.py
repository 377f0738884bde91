"""The steps of the pipeline `rlhf`, one after the other in this process: what they train is trained here, and in no custom job.

Everything else is theirs: the sets, what each way of training is told, who is preferred, which checkpoint is kept.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from vertex_tuning.custom import Trained
from vertex_tuning.pipelines.steps import rlhf as steps
from vertex_tuning.training import methods

given = json.loads(sys.argv[1])
folder, told = Path(given["folder"]), given["parameters"]
places = iter(range(1_000))


def trained(_: Any, method: str, config: dict[str, Any], weights: str, host: str, place: str) -> Trained:
    """In the place of a custom job."""
    del host, place
    output = folder / f"{next(places)}-{method}"
    events: list[dict[str, Any]] = []
    whole = {
        "model": weights,
        "max_tokens": 512,
        "output": str(output),
        "threads": given["threads"],
        **config,
    }
    methods.run(method, whole, events.append)
    if events[-1]["event"] != "done":
        raise SystemExit(f"{method}: {events[-1]}")
    checkpoints = [
        {**one, "uri": str(output / "checkpoints" / one["checkpoint_id"])}
        for one in events[-1]["checkpoints"]
    ]
    return Trained("", str(output), checkpoints, events, None)  # type: ignore[arg-type]


def copied(_: Any, source: str, target: Path) -> None:
    """In the place of a download."""
    shutil.copy(source, target)


client = SimpleNamespace(connection=SimpleNamespace(storage=None))
for name, instead in (
    ("connect", lambda: contextlib.nullcontext(client)),
    ("_run", trained),
    ("download_folder", copied),
):
    setattr(steps, name, instead)

where = {"weights": given["weights"], "host": "here", "place": "here"}
counts = ("demonstrations", "questions", "prompts", "held_out", "test")
sets, preferences = str(folder / "sets"), str(folder / "preferences")
# Every seed has the same sets: they differ in how they are learnt.
steps.prepare(sets, **{name: told[name] for name in counts}, seed=told["seed"])
seed = given["seed"]
shown = steps.tune_by_example(
    sets,
    **where,
    epochs=told["example_epochs"],
    learning_rate=told["example_learning_rate"],
    seed=seed,
    model=str(folder / "model.json"),
    about={},
)
pairs = steps.prefer(sets, model=shown, **where, preferences=preferences, seed=seed)
judge = steps.reward_model(
    preferences,
    model=shown,
    **where,
    card=str(folder / "card.json"),
    figures={},
    epochs=told["reward_epochs"],
    learning_rate=told["reward_learning_rate"],
    seed=seed,
)
reinforced = steps.reinforce(
    sets,
    model=shown,
    judge=judge.uri,
    **where,
    history=str(folder / "history.json"),
    figures={},
    steps=told["steps_of_reinforcement"],
    **{
        name: told[name]
        for name in ("batch_size", "samples_per_prompt", "max_output_tokens", "learning_rate", "beta")
    },
    look_every=told["look_every"],
    seed=seed,
)
found: dict[str, Any] = {"seed": seed, "pairs": pairs._asdict(), "judge": judge._asdict()}
found["reinforced"] = {"hacked": reinforced.hacked, "kl": reinforced.kl}
found["kept_step"] = json.loads((folder / "history.json").read_text(encoding="utf-8"))["kept_step"]
for which, model in (("before", shown), ("after", reinforced.model)):
    path = folder / f"{which}.jsonl"
    steps.answer(
        sets,
        model=model,
        judge=judge.uri,
        **where,
        answers=str(path),
        samples_per_prompt=given["samples"],
        max_output_tokens=told["max_output_tokens"],
    )
    answers = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found[which] = {
        name: {
            "sampled": [statistics.fmean(one[name] for one in row["sampled"]) for row in answers],
            "likeliest": [row["likeliest"][name] for row in answers],
        }
        for name in ("measure", "reward", "length", "repetition")
    }
print(json.dumps(found))
