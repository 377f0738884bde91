"""The container image: what can be held without a container engine. Its file is clean, its packages fit, its programs start."""

from __future__ import annotations

import ast
import fnmatch
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import constraints
from vertex_tuning import _task, catalog, custom

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "container" / "Dockerfile"
TARGETS = ("cpu", "cuda", "tpu")


def instructions() -> list[tuple[str, str, str]]:
    """(stage, instruction, arguments), continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = text.replace("\\\n", " ")
    stage, found = "", []
    for line in text.splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            stage = rest.rpartition(" AS ")[2]
        if name:
            found.append((stage, name, rest.strip()))
    return found


def of(stage: str, name: str) -> list[str]:
    return [rest for where, instruction, rest in instructions() if (where, instruction) == (stage, name)]


def pins() -> dict[str, str]:
    lines = constraints.FILE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


# The file


def test_hadolint_has_nothing_to_remark():
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [hadolint, "--config", ROOT / "container" / ".hadolint.yaml", "--no-color", DOCKERFILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_every_target_runs_as_nobody_in_particular():
    for target in TARGETS:
        assert of(target, "USER")[-1] not in ("0", "root")
        assert instructions()[-1][1] == "USER", "nothing is installed by it"
    assert "10001" in " ".join(of("base", "RUN"))


def test_everything_is_pinned():
    for target in TARGETS:
        for run in of(target, "RUN"):
            for install in re.findall(r"pip install ([^&]+)", run):
                words = [
                    word for word in install.split() if not word.startswith(("-", "http", "/opt/", '"$('))
                ]
                assert all("==" in word or ".whl" in word for word in words), install
                assert all("--constraint" in install for word in words if ".whl" in word)
    assert re.search(
        r"^ARG PYTHON_IMAGE=python:\d+\.\d+\.\d+-slim-\w+$", DOCKERFILE.read_text(), re.MULTILINE
    )


def test_what_is_copied_is_there_and_is_sent():
    shown = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for _, name, rest in instructions():
        if name == "COPY":
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert any(fnmatch.fnmatch(source, pattern) for pattern in shown), source
    assert all((ROOT / path).exists() for path in shown)


def test_it_is_told_where_it_is():
    """In the cloud, and with no hub to ask."""
    said = " ".join(of("base", "ENV"))
    assert "VERTEX_TUNING_TARGET=vertex" in said
    assert "HF_HUB_OFFLINE=1" in said


def test_a_host_of_each_kind_has_a_target():
    assert set(custom.FLAVOURS) == {host.kind for host in catalog.hosts().values()}
    assert set(custom.FLAVOURS.values()) == set(TARGETS)


# Its packages


def test_the_pins_are_of_all_packages_and_fit_what_is_asked_for():
    held = pins()
    assert set(constraints.closure()) <= set(held), "run: python scripts/constraints.py"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["emulator"], *extras["train"], *extras["pipelines"]]
    for line in asked:
        need = Requirement(line)
        name = canonicalize_name(need.name)
        if name in ("torch", "vertex-tuning"):
            continue
        assert held[name] in need.specifier, line


def test_torch_is_the_one_that_the_tests_run_with_and_that_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (asked,) = [line for line in project["optional-dependencies"]["train"] if line.startswith("torch")]
    setup = re.search(r"^TORCH=(\S+)", (ROOT / "scripts" / "setup.sh").read_text(), re.MULTILINE)
    assert setup is not None
    for target in TARGETS:
        version = re.search(r"torch==(\S+)", " ".join(of(target, "RUN")))
        assert version is not None
        assert version[1] in Requirement(asked).specifier
        assert target == "tpu" or version[1] == setup[1]
    assert "torch_xla[tpu]==2.9.0" in " ".join(of("tpu", "RUN"))


# Its programs


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (["-m", "vertex_tuning", "--help"], 0, "Tune language models"),
        (["-m", "vertex_tuning.training", "--help"], 0, "--method"),
        (["-m", "kfp.dsl.executor_main", "--help"], 0, "--executor_input"),
        (["-m", "torch.distributed.run", "--help"], 0, "--nproc-per-node"),
        (["-m", "accelerate.commands.launch", "--help"], 0, "--tpu"),
        (["-m", "vertex_tuning._task"], 2, "gs://BUCKET/FOLDER/order.json"),
    ],
    ids=lambda value: " ".join(value[1:2]) if isinstance(value, list) else "",
)
def test_what_runs_in_it_starts(command, status, words, tmp_path):
    done = started(command, tmp_path, status)
    assert words.lower() in (done.stdout + done.stderr).lower(), done.stderr[-2000:]
    assert list(tmp_path.iterdir()) == []


def started(command: list[str], folder: Path, status: int) -> subprocess.CompletedProcess[str]:
    """With the image's own variables, in a folder of its own, with nothing of the user's."""
    said = dict(word.split("=", 1) for word in " ".join(of("base", "ENV")).split())
    environment = {**said, "HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == status, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    return done


def test_every_step_of_every_pipeline_finds_what_it_imports(tmp_path):
    """The body of a component imports one function of ours, and calls it: in the image it is there."""
    imports: set[str] = set()
    for path in sorted((ROOT / "pipelines" / "compiled" / "vertex").glob("*.yaml")):
        spec = next(iter(yaml.safe_load_all(path.read_text(encoding="utf-8"))))
        for executor in spec["deploymentSpec"]["executors"].values():
            (source,) = [word for word in executor["container"]["command"] if "\ndef " in word]
            tree = ast.walk(ast.parse(source))
            found = [ast.unparse(node) for node in tree if isinstance(node, ast.Import | ast.ImportFrom)]
            imports |= {*found}
    assert sum("vertex_tuning" in line for line in imports) > 5
    # In one process, in the image's environment.
    program = tmp_path / "steps.py"
    program.write_text("\n".join(sorted(imports, key=lambda line: "kfp" not in line)), encoding="utf-8")
    started(["steps.py"], tmp_path, 0)


@pytest.mark.parametrize(
    ("kind", "chips", "devices", "begins"),
    [
        ("cpu", 1, 0, ["vertex_tuning.training"]),
        ("gpu", 1, 1, ["vertex_tuning.training"]),
        (
            "gpu",
            8,
            8,
            [
                "torch.distributed.run",
                "--standalone",
                "--nproc-per-node",
                "8",
                "-m",
                "vertex_tuning.training",
            ],
        ),
        ("gpu", 8, 0, ["vertex_tuning.training"]),
        ("tpu", 1, 0, ["vertex_tuning.training"]),
        ("tpu", 4, 0, ["accelerate.commands.launch", "--tpu", "--num_processes", "4", "--module"]),
    ],
)
def test_training_starts_on_every_device_that_is_there(kind, chips, devices, begins, tmp_path, monkeypatch):
    for number in range(devices):
        (tmp_path / f"nvidia{number}").touch()
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(_task, "DEVICES", tmp_path)
    order = {"method": "supervised", "kind": kind, "chips": chips}
    command = _task.command(order, Path("config.json"))
    assert command[: len(begins) + 2] == [sys.executable, "-m", *begins]
    assert command[-4:] == ["--method", "supervised", "--config", "config.json"]
