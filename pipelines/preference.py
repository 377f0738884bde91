"""By preference: as by example, from pairs of which one is preferred; where there are examples, these are learnt first."""

from typing import Any

from kfp import dsl

from pipelines.passing_on import pass_on
from pipelines.profiles import Profile


def build(profile: Profile) -> Any:
    """The pipeline for a target."""
    steps, settle = profile.components(), profile.settle

    @dsl.pipeline(
        name="preference",
        description="Teach a model which of two answers is preferred, and pass on what got better.",
    )
    def preference(
        training_data: str,
        base_model: str = "gemini-2.5-flash",
        examples_data: str = "",
        test_data: str = "",
        test_share: float = 0.2,
        seed: int = 42,
        beta: float = 0.0,
        epochs: int = 0,
        examples_epochs: int = 0,
        adapter_size: int = 0,
        learning_rate_multiplier: float = 0.0,
        display_name: str = "preference",
        margin: float = 0.0,
        at_least: float = 0.0,
        min_rows: int = 30,
        alias: str = "approved",
        deploy: bool = False,
        question: str = "Hello!",
    ):
        """Teach a model which of two answers is preferred, and pass on what got better.

        Args:
            training_data: Pairs: a gs:// URI of JSONL.
            base_model: A model of the catalog, or the name of a tuned one to tune on.
            examples_data: Examples that are learnt before the pairs, a gs:// URI; empty: none.
            test_data: Held-out pairs, a gs:// URI; empty: a share of the others.
            test_share: Of the pairs that are held out, up to 0.5.
            seed: Another one holds other prompts out.
            beta: What it costs to move away from the base; 0: the service's choice.
            epochs: Passes over the pairs; 0: the service's choice.
            examples_epochs: Passes over the examples; 0: the service's choice.
            adapter_size: Rank of the adapter; 0: the service's choice.
            learning_rate_multiplier: Factor on the recommended learning rate; 0: the service's choice.
            display_name: Name of the tuned model.
            margin: The lower end of the gain's interval must lie above this for the gate to open.
            at_least: The share of held-out pairs of which the preferred answer is chosen must be this at least.
            min_rows: With fewer pairs compared, the gate stays closed.
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
                    method="preference",
                    base_model=base_model,
                    measure="exact_match",
                    alias=alias,
                ),
                retries=0,
            )
            parts = settle(
                steps.split_data(
                    checked=checked.outputs["checked"],
                    method="preference",
                    test_source=test_data,
                    test_share=test_share,
                    seed=seed,
                ),
                retries=0,
            )
            uploaded = settle(steps.upload_data(training=parts.outputs["training"]), cached=False)

            with dsl.If(examples_data != "", name="examples-first"):
                examples = settle(
                    steps.check_data(
                        source=examples_data, method="supervised", base_model=base_model, measure="", alias=""
                    ),
                    retries=0,
                ).set_display_name("check-examples")
                shown = settle(
                    steps.upload_data(training=examples.outputs["checked"]), cached=False
                ).set_display_name("upload-examples")
                by_example = settle(
                    steps.tune_model(
                        training=shown.outputs["Output"],
                        method="supervised",
                        base_model=base_model,
                        epochs=examples_epochs,
                        adapter_size=adapter_size,
                        learning_rate_multiplier=learning_rate_multiplier,
                        beta=0.0,
                        display_name=display_name,
                    )
                ).set_display_name("tune-by-example")
            with dsl.Else(name="pairs-alone"):
                as_it_is = settle(steps.keep_model(model=base_model), retries=0)

            tuned = settle(
                steps.tune_model(
                    training=uploaded.outputs["Output"],
                    method="preference",
                    base_model=dsl.OneOf(by_example.outputs["model_name"], as_it_is.output),
                    epochs=epochs,
                    adapter_size=adapter_size,
                    learning_rate_multiplier=learning_rate_multiplier,
                    beta=beta,
                    display_name=display_name,
                )
            ).set_display_name("tune-by-preference")
            pass_on(
                steps,
                settle,
                model=tuned.outputs["model_name"],
                test=parts.outputs["test"],
                base_model=base_model,
                measure="exact_match",
                max_output_tokens=64,
                margin=margin,
                at_least=at_least,
                min_rows=min_rows,
                alias=alias,
                deploy=deploy,
                question=question,
            )

    return preference
