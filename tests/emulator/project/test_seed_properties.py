"""Whatever stands in a seed: it is applied, or told what is wrong with it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulator.project.settings import KEY, LOCATION, NUMBER, PROJECT, SETTINGS, TUNING_AGENT
from vertex_tuning.emulator.project.given import KINDS, Place, of_config, open_project
from vertex_tuning.emulator.project.given import SETTINGS as NAMED
from vertex_tuning.emulator.project.seeds import Seed
from vertex_tuning.emulator.project.terraform_state import is_state

PLACE = Place(PROJECT, NUMBER, LOCATION)
TABLES = ("project", "services", "agents", "quotas", "grants", "caller")
ENTRIES = ("add", "remove", "role", "member", "on", "exists", "missing", "state", "tuning", "condition")
VALUES = ("ENABLED", "roles/viewer", "allUsers", "run.googleapis.com", "a/b", "EU", "9s", KEY)
NAMES = (f"serviceAccount:{TUNING_AGENT}", "gs://demo-tuning-vt-datasets")
FIELDS = sorted({field for kind in KINDS.values() for field in kind.fields})
words = st.sampled_from([*KINDS, *NAMED, *FIELDS, *TABLES, *ENTRIES, *VALUES, *NAMES]) | st.text(max_size=5)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | words
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
seeds = st.dictionaries(words, st.dictionaries(words, values, max_size=4) | values, max_size=4)


@settings(max_examples=200, deadline=None)
@given(seeds, st.booleans())
def test_a_seed_is_applied_or_told_what_is_wrong_with_it(data, configured):
    project = of_config(SETTINGS, PLACE) if configured else open_project(PLACE)
    seed = Seed(data, "seed.json")
    seed.apply(project)
    for fault in seed.faults:
        assert fault.rule in ("VT414", "VT415")
        assert fault.where.startswith("seed.json: ")
        assert fault.what
    assert project.fingerprint
    assert not is_state(data)
    # Who does not exist holds nothing, and nothing is held on what does not exist.
    for agent, exists in project.agents.items():
        assert exists or all(one.member != project.member(agent) for one in project.held)
    for one in project.held:
        kind, name = project.resolve(one.on)
        assert name == one.on
        assert kind == "project" or name in project.resources[kind]
