"""The machines on which our container trains, and whether a run fits them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vertex_tuning import catalog, fitting
from vertex_tuning.errors import HostError

HOSTS = catalog.hosts()
LLAMA_8B = fitting.Shape(parameters=8_030_261_248, hidden=4096, layers=32, vocabulary=128_256)
LLAMA_1B = fitting.Shape(parameters=1_235_814_400, hidden=2048, layers=16, vocabulary=128_256)
EIGHT = fitting.Run(shape=LLAMA_8B, method="supervised", batch_size=1, max_tokens=1024)
ONE = replace(EIGHT, shape=LLAMA_1B)


def test_a_host_is_found_by_its_machine_type_and_by_its_chips():
    for name, host in HOSTS.items():
        assert catalog.host(name) is host
        assert catalog.host(host.name).machine_spec() | {"machine_type": name} == host.machine_spec()
    assert catalog.host("h100x8").machine_spec() == {
        "machine_type": "a3-highgpu-8g",
        "accelerator_type": "NVIDIA_H100_80GB",
        "accelerator_count": 8,
    }
    assert catalog.host("tpu-v6ex4").machine_spec() == {
        "machine_type": "ct6e-standard-4t",
        "tpu_topology": "2x2",
    }
    assert catalog.host("h200").machine_type == "a3-ultragpu-8g", "they come by eights alone"
    assert {host.chip for host in HOSTS.values()} >= {"l4", "a100", "h100", "h200", "tpu-v5e", "tpu-v6e"}


@pytest.mark.parametrize(
    ("wish", "near"), [("h100x3", "h100x8"), ("g2-standard-13", "g2-standard-12"), ("t4", "l4")]
)
def test_one_that_there_is_not_leads_to_the_nearest(wish, near):
    with pytest.raises(HostError) as caught:
        catalog.host(wish)
    assert caught.value.rule == "VT790"
    assert near in caught.value.fault.fix


def test_what_google_calls_an_accelerator_is_what_its_client_knows():
    from google.cloud.aiplatform_v1.types import MachineSpec

    for host in HOSTS.values():
        spec = MachineSpec(host.machine_spec())
        assert spec.accelerator_type.name == (host.accelerator_type or "ACCELERATOR_TYPE_UNSPECIFIED")
        assert spec.accelerator_count == (host.chips if host.kind == "gpu" else 0)
        assert (host.kind == "tpu") == bool(spec.tpu_topology)


def test_an_adapter_of_eight_billion_has_its_weights_in_bf16_on_a_gpu():
    weights = 2 * LLAMA_8B.parameters
    assert weights < EIGHT.memory("gpu") < 2 * weights < EIGHT.memory("cpu")
    with pytest.raises(HostError) as caught:
        fitting.check(catalog.host("l4"), EIGHT, method="supervised")
    assert caught.value.rule == "VT793"
    assert caught.value.fault.fix == (
        'gradient_checkpointing=True (about 40 % slower), or host="a100-40gb" (a2-highgpu-1g), '
        "or a smaller batch_size, or max_tokens"
    )
    fitting.check(catalog.host("a100-40gb"), EIGHT, method="supervised")
    fitting.check(catalog.host("l4"), replace(EIGHT, gradient_checkpointing=True), method="supervised")


def test_every_weight_of_eight_billion_fits_no_host_and_the_advice_is_another_way():
    run = replace(EIGHT, mode="full")
    for host in HOSTS.values():
        with pytest.raises(HostError) as caught:
            fitting.check(host, run, method="supervised")
        fits = EIGHT.fits(host)
        assert ('mode="adapter"' in caught.value.fault.fix) == fits, host.name
        assert "host=" not in caught.value.fault.fix


def test_a_pair_is_two_sequences_and_more_of_them_need_more():
    one, pair, two, full = (
        replace(ONE, **changes).memory("gpu")
        for changes in ({}, {"method": "preference"}, {"batch_size": 2}, {"mode": "full"})
    )
    assert one < pair == two < full


def test_it_is_what_was_measured_on_an_h100_or_a_bit_more():
    """`benchmarks/gpu.json`: the most memory in ten steps, rows of 512 tokens, half of them answers, in GB.

    Logits of all answers lay there at once then; of 2,048 answers that was 1.9 GB more than pieces of them take.
    """
    pieces = 1.9
    measured = [
        (replace(ONE, batch_size=8, max_tokens=512), 13.4 - pieces),
        (replace(ONE, batch_size=8, max_tokens=512, gradient_checkpointing=True), 7.4 - pieces),
        (replace(ONE, batch_size=8, max_tokens=512, mode="full"), 34.0 - pieces),
        (replace(ONE, batch_size=4, max_tokens=512, method="preference"), 13.6 - pieces),
        (replace(EIGHT, batch_size=4, max_tokens=512, gradient_checkpointing=True), 20.2),
        (replace(EIGHT, batch_size=4, max_tokens=512), 31.2),
    ]
    for run, gigabytes in measured:
        assert 1.0 < run.memory("gpu") / 1e9 / gigabytes < 1.25, run


def test_gradient_checkpointing_leaves_the_weights_and_one_layer():
    lean, full = replace(EIGHT, gradient_checkpointing=True), EIGHT
    assert lean.memory("gpu") < full.memory("gpu")
    more = replace(lean, max_tokens=2048).memory("gpu") - lean.memory("gpu")
    assert more * 4 < replace(full, max_tokens=2048).memory("gpu") - full.memory("gpu")


def test_a_run_whose_model_nobody_knows_is_held_against_what_the_host_can_alone():
    fitting.check(catalog.host("l4"), None, method="reward")
    with pytest.raises(HostError):
        fitting.check(catalog.host("tpu-v6e"), None, method="reward")


@pytest.mark.parametrize("method", ["reinforcement", "preference", "reward"])
def test_what_our_code_cannot_do_on_a_tpu_is_refused_with_the_nearest_host_that_can(method):
    with pytest.raises(HostError) as caught:
        fitting.check(catalog.host("tpu-v5ex4"), ONE, method=method)
    assert caught.value.rule == "VT792"
    assert 'host="l4x4" (g2-standard-48)' in caught.value.fault.fix
    fitting.check(catalog.host("tpu-v5ex4"), ONE, method="supervised")


def test_what_is_said_to_be_unproved_is_said_of_tpus_alone():
    for host in HOSTS.values():
        assert bool(host.note) == (host.kind == "tpu")
        assert host.to_json()["source"]["date"]
