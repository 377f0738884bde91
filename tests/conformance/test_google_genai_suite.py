"""Google's own tests of `client.tunings`, `client.batches` and `client.models`, as they ship inside google-genai, against the
emulator: unmodified, in API mode, pointed at it by nothing but the environment."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from importlib import metadata
from pathlib import Path

import google.genai.tests
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

HERE = Path(__file__).parent
SUITE = Path(google.genai.tests.__path__[0])
TINY = HERE.parents[1] / "vertex_tuning" / "training" / "tiny" / "tiny-0.1m"
BUCKET = "nathreya-oss-tuning-sdk-test"
EVALUATIONS = "sararob_test"
"""Google's tests of open models read from this bucket; anybody may have one of that name here."""
BATCHES = "unified-genai-tests"
"""... and those of batches from this one."""
FOLDERS = ("models", "tunings", "batches")
"""Models first: the jobs of the others still train when their tests have ended."""
pytestmark = pytest.mark.timeout(900)  # a minute and a half of tests, on a machine of its own
TABLE = tomllib.loads((HERE / "cannot_pass.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def outcome(emulator, tmp_path_factory):
    """How each test ended: {"test_tune::test_x": "passed" | the fault}; of batches: "batches/test_get::test_x"."""
    _fill_bucket(emulator.address)
    report = tmp_path_factory.mktemp("suite") / "report.xml"
    environment = {
        **emulator.environment,
        "GOOGLE_GENAI_RUN_VERTEX_ONLY_IN_API_MODE": "1",
        "GOOGLE_GENAI_REPLAYS_DIRECTORY": str(report.parent / "replays"),
        "PYTHONPATH": str(HERE),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "patience",
        "-p",
        "pictures",
        "--mode",
        "api",
        "--tb=native",  # pytest's own reads every source again for every failure
    ]
    command += ["--import-mode=importlib", "-W", "ignore", "--rootdir", str(SUITE), f"--junitxml={report}"]
    done = subprocess.run(
        [
            *command,
            *(str(SUITE / folder) for folder in FOLDERS),
            *(f"--ignore={SUITE / file}" for file in left_out()),
        ],
        env=environment,
        cwd=report.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    found = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        if case.find("skipped") is not None:
            continue  # the half of the suite that is about the Gemini API
        *_, folder, module = case.get("classname", "").split(".")
        name = (
            f"{'' if folder == 'tunings' else folder + '/'}{module}::{case.get('name', '').partition('[')[0]}"
        )
        fault = case.find("failure")
        if fault is None:
            fault = case.find("error")
        found[name] = "passed" if fault is None else fault.get("message", "")
    return found


def _fill_bucket(address: str) -> None:
    client = storage.Client(
        project="vertex-tuning-local",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": address},
    )
    bucket = client.create_bucket(BUCKET, location="us-central1")
    rows = [
        {"messages": [{"role": "user", "content": f"Opposite of {a}?"}, {"role": "assistant", "content": b}]}
        for a, b in [("hot", "cold"), ("up", "down"), ("big", "small"), ("old", "new")] * 5
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    for name in ("distillation-openai-opposites.jsonl", "distillation-val-openai-opposites.jsonl"):
        bucket.blob(name).upload_from_string(text)
    weights = "ayushagra-distillation-test-folder/postprocess/node-0/checkpoints/final"
    for path in TINY.iterdir():
        bucket.blob(f"{weights}/{path.name}").upload_from_filename(path)
    questions = [
        {"request": {"contents": [{"role": "user", "parts": [{"text": f"Say {number}."}]}]}}
        for number in range(4)
    ]
    client.create_bucket(EVALUATIONS, location="us-central1")
    folder = client.create_bucket(BATCHES, location="us-central1")
    for name in ("generate_content_requests.jsonl", "embedding_requests.jsonl"):
        text = "".join(json.dumps(question) + "\n" for question in questions)
        folder.blob(f"batches/input/{name}").upload_from_string(text)


def left_out() -> list[str]:
    """Files that are not run at all."""
    return [file for reason in TABLE["left_out"] for file in reason["files"]]


def out_of_reach(*, by_chance: bool | None = None) -> set[str]:
    """Tests that cannot pass, and those that pass `by_chance`; None: both."""
    return {
        test
        for reason in TABLE["reason"]
        for test in reason["tests"]
        if by_chance in (None, reason.get("by_chance", False))
    }


def test_every_test_of_googles_passes_but_those_that_cannot(outcome):
    unexpected = {
        name: fault for name, fault in outcome.items() if fault != "passed" and name not in out_of_reach()
    }
    assert not unexpected, json.dumps(unexpected, indent=1)


def test_what_is_said_to_be_out_of_reach_is(outcome):
    reached = [name for name in out_of_reach(by_chance=False) if outcome.get(name) == "passed"]
    assert not reached, "strike these from cannot_pass.toml"
    assert out_of_reach() <= set(outcome)
    assert all((SUITE / file).is_file() for file in left_out())


def test_the_page_tells_the_count(outcome):
    """`tests/conformance/README.md` says how many pass, of which version, and how many do not for which reason."""
    page = (HERE / "README.md").read_text(encoding="utf-8")
    assert f"**{len(set(outcome) - out_of_reach())} of {len(outcome)}**" in page
    assert f"{len(left_out())} files are left out" in page
    told = [int(count) for count in re.findall(r"^\|[^|]+\| (\d+) \|$", page, re.MULTILINE)]
    assert sorted(told) == sorted(len(reason["tests"]) for reason in TABLE["reason"])
    assert f"google-genai {metadata.version('google-genai')}" in page
