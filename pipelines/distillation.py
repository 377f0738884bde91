"""Step by step: a teacher labels and says why, students learn both, and the report tells whether the reasons were worth it."""

from typing import Any

from kfp import dsl

from pipelines import distilling
from pipelines.profiles import Profile


def build(profile: Profile) -> Any:
    """The pipeline for a target."""
    shared, own, settle = profile.components(), profile.components(distilling), profile.settle

    @dsl.pipeline(
        name="distillation", description="Teach a small model step by step: a teacher's labels, and why."
    )
    def distillation(
        question_data: str,
        test_data: str,
        teacher: str = "gemini-2.5-pro",
        labels: list = [],  # noqa: B006  # a parameter's default, which kfp writes down
        prompt: str = "",
        annotated_data: str = "",
        teacher_epochs: int = 0,
        teacher_adapter_size: int = 0,
        teacher_learning_rate_multiplier: float = 0.0,
        teacher_parameters: int = 0,
        samples: int = 1,
        rationale: str = "any",
        gold: str = "drop",
        max_output_tokens: int = 256,
        way: str = "open",
        student: str = "tiny-0.5m",
        seeds: list = [1, 2, 3],  # noqa: B006
        rationale_weight: float = 1.0,
        mode: str = "full",
        steps: int = 700,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        host: str = "l4",
        at_once: int = 2,
        speed: bool = True,
        margin: float = 0.0,
        at_least: float = 0.0,
        min_rows: int = 200,
    ):
        """Teach a small model step by step: a teacher's labels, and why.

        Args:
            question_data: What the teacher is asked: a gs:// URI of JSONL; people's label may stand beside a row as gold.
            test_data: Held-out rows with labels, a gs:// URI of JSONL.
            teacher: A model of the catalog, or the name of a tuned one.
            labels: What may be answered; left out where the prompt has them.
            prompt: The teacher's prompt: TOML with labels and examples, or a gs:// URI of it; empty: the question alone.
            annotated_data: Rows that people labelled with reasons, a gs:// URI: the teacher is tuned on them; empty: it is not.
            teacher_epochs: Passes over them; 0: the service's choice.
            teacher_adapter_size: Rank of the teacher's adapter; 0: the service's choice.
            teacher_learning_rate_multiplier: Factor on the recommended learning rate; 0: the service's choice.
            teacher_parameters: How many the teacher has, for the report; 0: not known.
            samples: Answers of the teacher to each row; the label that most give is taken.
            rationale: any, or named: a rationale has to name its label.
            gold: Of a row to which people gave another label: drop it, or count it and keep the teacher's.
            max_output_tokens: Of the teacher's answers.
            way: open: the two-part loss, in our own container; managed: a mix of rows, by the tuning service.
            student: open: a gs:// folder of weights, or tiny-0.1m, tiny-0.5m, tiny-0.9m; managed: a model of the catalog.
            seeds: One student of each kind for each; managed has one of each.
            rationale_weight: The paper's lambda; managed: rows of rationales for each row of a label.
            mode: open: adapter or full.
            steps: open: of training.
            batch_size: open: rows in a step, both tasks of each.
            learning_rate: open: peak rate.
            host: open: the machine, such as l4, a100 or h100.
            at_once: Students that are trained beside each other.
            speed: Whether teacher and student are asked one by one, and timed.
            margin: The lower end of the gain's interval must lie above this for the gate to open.
            at_least: The mean of the students with rationales must be this at least.
            min_rows: With fewer held-out rows, the gate stays closed.
        """
        cleaning = settle(
            shared.clean_up(
                run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER
            ),
            cached=False,
        )
        with dsl.ExitHandler(cleaning, name="distil-and-judge"):
            taught = settle(
                own.teach_teacher(
                    annotated=annotated_data,
                    teacher=teacher,
                    epochs=teacher_epochs,
                    adapter_size=teacher_adapter_size,
                    learning_rate_multiplier=teacher_learning_rate_multiplier,
                )
            )
            labelled = settle(
                own.label_rows(
                    questions=question_data,
                    teacher=taught.outputs["model_name"],
                    labels=labels,
                    prompt=prompt,
                    samples=samples,
                    rationale=rationale,
                    gold=gold,
                    max_output_tokens=max_output_tokens,
                ),
                retries=0,
            )
            trained = settle(
                own.train_students(
                    labelled=labelled.outputs["labelled"],
                    test_data=test_data,
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
                )
            )
            judged = settle(
                own.judge_students(
                    test=trained.outputs["test"],
                    students=trained.outputs["students"],
                    manifest=labelled.outputs["manifest"],
                    teacher=taught.outputs["model_name"],
                    teacher_base=teacher,
                    teacher_parameters=teacher_parameters,
                    speed=speed,
                    max_output_tokens=max_output_tokens,
                ),
                cached=False,
            )
            settle(
                shared.gate(
                    comparison=judged.outputs["comparison"],
                    margin=margin,
                    at_least=at_least,
                    min_rows=min_rows,
                ),
                retries=0,
            )

    return distillation
