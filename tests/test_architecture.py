"""The walls of the house (docs/architecture.md): who may import whom, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vertex_tuning"

# What stands lower may be used, never the other way round.
LEVELS = {
    "__main__": 0,
    "cli": 1,
    "aio": 2,
    "client": 2.5,
    "distill": 2.9,
    "pipelines": 2.8,
    "batches": 3,
    "evaluation": 3,
    "lineage": 2.9,
    "doctor": 3,
    "jobs": 3.5,
    "models": 4,
    "prompts": 4,
    "rewarding": 3.5,
    "custom": 3,
    "_task": 4.5,
    "deploying": 4.5,
    "_model_garden": 4.5,
    "places": 4.8,
    "connection": 5,
    "cost": 5.5,
    "registries": 5.5,
    "fitting": 6,
    "specs": 6,
    "data": 6,
    "rewards": 5.9,
    "once": 6,
    "following": 6,
    "asking": 6,
    "retries": 6.5,
    "journal": 6.5,
    "metrics": 7,
    "catalog": 7,
    "config": 7,
    "errors": 8,
    "supervisor": 8,
}
BESIDE = {
    "training": {"training", "data", "rewards", "metrics", "catalog", "errors"},
    "emulator": {
        "emulator",
        "training",
        "specs",
        "data",
        "rewards",
        "metrics",
        "catalog",
        "config",
        "errors",
        "supervisor",
    },
}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Names of the modules that a file imports, at its head or inside a function, but for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for_types.update(inner for child in node.body for inner in ast.walk(child))
    found = set()
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def own_imports(path: Path, other: str) -> set[str]:
    """The modules of a room that a file imports."""
    found = {name for name in imported(path) if name.startswith(f"vertex_tuning.{other}.")}
    return {name for name in found if not any(name.startswith(f"{module}.") for module in found)}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if own == "__init__":
        return
    used = {room(name) for name in imported(path) if name.startswith("vertex_tuning.")}
    used &= {*LEVELS, *BESIDE}
    if own in BESIDE:
        assert used <= BESIDE[own]
        return
    for other in used - {own}:
        if other in BESIDE:
            # What training is told is plain data; whoever has it run elsewhere says it in the same words.
            plain = own in ("custom", "fitting") and own_imports(path, other) <= {
                "vertex_tuning.training.config"
            }
            assert own == "cli" or plain, f"{own} may not import {other}"
        else:
            assert LEVELS[own] < LEVELS[other], f"{own} may not import {other}"


def test_the_sdk_knows_the_word_emulator_in_one_place():
    """But for what is said about errors and in docstrings: no code beside `places.py` asks where it runs."""
    for path in sources():
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own in ("cli", "emulator", "training", "places", "catalog"):
            continue
        names = {
            node.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Name)
        }
        assert not {name for name in names if "emulator" in name.lower() and not name.endswith("Error")}, path


def test_no_module_is_too_long():
    for path in sources():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 600, path


def loaded_by(code: str) -> set[str]:
    program = f"import sys; before = set(sys.modules); {code}; print('\\n'.join(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_next_to_nothing():
    modules = loaded_by("import vertex_tuning")
    assert len(modules) <= 60
    assert not {name.partition(".")[0] for name in modules} & {
        "torch",
        "google",
        "kfp",
        "pydantic",
        "click",
        "rich",
    }


def test_the_server_loads_no_torch_and_no_google_client():
    modules = loaded_by("import vertex_tuning.emulator.server")
    heavy = {
        "torch",
        "transformers",
        "numpy",
        "grpc",
        "google.genai",
        "google.cloud.aiplatform",
        "google.auth",
    }
    assert not modules & heavy


def test_help_loads_no_command():
    modules = loaded_by(
        "import contextlib, io, vertex_tuning.cli as c\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): c.main(['--help'])\n"
        "pass"
    )
    assert not modules & {
        "rich",
        "pydantic",
        "google.genai",
        "vertex_tuning.client",
        "vertex_tuning.cli.tune",
    }
