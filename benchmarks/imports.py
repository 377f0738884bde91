"""What an import costs: CPU time (user and system, which other work on the machine disturbs least) and modules.

Each statement runs in a Python of its own, in turns; figures are medians over a bare `python -c pass`. Beside `import
vertex_tuning` stand the clients of Google's that a program would import to tune a model without us. Since our names are loaded
when they are used, the import together with the names of a first program is measured too. Bytecode is compiled beforehand, as
pip does.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from benchmarks._measure import Figure, Result, run, say

PASS = "pass"
OURS = "import vertex_tuning"
NAMES = "from vertex_tuning import SupervisedTuning, connect"
GENAI = "import google.genai"
VERTEXAI = "import vertexai"
STATEMENTS = (PASS, OURS, NAMES, GENAI, VERTEXAI)
HELP = "vertex-tuning --help"

IMPORT_MS = 40
MODULES = 60
HELP_MS = 100


def measure(*, quick: bool) -> Result:
    """Import times and module counts."""
    repeats = 3 if quick else 15
    commands: dict[str, list[str | Path]] = {
        statement: [sys.executable, "-c", statement] for statement in STATEMENTS
    }
    commands[HELP] = [Path(sys.executable).parent / "vertex-tuning", "--help"]
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(repeats + 1):
        say(f"imports: {turn} of {repeats}")
        for name, command in commands.items():
            used = run(command).cpu_seconds * 1000
            if turn:  # the first turn compiles, and fills the page cache
                samples[name].append(used)
    cpu = {name: statistics.median(values) for name, values in samples.items()}
    modules = {statement: _modules(statement) for statement in STATEMENTS}

    over = {statement: cpu[statement] - cpu[PASS] for statement in STATEMENTS}
    more = {statement: modules[statement] - modules[PASS] for statement in STATEMENTS}
    figures = []
    for ours in (OURS, NAMES):
        for other in (GENAI, VERTEXAI):
            held = ours == OURS and other == GENAI
            figures.append(
                Figure(
                    f"`{ours}`, CPU time over bare Python",
                    over[ours],
                    "ms",
                    f"`{other}`",
                    over[other],
                    goal=f"<= {IMPORT_MS} ms" if held else "",
                    reached=over[ours] <= IMPORT_MS if held else None,
                )
            )
    figures.append(
        Figure(
            f"`{OURS}`, modules over bare Python",
            more[OURS],
            "modules",
            f"`{GENAI}`",
            more[GENAI],
            goal=f"<= {MODULES}",
            reached=more[OURS] <= MODULES,
        )
    )
    figures.append(
        Figure(
            f"`{HELP}`, CPU time",
            cpu[HELP],
            "ms",
            "bare Python",
            cpu[PASS],
            goal=f"<= {HELP_MS} ms",
            reached=cpu[HELP] <= HELP_MS,
        )
    )
    return Result(figures, {"cpu_ms": samples, "modules": modules})


def _modules(statement: str) -> int:
    code = f"{statement}\nimport sys\nprint(len(sys.modules))"
    return int(run([sys.executable, "-c", code]).output)
