"""The steps of step-by-step distillation that no other pipeline has; bodies as in `components.py`."""

from typing import NamedTuple

from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Metrics, Model, Output


def teach_teacher(
    annotated: str,
    teacher: str,
    epochs: int,
    adapter_size: int,
    learning_rate_multiplier: float,
    model: Output[Model],
    metrics: Output[Metrics],
) -> NamedTuple("Tuned", [("model_name", str), ("job", str)]):
    """Tune the teacher on rows that people labelled, with their reasons; without any, hand it on."""
    from vertex_tuning.pipelines.steps import distillation

    return distillation.teach(
        annotated,
        teacher=teacher,
        place=model.uri,
        epochs=epochs,
        adapter_size=adapter_size,
        learning_rate_multiplier=learning_rate_multiplier,
        model=model.path,
        about=model.metadata,
        measured=metrics.path,
        metrics=metrics.metadata,
    )


def label_rows(
    questions: str,
    teacher: str,
    labels: list,
    prompt: str,
    samples: int,
    rationale: str,
    gold: str,
    max_output_tokens: int,
    labelled: Output[Dataset],
    dropped: Output[Dataset],
    manifest: Output[Metrics],
    report: Output[Markdown],
) -> NamedTuple("Labelled", [("kept", int), ("asked", int), ("teacher_tokens", int)]):
    """Let the teacher label rows and say why, in one batch; keep what is worth learning."""
    from vertex_tuning.pipelines.steps import distillation

    return distillation.label(
        questions,
        teacher=teacher,
        labels=labels,
        prompt=prompt,
        samples=samples,
        rationale=rationale,
        gold=gold,
        max_output_tokens=max_output_tokens,
        labelled=labelled.path,
        dropped=dropped.path,
        manifest=manifest.path,
        figures=manifest.metadata,
        report=report.path,
    )


def train_students(
    labelled: Input[Dataset],
    test_data: str,
    way: str,
    student: str,
    seeds: list,
    rationale_weight: float,
    mode: str,
    steps: int,
    batch_size: int,
    learning_rate: float,
    host: str,
    at_once: int,
    test: Output[Dataset],
    students: Output[Artifact],
) -> NamedTuple("Students", [("trained", int), ("model_name", str)]):
    """Train students with rationales, and on labels alone, on the same rows and as many steps."""
    from vertex_tuning.pipelines.steps import students as training

    return training.train(
        labelled.path,
        test_source=test_data,
        way=way,
        student=student,
        seeds=seeds,
        rationale_weight=rationale_weight,
        mode=mode,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        host=host,
        at_once=at_once,
        place=students.uri,
        test=test.path,
        students=students.path,
        about=students.metadata,
    )


def judge_students(
    test: Input[Dataset],
    students: Input[Artifact],
    manifest: Input[Metrics],
    teacher: str,
    teacher_base: str,
    teacher_parameters: int,
    speed: bool,
    max_output_tokens: int,
    comparison: Output[Metrics],
    report: Output[HTML],
    summary: Output[Markdown],
) -> NamedTuple(
    "Judged", [("labels_alone", float), ("with_rationales", float), ("difference", float), ("teacher", float)]
):
    """Hold students with rationales against labels alone, the teacher and the untuned student."""
    from vertex_tuning.pipelines.steps import distilled

    return distilled.judge(
        test.path,
        students=students.path,
        manifest=manifest.path,
        teacher=teacher,
        teacher_base=teacher_base,
        teacher_parameters=teacher_parameters,
        speed=speed,
        max_output_tokens=max_output_tokens,
        comparison=comparison.path,
        figures=comparison.metadata,
        page=report.path,
        summary=summary.path,
    )
