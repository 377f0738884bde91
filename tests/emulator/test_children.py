"""What the emulator's children know of its environment."""

from __future__ import annotations

from vertex_tuning.emulator.workers.process import scrubbed_environment


def test_children_are_told_which_gpu_is_theirs_and_no_secrets(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/key.json")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    found = scrubbed_environment({"OMP_NUM_THREADS": "2"})
    assert (found["CUDA_VISIBLE_DEVICES"], found["NVIDIA_TF32_OVERRIDE"]) == ("1", "0")
    assert not {"GOOGLE_APPLICATION_CREDENTIALS", "HTTPS_PROXY"} & set(found)
    assert (found["OMP_NUM_THREADS"], found["HF_HUB_OFFLINE"]) == ("2", "1")
