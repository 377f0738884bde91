"""The process of a step: its words told line by line, and why it failed; nothing is installed before it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vertex_tuning.pipelines.told import Job, Tasks, now
from vertex_tuning.supervisor import die_with_parent

_TAIL = 40
"""Lines of a step's output that are looked through for why it failed."""
_LONGEST = 2000
_VALUED = ("--index-url", "--extra-index-url", "--trusted-host", "--find-links")
_NOISE = re.compile(r"\[KFP Executor [^]]*INFO\]: ")
_RAISED = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b(?::|$)|VT[0-9]{3}  ")


def run_process(
    job: Job, tasks: Tasks, full_command: list[str], env_vars: dict[str, str] | None = None
) -> int:
    """`run_local_subprocess`: the process of a step, its words told line by line."""
    here = tasks.here
    here.attempt += 1
    here.tail.clear()
    full_command, wanted = _without_pip(full_command)
    if wanted:
        words = (
            f"VT714  this step wants packages that are not installed here: {', '.join(wanted)}. Steps share one "
            "environment, and install nothing in it. Fix: pip install them beside vertex-tuning."
        )
        here.tail.append(words)
        job.emit({"event": "log", "task": here.name, "id": here.task, "text": words, "time": now()})
        here.code = 1
        return 1
    if here.attempt > 1:
        tasks.tell(here.task, here.name, "RUNNING", attempt=here.attempt)
    # A step leaves the file with its code behind, which is for nobody.
    with tempfile.TemporaryDirectory(prefix="step-", ignore_cleanup_errors=True) as scratch:
        process = subprocess.Popen(
            full_command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": scratch, **(env_vars or {})},
            preexec_fn=die_with_parent,
        )
        with process:
            for line in _own_words(process.stdout):
                here.tail.append(line)
                del here.tail[:-_TAIL]
                job.emit({"event": "log", "task": here.name, "id": here.task, "text": line, "time": now()})
            here.code = process.wait()
    return int(here.code)


def _without_pip(command: list[str]) -> tuple[list[str], list[str]]:
    """A step's command without what installs packages before it, and those of them that are not there."""
    if command[:2] != ["sh", "-c"] or "pip install" not in command[2]:
        return command, []
    wanted = []
    for part in command[2].split("pip install")[1:]:
        words = shlex.split(part.partition("&&")[0])
        taken = [word for before, word in zip(["", *words], words, strict=False) if before not in _VALUED]
        wanted += [word for word in taken if not word.startswith("-") and not _installed(word)]
    return command[3:], wanted


def _installed(requirement: str) -> bool:
    """Whether a requirement holds here. That of kfp itself does: a step needs no more of it than all versions have."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(requirement)
        if wanted.marker is not None and not wanted.marker.evaluate():
            return True
        found = version(wanted.name)
    except (InvalidRequirement, PackageNotFoundError):
        return False
    return wanted.name == "kfp" or (wanted.url is None and wanted.specifier.contains(found, prereleases=True))


def _own_words(output: Any) -> Iterator[str]:
    """Lines of a step, without what kfp says about each: where its code lies, and all that it was given."""
    listing = False
    for text in output:
        line = text.rstrip()
        if listing or _NOISE.match(line):
            listing = line != "}" and (listing or line.endswith("Got executor_input:"))
        elif line:
            yield line


def why(tail: list[str], code: int) -> str:
    """Why a step failed: Vertex AI's words, and the last ones of its own that name an error."""
    if code < 0:
        how = f"was killed by {signal.Signals(-code).name}."
    elif code:
        how = f"exited with a non-zero status of {code}."
    else:
        how = "left no outputs that can be read."
    begins = [index for index, line in enumerate(tail) if _RAISED.match(line)]
    words = "\n".join(tail[begins[-1] :] if begins else tail[-1:])[-_LONGEST:]
    return f"The replica workerpool0-0 {how}" + (f" Its last words: {words}" if words else "")
