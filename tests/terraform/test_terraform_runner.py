"""Where Terraform comes from, and that its absence is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.terraform import core

NOWHERE = "no_such_library"


def test_a_terraform_on_the_path_is_taken(tmp_path: Path):
    program = tmp_path / "terraform"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    assert core.program(tmp_path / "other", path=str(tmp_path), library=NOWHERE) == program


def test_else_the_library_becomes_a_program_of_that_name(tmp_path: Path):
    program = core.program(tmp_path, path=os.devnull, library="json")
    assert program.name == "terraform"
    assert os.access(program, os.X_OK)


def test_without_either_ci_fails_and_others_are_told(tmp_path: Path):
    with pytest.raises(core.NoTerraformError, match=NOWHERE) as raised:
        core.program(tmp_path, path=os.devnull, library=NOWHERE)
    with pytest.raises(pytest.fail.Exception, match="pip install"):
        core.not_proved(str(raised.value), {"CI": "true"})
    with pytest.raises(pytest.skip.Exception, match="pip install"):
        core.not_proved(str(raised.value), {})
