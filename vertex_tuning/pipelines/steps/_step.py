"""What all steps share: how they speak, and how they write."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from vertex_tuning.errors import VertexTuningError

P = ParamSpec("P")
T = TypeVar("T")


def step(function: Callable[P, T]) -> Callable[P, T]:
    """A step: where it ends its process by an error of ours, the log has the error's own words, and no traceback."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        logging.getLogger("vertex_tuning").setLevel(logging.INFO)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        try:
            return function(*args, **kwargs)
        except VertexTuningError:
            sys.excepthook = _plainly
            raise

    return run


def _plainly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, VertexTuningError):
        print(error, file=sys.stderr, flush=True)
    else:
        sys.__excepthook__(kind, error, trace)


def write(path: str, text: str) -> None:
    """An artifact's file."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def write_json(path: str, value: Any) -> None:
    """An artifact's file, as JSON."""
    write(path, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def read_json(path: str) -> Any:
    """What `write_json` wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
