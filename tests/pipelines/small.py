"""Small pipelines for tests, compiled as they are asked for: each shows one thing that a pipeline can do."""

# ruff: noqa: PTH110, PTH123  -- annotations must be real for kfp: no `from __future__ import annotations` here

import functools
import tempfile
import warnings
from pathlib import Path
from typing import Any

import yaml

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from kfp import compiler, dsl

component = functools.partial(
    dsl.component, base_image="us-docker.pkg.dev/p/r/vertex-tuning:1", install_kfp_package=False
)


@component
def number(n: int) -> int:
    return n


@component
def write(text: str, data: dsl.Output[dsl.Dataset]) -> str:
    with open(data.path, "w") as file:
        file.write(text)
    data.metadata["length"] = len(text)
    print(f"wrote {text}")
    return text


@component
def measure(data: dsl.Input[dsl.Dataset], metrics: dsl.Output[dsl.Metrics]) -> int:
    with open(data.path) as file:
        length = len(file.read())
    metrics.log_metric("length", length)
    return length


@component
def fail(when: bool, words: str) -> int:
    if when:
        raise ValueError(words)
    return 1


@component
def last(status: dsl.PipelineTaskFinalStatus) -> str:
    print(f"the rest is {status.state} in {status.pipeline_job_resource_name}: {status.error_message}")
    return status.state


@component
def linger(seconds: float, note: str):
    import os
    import subprocess
    import time

    daemon = subprocess.Popen(["sleep", str(seconds)], start_new_session=True)
    with open(note, "w") as file:
        file.write(f"{os.getpid()} {daemon.pid}")
    print("lingering", flush=True)
    time.sleep(seconds)


@component
def tidy(note: str):
    import os
    import signal
    import sys
    import time

    def end(*_):
        time.sleep(2.5)
        with open(note, "w") as file:
            file.write("tidied up")
        sys.exit(1)

    signal.signal(signal.SIGTERM, end)
    with open(note, "w") as file:
        file.write(f"{os.getpid()} {os.getpid()}")
    time.sleep(600)


@component
def once_then_well(note: str) -> int:
    import os

    if not os.path.exists(note):
        open(note, "w").close()
        raise RuntimeError("not yet")
    return 1


@component
def told(job: str, name: str, resource: str, created: str) -> dict:
    return {"job": job, "name": name, "resource": resource, "created": created}


@component
def environment(names: list) -> dict:
    import os

    return {name: os.environ.get(name, "") for name in names}


@component
def count(note: str, place: dsl.Output[dsl.Artifact]) -> str:
    with open(note, "a") as file:
        file.write("once ")
    with open(place.path, "w") as file:
        file.write("here")
    return place.uri


@component
def linger_after(place: str, seconds: float, note: str):
    import os
    import subprocess
    import time

    daemon = subprocess.Popen(["sleep", str(seconds)], start_new_session=True)
    with open(note, "w") as file:
        file.write(f"{os.getpid()} {daemon.pid}")
    time.sleep(seconds)


@dsl.component(base_image="python:3.11", packages_to_install=["pyyaml>=5"])
def at_hand() -> int:
    return 1


@dsl.component(base_image="python:3.11", packages_to_install=["no-such-package-at-all==1.0"])
def wanting() -> int:
    return 1


@dsl.pipeline(name="in-two-steps")
def in_two_steps(counted: str, note: str, seconds: float):
    counted_ = count(note=counted).set_caching_options(False)
    linger_after(place=counted_.outputs["Output"], seconds=seconds, note=note).set_caching_options(False)


@dsl.pipeline(name="with-packages-at-hand")
def with_packages_at_hand():
    at_hand()


@dsl.pipeline(name="with-packages-to-install")
def with_packages_to_install():
    wanting()


@dsl.pipeline(name="chain")
def chain(text: str = "hello", n: int = 2):
    written = write(text=text)
    measure(data=written.outputs["data"])
    number(n=n)


@dsl.pipeline(name="control")
def control(n: int = 2):
    with dsl.ExitHandler(last()):
        counted = number(n=n)
        with dsl.If(counted.output > 5):
            number(n=10)
        with dsl.ParallelFor([1, 2]) as item:
            number(n=item)


@dsl.pipeline(name="failing")
def failing(when: bool = True):
    with dsl.ExitHandler(last()):
        failed = fail(when=when, words="seven is bad\nreally")
        number(n=failed.output)
        write(text="it does not need what failed")


@dsl.pipeline(name="many")
def many():
    with dsl.ExitHandler(last()):
        fail(when=True, words="no")
        for n in range(8):
            number(n=n)


@dsl.pipeline(name="retried")
def retried(note: str):
    once_then_well(note=note).set_retry(2)


@dsl.pipeline(name="lingering")
def lingering(note: str, seconds: float = 600.0):
    linger(seconds=seconds, note=note)


@dsl.pipeline(name="tidying")
def tidying(note: str):
    tidy(note=note)


@dsl.pipeline(name="placeholders")
def placeholders():
    told(
        job=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
        resource=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER,
        created=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
    )


@dsl.pipeline(name="surroundings")
def surroundings(names: list):
    environment(names=names).set_caching_options(False)


@dsl.pipeline(name="importing")
def importing(uri: str):
    found = dsl.importer(artifact_uri=uri, artifact_class=dsl.Dataset)
    measure(data=found.output)


@dsl.pipeline(name="tune-and-compare")
def told_by_the_clock(epochs: int, base_model: str):
    number(n=epochs)
    write(text=base_model)


@functools.cache
def _compiled(pipeline: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(path))
        return path.read_text(encoding="utf-8")


def text(pipeline: Any) -> str:
    """As YAML."""
    return _compiled(pipeline)


def spec(pipeline: Any) -> dict[str, Any]:
    """As a dictionary."""
    return yaml.safe_load(_compiled(pipeline))
