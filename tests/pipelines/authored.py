"""Pipelines as people write them, each with one thing that does not run everywhere. Compiled by kfp, as theirs would be."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Optional

from kfp import compiler, dsl
from kfp.dsl import Dataset, Input, Output

from vertex_tuning.pipelines.compiled import Compiled, compiled, read

IMAGE = "example.com/steps:1"


def thin(function: Callable[..., Any], image: str = IMAGE) -> Any:
    return dsl.component(function, base_image=image, install_kfp_package=False)


def give(text: str = "x") -> str:
    return text


def count(number: int = 3) -> int:
    return number


def names() -> list:
    return ["a", "b"]


def make(made: Output[Dataset]) -> None:
    Path(made.path).write_text("x")


def take(given: Input[Dataset]) -> str:
    return Path(given.path).read_text()


def take_all(given: list) -> int:
    return len(given)


def note(status: dsl.PipelineTaskFinalStatus) -> str:
    return status.state


def two() -> NamedTuple("Two", [("yes", bool), ("number", int)]):
    return True, 2


TWO = thin(two)
GIVE, COUNT, NAMES, MAKE, TAKE, TAKE_ALL, NOTE = map(thin, (give, count, names, make, take, take_all, note))


def compile_(body: Callable[..., Any], **options: Any) -> Compiled:
    """A pipeline from the body of one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(dsl.pipeline(body, name="authored", **options), str(path))
        return read(path)


def changed(**fields: Any) -> Compiled:
    """A pipeline in which no fault is, but for fields that a later compiler might write."""
    spec = compile_(lambda: GIVE() and None).spec
    return compiled([{**spec, **fields}], "changed.yaml")


@dsl.pipeline(name="inner")
def inner(given: Input[Dataset]) -> str:
    return TAKE(given=given).output


@dsl.pipeline(name="handled")
def handled():
    exit_task = NOTE()
    with dsl.ExitHandler(exit_task):
        GIVE()


INNER, HANDLED = inner, handled


# What there is nothing to say against


def portable(number: int = 3, word: str = "left"):
    exit_task = NOTE()
    with dsl.ExitHandler(exit_task):
        counted = COUNT(number=number)
        counted.set_retry(2, "5s", 2.0, "60s").set_cpu_limit("1").set_memory_limit("2G")
        made = MAKE()
        TAKE(given=made.outputs["made"])
        with dsl.If(counted.output > 2):
            GIVE(text="many")
        with dsl.If(word == "left"):
            one = GIVE(text="l")
        with dsl.Else():
            other = GIVE(text="r")
        GIVE(text=dsl.OneOf(one.output, other.output))


def looping():
    with dsl.ParallelFor(["a", "b"], parallelism=2) as item:
        given = GIVE(text=item)
    TAKE_ALL(given=dsl.Collected(given.output))


# What there is


def a_container():
    @dsl.container_component
    def shell():
        return dsl.ContainerSpec(image=IMAGE, command=["echo", "hello"])

    shell()


def packages():
    dsl.component(give, base_image=IMAGE, packages_to_install=["six"])()


def kfp_itself():
    dsl.component(give, base_image=IMAGE)()


def latest():
    thin(give, "example.com/steps:latest")()


def no_tag():
    thin(give, "localhost:5000/steps")()


def artifact_into_a_group():
    made = MAKE()
    counted = COUNT()
    with dsl.If(counted.output == 3):
        TAKE(given=made.outputs["made"])


def artifact_into_a_pipeline():
    INNER(given=MAKE().outputs["made"])


def one_of_artifacts():
    counted = COUNT()
    with dsl.If(counted.output == 3):
        one = MAKE()
    with dsl.Else():
        other = MAKE()
    TAKE(given=dsl.OneOf(one.outputs["made"], other.outputs["made"]))


def quotation(word: str = "a"):
    with dsl.If(word == "it's"):
        GIVE()


def two_texts(word: str = "a"):
    with dsl.If(GIVE().output == word):
        GIVE()


def several_outputs():
    with dsl.If(TWO().outputs["yes"] == True):
        GIVE()


def an_output_from_above():
    counted = COUNT()
    with dsl.If(COUNT(number=1).output == 1), dsl.If(counted.output == 3):
        GIVE()


def loop_over_nothing(items: list = []):  # noqa: B006  # a pipeline's default
    with dsl.ParallelFor(items) as item:
        GIVE(text=item)


def importer_in_a_loop():
    with dsl.ParallelFor(["a", "b"]) as item:
        imported = dsl.importer(artifact_uri="gs://b/x", artifact_class=Dataset, reimport=False)
        TAKE(given=imported.output)
        GIVE(text=item)


def loop_in_an_exit_handler():
    exit_task = NOTE()
    with dsl.ExitHandler(exit_task), dsl.ParallelFor(["a", "b"]) as item:
        GIVE(text=item)


def exit_handler_below():
    HANDLED()


def after_a_failure():
    first = GIVE()
    with dsl.If(COUNT().output == 3):
        GIVE(text=first.output).ignore_upstream_failure()


def no_default(word: Optional[str] = None):
    GIVE(text=word)


def dynamic(processors: str = "4"):
    GIVE().set_cpu_limit(processors)


def of_kubeflow():
    GIVE().set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)


def of_vertex():
    GIVE().set_accelerator_type("NVIDIA_L4").set_accelerator_limit(1)


def a_time():
    GIVE(text=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER)


def a_resource_name():
    GIVE(text=f"of {dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER}")


def cache_key():
    GIVE().set_caching_options(True, cache_key="k")


def google_artifact():
    class VertexModel(dsl.Artifact):
        schema_title = "google.VertexModel"
        schema_version = "0.0.1"

    dsl.importer(artifact_uri="https://x", artifact_class=VertexModel, reimport=False)


def workspace():
    GIVE(text=dsl.WORKSPACE_PATH_PLACEHOLDER)


def three_faults(word: Optional[str] = None):
    thin(give, "example.com/steps")(text=word)
    GIVE(text=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER)
