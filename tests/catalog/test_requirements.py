"""What a project needs, as the catalog has it: names that lead somewhere, and roles that allow what others do."""

from __future__ import annotations

import re

import pytest

from vertex_tuning import catalog
from vertex_tuning.catalog import requirements
from vertex_tuning.catalog.sourced import read
from vertex_tuning.config import NAMES

GRANTS = [requirements.Grant(**row) for row in read("project.toml")["grants"]]


@pytest.mark.parametrize("grant", GRANTS, ids=lambda grant: f"{grant.to} {grant.role} {grant.on}")
def test_a_grant_is_to_somebody_on_something(grant):
    assert grant.to in {*requirements.agents(), *NAMES}
    assert grant.on in {requirements.PROJECT, *NAMES}
    assert grant.why.endswith(".")


def test_services_and_agents_belong_to_each_other():
    known = requirements.every_service()
    assert {agent.needs for agent in requirements.agents().values()} <= set(known)
    assert {service.when for service in known.values()} <= {"", *NAMES}
    assert all(re.fullmatch(r"[a-z]+\.googleapis\.com", name) for name in known)
    assert all("{number}" in agent.email for agent in requirements.agents().values())


def test_a_wider_role_allows_all_that_a_narrower_one_does():
    for held, contained in read("project.toml")["wider"].items():
        for inner in contained:
            if inner != "*":
                assert requirements.permissions(inner) <= requirements.permissions(held), (held, inner)


def test_every_role_that_somebody_needs_allows_something():
    assert [grant.role for grant in GRANTS if not requirements.permissions(grant.role)] == []
    assert requirements.permissions("roles/owner") >= {"*"}
    assert requirements.permissions("roles/unheard.of") == frozenset()


def test_a_chip_counts_to_a_quota_of_its_own():
    quotas = requirements.chip_quotas()
    assert {"l4", "a100", "h100"} <= set(quotas) <= {host.chip for host in catalog.hosts().values()}
    assert len({quota.metric for quota in quotas.values()}) == len(quotas)
    assert quotas["l4"].metric == "aiplatform.googleapis.com/custom_model_training_nvidia_l4_gpus"
