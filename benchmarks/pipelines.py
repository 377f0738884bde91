"""What a pipeline costs beside what its steps do: ten steps in a row that do nothing, run here, and asked for again.

Beside ours stands `kfp.local` as a user would call it, told to take the environment as it is: its default makes a virtual
environment for each step, from the network. Both run the same compiled pipeline, in turns, in processes of their own; times
are of the clock.
"""

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._measure import Figure, Result, child, say

STEPS = 10
STEP_SECONDS = 0.2
AGAIN_SECONDS = 20.0


def measure(*, quick: bool) -> Result:
    """Seconds of a step, of a run, and of the same run again."""
    rounds: dict[str, list[dict[str, Any]]] = {"ours": [], "kfp": []}
    for turn in range(1 if quick else 5):
        say(f"pipelines: {turn + 1}")
        for who, program in (("ours", "pipeline_ours.py"), ("kfp", "pipeline_kfp.py")):
            with tempfile.TemporaryDirectory() as folder:
                spec = Path(folder) / "idle.yaml"
                _compile(spec)
                given = {"spec": str(spec), "folder": folder}
                rounds[who].append(child(program, given, {**os.environ, "VERTEX_TUNING_HOME": folder}))
    ours, other = ({name: _median(found, name) for name in found[0]} for found in rounds.values())
    beside = "`kfp.local`, without virtual environments"
    figures = [
        Figure(
            "a step of a pipeline that does nothing",
            ours["step"],
            "s",
            beside,
            other["step"],
            goal=f"< {STEP_SECONDS:g} s",
            reached=ours["step"] < STEP_SECONDS,
        ),
        Figure(
            f"a pipeline of {STEPS} such steps, from the call to its end",
            ours["run"],
            "s",
            beside,
            other["run"],
        ),
        Figure(
            "the same again, from the cache",
            ours["again"],
            "s",
            beside,
            other["again"],
            goal=f"< {AGAIN_SECONDS:g} s",
            reached=ours["again"] < AGAIN_SECONDS,
        ),
    ]
    return Result(figures, rounds)


def _median(found: list[dict[str, Any]], name: str) -> float:
    return statistics.median(float(one[name]) for one in found)


def idle(number: int) -> int:
    """A step that does as good as nothing; what it returns differs, so that no step is another one again."""
    return number + 1


def _compile(path: Path) -> None:
    from kfp import compiler, dsl

    step: Any = dsl.component(idle, base_image="registry.invalid/idle:1", install_kfp_package=False)

    def chain(number: int = 1) -> None:
        task = step(number=number)
        for _ in range(STEPS - 1):
            task = step(number=task.output)

    compiler.Compiler().compile(dsl.pipeline(chain, name="idle-steps"), str(path))
