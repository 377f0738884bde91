"""By example: check, split, upload, tune, evaluate against the base, gate, register, deploy."""

from typing import Any

from kfp import dsl

from pipelines.passing_on import pass_on
from pipelines.profiles import Profile


def build(profile: Profile) -> Any:
    """The pipeline for a target."""
    steps, settle = profile.components(), profile.settle

    @dsl.pipeline(
        name="supervised", description="Teach a model by example, and pass on only what got better."
    )
    def supervised(
        training_data: str,
        base_model: str = "gemini-2.5-flash",
        test_data: str = "",
        test_share: float = 0.2,
        seed: int = 42,
        epochs: int = 0,
        adapter_size: int = 0,
        learning_rate_multiplier: float = 0.0,
        display_name: str = "supervised",
        measure: str = "exact_match",
        max_output_tokens: int = 64,
        margin: float = 0.0,
        at_least: float = 0.0,
        min_rows: int = 30,
        alias: str = "approved",
        deploy: bool = False,
        question: str = "Hello!",
    ):
        """Teach a model by example, and pass on only what got better.

        Args:
            training_data: Examples: a gs:// URI of JSONL.
            base_model: A model of the catalog, or the name of a tuned one to tune on.
            test_data: Held-out examples, a gs:// URI; empty: a share of the others.
            test_share: Of the rows that are held out, up to 0.5.
            seed: Another one holds other prompts out.
            epochs: Passes over the data; 0: the service's choice.
            adapter_size: Rank of the adapter; 0: the service's choice.
            learning_rate_multiplier: Factor on the recommended learning rate; 0: the service's choice.
            display_name: Name of the tuned model.
            measure: What answers are measured by: exact_match, label_accuracy, token_f1, rouge_l or valid_json.
            max_output_tokens: Of an answer of the evaluation.
            margin: The lower end of the gain's interval must lie above this for the gate to open.
            at_least: The tuned model's mean must be this at least.
            min_rows: With fewer rows compared, the gate stays closed.
            alias: What the version that passed is marked with.
            deploy: Whether a model that passed is deployed, and asked.
            question: What it is asked then.
        """
        cleaning = settle(
            steps.clean_up(
                run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER
            ),
            cached=False,
        )
        with dsl.ExitHandler(cleaning, name="tune-and-judge"):
            checked = settle(
                steps.check_data(
                    source=training_data,
                    method="supervised",
                    base_model=base_model,
                    measure=measure,
                    alias=alias,
                ),
                retries=0,
            )
            parts = settle(
                steps.split_data(
                    checked=checked.outputs["checked"],
                    method="supervised",
                    test_source=test_data,
                    test_share=test_share,
                    seed=seed,
                ),
                retries=0,
            )
            uploaded = settle(steps.upload_data(training=parts.outputs["training"]), cached=False)
            tuned = settle(
                steps.tune_model(
                    training=uploaded.outputs["Output"],
                    method="supervised",
                    base_model=base_model,
                    epochs=epochs,
                    adapter_size=adapter_size,
                    learning_rate_multiplier=learning_rate_multiplier,
                    beta=0.0,
                    display_name=display_name,
                )
            )
            pass_on(
                steps,
                settle,
                model=tuned.outputs["model_name"],
                test=parts.outputs["test"],
                base_model=base_model,
                measure=measure,
                max_output_tokens=max_output_tokens,
                margin=margin,
                at_least=at_least,
                min_rows=min_rows,
                alias=alias,
                deploy=deploy,
                question=question,
            )

    return supervised
