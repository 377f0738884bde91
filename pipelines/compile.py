"""Compile every pipeline for every target, into `compiled/TARGET/NAME.yaml`.

python -m pipelines.compile            write
python -m pipelines.compile --check    exit status 1 where something is stale
"""

import re
import sys
import tempfile
from pathlib import Path

from kfp import compiler

from pipelines import distillation, preference, rlhf, rlhf_managed, supervised
from pipelines.profiles import PROFILES

FOLDER = Path(__file__).parent / "compiled"
_PATCH = re.compile(r"^(sdkVersion: kfp-2\.17)\.\d+$", re.MULTILINE)
BUILDERS = (supervised.build, preference.build, rlhf.build, rlhf_managed.build, distillation.build)


def fresh() -> dict[Path, str]:
    """Every compiled file, as it should be."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for profile in PROFILES:
            for build in BUILDERS:
                pipeline = build(profile)
                path = Path(scratch) / f"{pipeline.name}.yaml"
                compiler.Compiler().compile(pipeline, str(path))
                text = path.read_text(encoding="utf-8")
                # The patch releases of kfp 2.17 write the same, but for their own number.
                found[FOLDER / profile.name / path.name] = _PATCH.sub(r"\1", text)
    return found


def main() -> int:
    """Write, or check."""
    wanted = fresh()
    known = set(FOLDER.glob("*/*.yaml"))
    stale = [
        path for path, text in wanted.items() if path not in known or path.read_text(encoding="utf-8") != text
    ]
    stale += sorted(known - set(wanted))
    if sys.argv[1:] == ["--check"]:
        if stale:
            print("stale, run `make docs`:", *(str(path.relative_to(FOLDER.parent)) for path in stale))
        return bool(stale)
    for path in known - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
