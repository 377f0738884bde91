"""The machines on which our container trains, and whether a run fits them."""

from __future__ import annotations

import pytest

from vertex_tuning import catalog, fitting
from vertex_tuning.errors import HostError

HOSTS = catalog.hosts()
LLAMA_8B = fitting.Shape(parameters=8_030_261_248, hidden=4096, layers=32, vocabulary=128_256)
LLAMA_1B = fitting.Shape(parameters=1_235_814_400, hidden=2048, layers=16, vocabulary=128_256)
ROWS = {"method": "supervised", "adapter_size": 8, "batch_size": 1, "max_tokens": 1024}


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


def test_an_adapter_of_eight_billion_needs_its_weights_in_fp32_and_half_as_much_again():
    needed = fitting.memory(LLAMA_8B, mode="adapter", **ROWS)
    weights = 4 * LLAMA_8B.parameters
    assert weights < needed < 1.5 * weights
    with pytest.raises(HostError) as caught:
        fitting.check(catalog.host("l4"), needed, method="supervised")
    assert caught.value.rule == "VT793"
    assert 'host="a100"' in caught.value.fault.fix
    fitting.check(catalog.host("a100"), needed, method="supervised")


def test_every_weight_of_eight_billion_fits_no_host_and_the_advice_is_another_way():
    needed = fitting.memory(LLAMA_8B, mode="full", **ROWS)
    for host in HOSTS.values():
        with pytest.raises(HostError) as caught:
            fitting.check(host, needed, method="supervised", smaller='mode="adapter"')
        assert caught.value.fault.fix == 'mode="adapter"'


def test_a_pair_is_two_sequences_and_more_of_them_need_more():
    one = fitting.memory(LLAMA_1B, mode="adapter", **ROWS)
    pair = fitting.memory(LLAMA_1B, mode="adapter", **ROWS | {"method": "preference"})
    two = fitting.memory(LLAMA_1B, mode="adapter", **ROWS | {"batch_size": 2})
    full = fitting.memory(LLAMA_1B, mode="full", **ROWS)
    assert one < pair == two < full


@pytest.mark.parametrize("method", ["reinforcement", "preference", "reward"])
def test_what_our_code_cannot_do_on_a_tpu_is_refused_with_the_nearest_host_that_can(method):
    needed = fitting.memory(LLAMA_1B, mode="adapter", **ROWS)
    with pytest.raises(HostError) as caught:
        fitting.check(catalog.host("tpu-v5ex4"), needed, method=method)
    assert caught.value.rule == "VT792"
    assert 'host="l4x4" (g2-standard-48)' in caught.value.fault.fix
    fitting.check(catalog.host("tpu-v5ex4"), needed, method="supervised")


def test_what_is_said_to_be_unproved_is_said_of_tpus_alone():
    for host in HOSTS.values():
        assert bool(host.note) == (host.kind == "tpu")
        assert host.to_json()["source"]["date"]
