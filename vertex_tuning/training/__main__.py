"""`python -m vertex_tuning.training --config FILE`: one run by itself, events as JSON lines on standard output."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from vertex_tuning.training import methods


def main() -> int:
    """Run; exit status 1 where the run failed."""
    parser = argparse.ArgumentParser(prog="python -m vertex_tuning.training", description=__doc__)
    parser.add_argument(
        "--method",
        default="supervised",
        choices=methods.NAMES,
        help="the way; supervised where none is given",
    )
    parser.add_argument("--config", type=Path, required=True, help="the method's TrainingConfig as JSON")
    options = parser.parse_args()
    failed = False

    def report(event: dict[str, Any]) -> None:
        nonlocal failed
        failed = failed or event["event"] == "failed"
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()

    methods.run(options.method, json.loads(options.config.read_text(encoding="utf-8")), report)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
