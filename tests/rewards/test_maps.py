"""A reward in the cloud, rehearsed: the same request, to a service on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rewards.services import Service
from vertex_tuning import RewardError, rewards
from vertex_tuning.rewards import maps, service

HOST = "my-reward-abc-uc.a.run.app"
ROW = {"contents": [], "references": {"answer": "4"}}


@pytest.fixture
def stand_in() -> Iterator[Service]:
    found = Service(lambda *_: (200, b'{"reward": 0.5}'))
    yield found
    found.close()


@pytest.fixture
def mapped(monkeypatch, stand_in) -> Service:
    monkeypatch.setattr(service, "_mapped", {})
    service.map_hosts(maps.read([f"{HOST}=http://127.0.0.1:{stand_in.port}"]))
    return stand_in


@pytest.mark.parametrize(
    ("uri", "path", "host"),
    [
        (f"https://{HOST}", "/", HOST),
        (f"https://{HOST.upper()}/v1/score?kind=a", "/v1/score?kind=a", HOST),
        (f"http://{HOST}:8080/x", "/x", f"{HOST}:8080"),
    ],
)
def test_what_is_meant_for_the_cloud_comes_here_as_it_would_go_there(mapped, uri, path, host):
    assert rewards.cloud_run(uri).score(ROW, "4").reward == 0.5
    assert mapped.requests == [(path, host)]


def test_other_hosts_stay_out_of_reach_and_the_cure_is_named(mapped):
    score = rewards.cloud_run("https://other-abc-uc.a.run.app/").score(ROW, "4")
    assert score.failure is not None
    assert score.failure.rule == "VT926"
    assert not score.failure.passing
    assert "--map other-abc-uc.a.run.app=http://127.0.0.1:PORT" in score.failure.message
    assert not mapped.requests


def test_a_map_leads_to_no_port_that_is_closed(mapped, monkeypatch):
    monkeypatch.setattr(service, "_closed", {mapped.port})
    assert "emulator" in str(rewards.cloud_run(f"https://{HOST}").score(ROW, "4").failure)


def test_maps_are_read():
    assert maps.read([]) == {}
    assert maps.read(
        [
            "A.example.=http://127.0.0.1:1/",
            "b=http://localhost:2",
            "c.d=http://[::1]:3",
            "b=http://localhost:2",
        ]
    ) == {"a.example": "http://127.0.0.1:1", "b": "http://localhost:2", "c.d": "http://[::1]:3"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "VT940"),
        (HOST, "VT940"),
        (f"{HOST}=", "VT940"),
        ("=http://127.0.0.1:1", "VT940"),
        (f"https://{HOST}=http://127.0.0.1:1", "VT940"),
        (f"{HOST}:443=http://127.0.0.1:1", "VT940"),
        (f"{HOST}/score=http://127.0.0.1:1", "VT940"),
        ("*.run.app=http://127.0.0.1:1", "VT940"),
        ("10.0.0.1=http://127.0.0.1:1", "VT940"),
        ("localhost=http://127.0.0.1:1", "VT940"),
        (f"{HOST}=127.0.0.1:1", "VT940"),
        (f"{HOST}=https://127.0.0.1:1", "VT940"),
        (f"{HOST}=http://127.0.0.1", "VT940"),
        (f"{HOST}=http://127.0.0.1:0", "VT940"),
        (f"{HOST}=http://127.0.0.1:70000", "VT940"),
        (f"{HOST}=http://127.0.0.1:1/path", "VT940"),
        (f"{HOST}=http://user@127.0.0.1:1", "VT940"),
        (f"{HOST}=http://10.0.0.1:1", "VT941"),
        (f"{HOST}=http://example.com:1", "VT941"),
        (f"{HOST}=http://0.0.0.0:1", "VT941"),
        (f"{HOST}=http://127.0.0.1:8085", "VT942"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(text, rule):
    with pytest.raises(RewardError) as caught:
        maps.read([text], own_port=8085)
    assert caught.value.rule == rule
    assert caught.value.fault.fix


def test_every_fault_of_the_maps_is_told():
    with pytest.raises(RewardError) as caught:
        maps.read(
            ["x", "a=http://1.2.3.4:5", "b=http://[::1]:1", "b=http://[::1]:2", "c=http://[::1]:9"],
            own_port=9,
        )
    assert [fault.rule for fault in caught.value.faults] == ["VT940", "VT941", "VT943", "VT942"]
