"""`train`: a config in, a trained model out; what cannot be is refused before anything is paid for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import vertex_tuning
from tests.cli.conftest import rows, write_rows

TINY = Path(vertex_tuning.__file__).parent / "training" / "tiny" / "tiny-0.1m"


@pytest.fixture
def config(tmp_path):
    data = write_rows(tmp_path / "train.jsonl", rows(16, tag=f" {tmp_path.name}"))
    path = tmp_path / "config.json"

    def write(**fields):
        whole = {"model": str(TINY), "training": str(data), "learning_rate": 5e-3, "steps": 4, **fields}
        path.write_text(json.dumps(whole), encoding="utf-8")
        return str(path)

    return write


@pytest.mark.slow
def test_a_config_becomes_a_trained_model(cli, config, tmp_path):
    output = tmp_path / "trained"
    done = cli("train", "run", "supervised", config(), "--host", "a100", "--output", str(output))
    assert done.status == 0, done.err
    assert done.out.strip() == str(output)
    assert "/customJobs/" in done.err.splitlines()[0]
    assert "succeeded, step 4/4, loss" in done.err
    assert (output / "checkpoints" / "1" / "adapter_model.safetensors").stat().st_size > 0
    name = done.err.splitlines()[0]
    last = json.loads(cli("train", "watch", name, "--json").out.splitlines()[-1])
    assert last["trained"]["checkpoints"][-1]["step"] == 4
    assert last["trained"]["job"] == name


def test_one_is_left_running_and_cancelled(cli, config):
    done = cli("train", "run", "supervised", config(steps=100_000), "--no-wait")
    assert done.status == 0, done.err
    name = done.out.strip()
    assert f"vertex-tuning train watch {name}" in done.err
    assert cli("train", "cancel", name).out.strip() == f"{name} is cancelled"


def test_hosts_are_listed_with_what_is_trained_there(cli):
    lines = cli("train", "hosts").out.splitlines()
    assert lines[0].split()[:2] == ["host", "machine"]
    assert any(line.startswith("h100x8") and "everything" in line for line in lines)
    assert any(
        line.startswith("tpu-v6ex4") and "supervised, distillation, step_by_step (unproved)" in line
        for line in lines
    )
    found = {host["name"]: host for host in json.loads(cli("train", "hosts", "--json").out)}
    assert found["h200x8"]["memory_gb"] == 141
    assert found["l4"]["source"]["date"]


@pytest.mark.parametrize(
    ("text", "words"), [("{", "is not JSON"), ("[]", "is not a JSON object"), ('{"epoch": 1}', "VT791")]
)
def test_a_config_that_is_none_is_told_so(cli, tmp_path, text, words):
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    done = cli("train", "run", "supervised", str(path))
    assert done.status in (1, 2)
    assert words in done.err


def test_what_a_host_cannot_do_is_told_with_one_that_can(cli, config):
    done = cli("train", "run", "reinforcement", config(reward={}), "--host", "tpu-v5e", "--json")
    assert done.status == 1
    assert json.loads(done.out)["error"]["rule"] == "VT792"
    assert 'host="l4"' in json.loads(done.out)["error"]["fix"]
