"""What checkov, a third party's checks of Terraform, says of the plan with every feature on: `make terraform-checkov`.

It is no part of the tests, and lives in an environment of its own (.venv-checkov, 300 MB). The plan is made with a key that
exists: one that the same plan makes has no name yet, and checkov takes that for no key at all. What is skipped says why, beside
the resource, in terraform/.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.terraform import checks, core

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv-checkov"
REQUIREMENT = "checkov>=3.3.30,<4"


def main() -> int:
    """Plan, and ask; the exit status is checkov's."""
    program = ENVIRONMENT / "bin" / "checkov"
    if not program.exists():
        print(f"checkov comes into {ENVIRONMENT.name}", flush=True)
        venv.create(ENVIRONMENT, with_pip=True)
        pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", REQUIREMENT]
        subprocess.run(pip, check=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        schema = json.loads(core.newest().read_text(encoding="utf-8"))
        with core.workspace(place / "terraform", core.program(place), schema) as space:
            space.init(checks.COMPLETE)
            faults = checks.planning(space, checks.COMPLETE, f"-var=key_id={checks.KEY}")
            if faults:
                print(*faults, sep="\n")
                return 1
            plan = place / "plan.json"
            plan.write_text(json.dumps(space.show(checks.COMPLETE, "plan")), encoding="utf-8")
        command = [str(program), "--file", str(plan), "--framework", "terraform_plan", "--compact", "--quiet"]
        command += ["--skip-download", "--repo-root-for-plan-enrichment", str(place / "terraform")]
        environment = {**os.environ, "BC_SKIP_MAPPING": "TRUE"}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
