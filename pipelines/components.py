"""The steps of the pipelines by example and by preference. A body imports one function and calls it: the work is in the image.

A component is compiled from its source alone, so that a body sees nothing of this file but its own imports.
"""

from typing import NamedTuple

from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Metrics, Model, Output, PipelineTaskFinalStatus


def check_data(
    source: str,
    method: str,
    base_model: str,
    measure: str,
    alias: str,
    checked: Output[Dataset],
    report: Output[Markdown],
) -> NamedTuple("Checked", [("rows", int), ("estimated_tokens", int)]):
    """Fetch a data set, and hold it against every rule of its way of tuning."""
    from vertex_tuning.pipelines.steps import data

    return data.check(
        source,
        method=method,
        base_model=base_model,
        checked=checked.path,
        report=report.path,
        measure=measure,
        alias=alias,
    )


def split_data(
    checked: Input[Dataset],
    method: str,
    test_source: str,
    test_share: float,
    seed: int,
    training: Output[Dataset],
    test: Output[Dataset],
) -> NamedTuple("Parts", [("training_rows", int), ("test_rows", int)]):
    """Set rows apart that no model will learn from."""
    from vertex_tuning.pipelines.steps import data

    return data.split(
        checked.path,
        method=method,
        test_source=test_source,
        test_share=test_share,
        seed=seed,
        training=training.path,
        test=test.path,
    )


def upload_data(training: Input[Dataset], uploaded: Output[Artifact]) -> str:
    """Put a data set into the bucket under the hash of its content."""
    from vertex_tuning.pipelines.steps import data

    return data.upload(training.path, place=uploaded.uri, uploaded=uploaded.path)


def tune_model(
    training: str,
    method: str,
    base_model: str,
    epochs: int,
    adapter_size: int,
    learning_rate_multiplier: float,
    beta: float,
    display_name: str,
    model: Output[Model],
    metrics: Output[Metrics],
) -> NamedTuple("Tuned", [("model_name", str), ("job", str)]):
    """Tune a model, and follow the job to its end; a step that is tried again takes up the job that it began."""
    from vertex_tuning.pipelines.steps import tuning

    return tuning.tune(
        training,
        method=method,
        base_model=base_model,
        place=model.uri,
        model=model.path,
        about=model.metadata,
        measured=metrics.path,
        metrics=metrics.metadata,
        epochs=epochs,
        adapter_size=adapter_size,
        learning_rate_multiplier=learning_rate_multiplier,
        beta=beta,
        display_name=display_name,
    )


def keep_model(model: str) -> str:
    """Go on from a model as it is."""
    return model


def evaluate_model(
    test: Input[Dataset],
    model: str,
    base_model: str,
    measure: str,
    max_output_tokens: int,
    comparison: Output[Metrics],
    report: Output[HTML],
    summary: Output[Markdown],
) -> NamedTuple("Evaluated", [("baseline", float), ("candidate", float), ("difference", float)]):
    """Ask the base and the tuned model the same held-out questions, and compare what the answers are worth."""
    from vertex_tuning.pipelines.steps import evaluation

    return evaluation.evaluate(
        test.path,
        model=model,
        base_model=base_model,
        measure=measure,
        max_output_tokens=max_output_tokens,
        comparison=comparison.path,
        figures=comparison.metadata,
        page=report.path,
        summary=summary.path,
    )


def gate(
    comparison: Input[Metrics], margin: float, at_least: float, min_rows: int, decision: Output[Markdown]
) -> bool:
    """Decide whether the tuned model goes on, and say why. One output alone: kfp.local finds no other for a condition."""
    from vertex_tuning.pipelines.steps import evaluation

    return evaluation.gate(
        comparison.path, margin=margin, at_least=at_least, min_rows=min_rows, decision=decision.path
    )


def register_model(model: str, alias: str, registered: Output[Artifact]) -> str:
    """Mark the version that passed with an alias in the model registry."""
    from vertex_tuning.pipelines.steps import registry

    return registry.register(model, alias=alias, registered=registered.path)


def deploy_model(model: str, registered: str, question: str, deployed: Output[Artifact]) -> str:
    """See to it that the model answers, and ask it something."""
    from vertex_tuning.pipelines.steps import registry

    return registry.deploy(model, registered=registered, question=question, deployed=deployed.path)


def clean_up(
    status: PipelineTaskFinalStatus, run_id: str, run_name: str, report: Output[Markdown]
) -> NamedTuple("Cleaned", [("jobs", int), ("objects", int)]):
    """Cancel the jobs and delete the uploads of a run that did not succeed."""
    from vertex_tuning.pipelines.steps import cleaning

    return cleaning.clean(
        state=status.state, message=status.error_message, run=[run_id, run_name], report=report.path
    )
