"""How pipelines that tune end: evaluate against the base, gate, register, deploy. Called while kfp builds one."""

from typing import Any

from kfp import dsl


def pass_on(
    steps: Any,
    settle: Any,
    *,
    model: Any,
    test: Any,
    base_model: Any,
    measure: Any,
    max_output_tokens: Any,
    margin: Any,
    at_least: Any,
    min_rows: Any,
    alias: Any,
    deploy: Any,
    question: Any,
) -> None:
    """The steps that let on only what got better.

    `steps` and `settle` are the profile's, `model` is the tuned one's name, `test` its held-out rows; the rest are inputs of the
    pipeline by the same names.
    """
    evaluated = settle(
        steps.evaluate_model(
            test=test,
            model=model,
            base_model=base_model,
            measure=measure,
            max_output_tokens=max_output_tokens,
        )
    )
    gated = settle(
        steps.gate(
            comparison=evaluated.outputs["comparison"], margin=margin, at_least=at_least, min_rows=min_rows
        ),
        retries=0,
    )
    with dsl.If(gated.outputs["Output"] == True, name="gate-is-open"):
        registered = settle(steps.register_model(model=model, alias=alias), cached=False)
        with dsl.If(deploy == True, name="deploy-is-wanted"):
            settle(
                steps.deploy_model(model=model, registered=registered.outputs["Output"], question=question),
                cached=False,
            )
