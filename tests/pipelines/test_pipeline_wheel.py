"""A wheel, installed where there is no checkout: it brings its pipelines, and no package called `pipelines`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from vertex_tuning.pipelines import compiled

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    done = subprocess.run(
        [*command, "-w", str(folder), str(ROOT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An environment with the wheel and what it needs, and nothing of this checkout."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(packages)
    # What it depends on, without what lies beside it in development: a path, whose own .pth files are not read.
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "python"


def run(python, *arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(python), *arguments],
        cwd=python.parent,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_brings_one_package_and_the_compiled_pipelines(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"vertex_tuning"}
    yaml = {name for name in names if name.endswith(".yaml") and "/compiled/" in name}
    assert yaml == {
        f"vertex_tuning/pipelines/compiled/{target}/{name}.yaml"
        for target in compiled.TARGETS
        for name in compiled.names()
    }


def test_there_is_no_package_called_pipelines(python):
    done = run(python, "-c", "import vertex_tuning; print(vertex_tuning.__file__); import pipelines")
    assert str(python.parents[1]) in done.stdout
    assert "No module named 'pipelines'" in done.stderr


def test_it_lists_them(python):
    done = run(python, "-m", "vertex_tuning", "pipeline", "list", "--json")
    assert [one["name"] for one in json.loads(done.stdout)] == compiled.names()
    assert all(str(python.parents[1]) in one["source"] for one in json.loads(done.stdout))


@pytest.mark.slow
def test_it_runs_one(python, emulator, tmp_path):
    data = ROOT / "samples" / "data" / "tickets-train.jsonl"
    given = {"training_data": str(data), "epochs": "1", "max_output_tokens": "8", "min_rows": "10"}
    parameters = [word for name, value in given.items() for word in ("-p", f"{name}={value}")]
    done = run(
        python,
        *("-m", "vertex_tuning", "pipeline", "run", "supervised", *parameters, "--json"),
        VERTEX_TUNING_EMULATOR=emulator.address,
        VERTEX_TUNING_HOME=str(tmp_path),
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    ended = json.loads(done.stdout.splitlines()[-1])["run"]
    assert ended["state"] == "SUCCEEDED"
    assert {task["name"]: task["state"] for task in ended["tasks"]}["tune-model"] == "SUCCEEDED"
