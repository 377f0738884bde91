"""The tests that come with terraform/, which a user runs with `terraform test`: they need nothing but a provider's schema."""

from __future__ import annotations

import json
import re

from tests.terraform import core
from tests.terraform.core import Workspace


def test_terraforms_own_tests_pass_and_make_nothing(space: Workspace):
    texts = [file.read_text(encoding="utf-8") for file in (core.SOURCES / "tests").glob("*.tftest.hcl")]
    runs = sum(len(re.findall(r'^run "', text, re.MULTILINE)) for text in texts)
    assert runs
    space.init(".")
    done = space.run("test", "-json", expect=None)
    told = [one["diagnostic"] for one in done.messages if one["type"] == "diagnostic"]
    (summary,) = [one["test_summary"] for one in done.messages if one["type"] == "test_summary"]
    assert (summary["status"], summary["passed"]) == ("pass", runs), json.dumps(told, indent=1)
    assert all('mock_provider "google"' in text for text in texts)
    assert not space.provider.made, "a run has reached for the provider itself"
