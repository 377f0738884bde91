"""Pipelines in Python files, compiled; and compiled ones, written."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vertex_tuning.pipelines import compiled
from vertex_tuning.pipelines.compiled import Compiled


def from_python(path: Path, function: str) -> Compiled:
    """Compile the pipeline in a Python file, which is run for it.

    Args:
        path: The file.
        function: Name of the pipeline; empty: the only one.
    """
    if importlib.util.find_spec("kfp") is None:
        raise click.UsageError("pipelines are compiled by kfp: pip install 'vertex-tuning[pipelines]'")
    from kfp import compiler
    from kfp.dsl.graph_component import GraphComponent

    found = {name: value for name, value in vars(_module(path)).items() if isinstance(value, GraphComponent)}
    if function and function not in found:
        raise click.BadParameter(f"{path} has no pipeline {function}", param_hint="--function")
    if not function and len(found) != 1:
        names = f": {', '.join(found)}; say which by --function" if found else ""
        raise click.BadParameter(f"{path} has {len(found) or 'no'} pipelines{names}", param_hint="SOURCE")
    wanted = found[function] if function else next(iter(found.values()))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(wanted, str(target))
        made = compiled.read(target)
    return Compiled(made.spec, str(path), made.platform)


def written(found: Compiled, path: Path, *, image: str, environment: Mapping[str, str]) -> None:
    """Write a compiled pipeline, made ready for a place."""
    import yaml

    documents = [found.prepared(image=image, environment=environment), *found.platform]
    try:
        path.write_text(yaml.safe_dump_all(documents, sort_keys=True, allow_unicode=True), encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(path), error.strerror or str(error)) from error


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise click.FileError(str(path), "there is no such file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise click.ClickException(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module
