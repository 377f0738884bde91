"""Every example of the docs is executed: Python blocks of a page in one go, shell blocks in the same folder, in their order.

Blocks that begin with ```console are shown, not run: they install, or reach for the cloud.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#([^)]*))?\)")


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_the_examples_of_a_page_run(emulator, tmp_path, page):
    shutil.copy(ROOT / "samples" / "data" / "tickets-train.jsonl", tmp_path / "train.jsonl")
    environment = {
        **os.environ,
        "VERTEX_TUNING_EMULATOR": emulator.address,
        "VERTEX_TUNING_HOME": str(tmp_path / "home"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    # One process for the page's Python, so that a later block sees what an earlier one made.
    program = []
    for kind, text in blocks(page):
        if kind == "python":
            program.append(text)
        else:
            call = f"import subprocess; subprocess.run(['bash', '-euc', {text!r}], check=True)"
            program.append(call)
    # A file, as a reader would have it: the source of what is defined in it can be found.
    (tmp_path / "page.py").write_text("\n".join(program), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "page.py"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize(
    "page",
    [*PAGES, "CONTRIBUTING.md", "samples/README.md", "samples/ci/README.md", "tests/conformance/README.md"],
)
def test_every_link_leads_somewhere(page):
    for path, _ in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        assert ((ROOT / page).parent / path).exists(), path


def test_what_the_docs_name_is_there():
    """Files and environment variables that a page speaks of."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "vertex_tuning").rglob("*.py"))
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for name in set(re.findall(r"VERTEX_TUNING_[A-Z]+", text)):
            assert name in sources, (page, name)
        for path in set(re.findall(r"`((?:scripts|samples|tests|catalog|benchmarks)/[\w./-]+)`", text)):
            assert (ROOT / path).exists() or (ROOT / "vertex_tuning" / path).exists(), (page, path)
