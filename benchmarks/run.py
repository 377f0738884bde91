"""Measure what the README quotes.

    python benchmarks/run.py                      everything, into results.md and results.json
    python benchmarks/run.py training storage     these; the others keep their earlier figures
    python benchmarks/run.py --quick              fewer repeats, printed only: to see that it works

Nothing here fails because a figure is bad: it says whether its goal was reached. Figures are worth something on a machine that
has nothing else to do; the load before each benchmark is written down with them.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
from pathlib import Path
from typing import Any

from benchmarks._measure import machine, number, say

FOLDER = Path(__file__).resolve().parent
TABLE = FOLDER / "results.md"
DATA = FOLDER / "results.json"
BENCHMARKS = ("imports", "datasets", "server", "storage", "job", "training", "reinforcement", "pipelines")


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all without")
    parser.add_argument("--quick", action="store_true", help="fewer repeats; nothing is written")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    # Some environments keep Python from writing bytecode; whoever installed with pip has it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    results: dict[str, Any] = {"benchmarks": {}}
    if not options.quick and DATA.exists():
        results = json.loads(DATA.read_text(encoding="utf-8"))
    for name in BENCHMARKS:
        if options.names and name not in options.names:
            continue
        load = round(os.getloadavg()[0], 2)
        say(f"{name}: (load {load})")
        found = importlib.import_module(f"benchmarks.{name}").measure(quick=options.quick)
        results["benchmarks"][name] = {
            "date": datetime.date.today().isoformat(),
            "load_before": load,
            "machine": machine(),
            "figures": [figure.to_json() for figure in found.figures],
            "details": found.details,
        }
    print(table(results))
    if not options.quick:
        TABLE.write_text(table(results), encoding="utf-8")
        DATA.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    machines: list[dict[str, Any]] = []
    rows = []
    for name in BENCHMARKS:
        if name in results["benchmarks"]:
            part = results["benchmarks"][name]
            if part["machine"] not in machines:
                machines.append(part["machine"])
            where = "ABC"[machines.index(part["machine"])]
            when = f"{part['date']}, {part['load_before']}, {where}"
            rows += [_line(figure, when) for figure in part["figures"]]
    lines = [
        "Ratio: how many times better than what stands beside it, from the same run on the same machine.",
        "",
    ]
    for letter, one in zip("ABC", machines, strict=False):
        bf16 = "with" if one["avx512_bf16"] else "without"
        lines.append(
            f"- Machine {letter}: {one['cpu']}, {one['cores']} cores {bf16} avx512_bf16, {one['memory_gb']} GB; "
            f"{one['system']}, Python {one['python']}."
        )
    lines += [
        "",
        "| measured | vertex-tuning | beside it | ratio | goal | date, load before, machine |",
        "|---|--:|--:|--:|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _line(figure: dict[str, Any], when: str) -> str:
    beside = ratio = goal = ""
    if figure["other"] is not None:
        beside = f"{number(figure['other'])} {figure['unit']} ({figure['beside']})"
    if figure["ratio"] is not None:
        ratio = f"{figure['ratio']:.2f}"
    if figure["goal"]:
        goal = f"{figure['goal']}: {'reached' if figure['reached'] else '**missed**'}"
    ours = f"{number(figure['ours'])} {figure['unit']}"
    return f"| {figure['what']} | {ours} | {beside} | {ratio} | {goal} | {when} |"


if __name__ == "__main__":
    main()
