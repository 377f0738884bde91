"""The steps of `rlhf`. A body imports one function and calls it; it sees nothing of this file but its own imports."""

from typing import NamedTuple

from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Metrics, Model, Output


def prepare_sets(
    demonstrations: int,
    questions: int,
    prompts: int,
    held_out: int,
    test: int,
    seed: int,
    preference_data: str,
    sets: Output[Dataset],
) -> NamedTuple(
    "Prepared",
    [("demonstrations", int), ("questions", int), ("prompts", int), ("held_out", int), ("test", int)],
):
    """People's pairs, or real texts for simulated ones, taken apart so that no set has a prompt of another."""
    from vertex_tuning.pipelines.steps import rlhf

    return rlhf.prepare(
        sets.path,
        demonstrations=demonstrations,
        questions=questions,
        prompts=prompts,
        held_out=held_out,
        test=test,
        seed=seed,
        preference_data=preference_data,
    )


def tune_by_example(
    sets: Input[Dataset],
    weights: str,
    host: str,
    epochs: int,
    learning_rate: float,
    seed: int,
    tuned: Output[Model],
) -> str:
    """Learn the task from demonstrations."""
    from vertex_tuning.pipelines.steps import rlhf

    return rlhf.tune_by_example(
        sets.path,
        weights=weights,
        host=host,
        place=tuned.uri,
        epochs=epochs,
        learning_rate=learning_rate,
        seed=seed,
        model=tuned.path,
        about=tuned.metadata,
    )


def collect_preferences(
    sets: Input[Dataset], model: str, weights: str, host: str, seed: int, preferences: Output[Dataset]
) -> NamedTuple("Preferred", [("training", int), ("held_out", int)]):
    """Pairs that people ranked; or two answers of the tuned model to each question, ranked by a rule that stands for people."""
    from vertex_tuning.pipelines.steps import rlhf

    return rlhf.prefer(
        sets.path,
        model=model,
        weights=weights,
        host=host,
        place=preferences.uri,
        preferences=preferences.path,
        seed=seed,
    )


def train_reward_model(
    preferences: Input[Dataset],
    model: str,
    weights: str,
    host: str,
    epochs: int,
    learning_rate: float,
    seed: int,
    card: Output[Metrics],
) -> NamedTuple("Judge", [("uri", str), ("accuracy", float), ("calibration_error", float)]):
    """Learn to say which answer is preferred, from the weights of the model that gave them."""
    from vertex_tuning.pipelines.steps import rlhf

    return rlhf.reward_model(
        preferences.path,
        model=model,
        weights=weights,
        host=host,
        place=card.uri,
        card=card.path,
        figures=card.metadata,
        epochs=epochs,
        learning_rate=learning_rate,
        seed=seed,
    )


def reinforce_model(
    sets: Input[Dataset],
    model: str,
    judge: str,
    weights: str,
    host: str,
    steps: int,
    batch_size: int,
    samples_per_prompt: int,
    max_output_tokens: int,
    learning_rate: float,
    beta: float,
    look_every: int,
    seed: int,
    history: Output[Metrics],
) -> NamedTuple("Reinforced", [("model", str), ("hacked", bool), ("kl", float)]):
    """Try answers, paid by the reward model, on a leash; stop where the reward is seen to be hacked."""
    from vertex_tuning.pipelines.steps import rlhf

    return rlhf.reinforce(
        sets.path,
        model=model,
        judge=judge,
        weights=weights,
        host=host,
        place=history.uri,
        history=history.path,
        figures=history.metadata,
        steps=steps,
        batch_size=batch_size,
        samples_per_prompt=samples_per_prompt,
        max_output_tokens=max_output_tokens,
        learning_rate=learning_rate,
        beta=beta,
        look_every=look_every,
        seed=seed,
    )


def answer_test_prompts(
    sets: Input[Dataset],
    model: str,
    judge: str,
    weights: str,
    host: str,
    samples_per_prompt: int,
    max_output_tokens: int,
    answers: Output[Artifact],
) -> float:
    """The test prompts answered, and scored by the reward model and by the rule."""
    from vertex_tuning.pipelines.steps import rlhf

    return rlhf.answer(
        sets.path,
        model=model,
        judge=judge,
        weights=weights,
        host=host,
        place=answers.uri,
        answers=answers.path,
        samples_per_prompt=samples_per_prompt,
        max_output_tokens=max_output_tokens,
    )


def judge_models(
    sets: Input[Dataset],
    before: Input[Artifact],
    after: Input[Artifact],
    card: Input[Metrics],
    history: Input[Metrics],
    least_accuracy: float,
    most_kl: float,
    comparison: Output[Metrics],
    report: Output[HTML],
    summary: Output[Markdown],
) -> NamedTuple("Judged", [("open", bool), ("wins", float), ("gain", float)]):
    """Compare by the reward and by the independent measure, decide, and tell."""
    from vertex_tuning.pipelines.steps import rlhf_report

    return rlhf_report.judge(
        sets.path,
        before=before.path,
        after=after.path,
        card=card.path,
        history=history.path,
        comparison=comparison.path,
        figures=comparison.metadata,
        page=report.path,
        summary=summary.path,
        least_accuracy=least_accuracy,
        most_kl=most_kl,
    )


# Managed: the tuning service calls the reward model


def tune_by_example_managed(
    sets: Input[Dataset], base_model: str, epochs: int, adapter_size: int, tuned: Output[Model]
) -> str:
    """Learn the task from demonstrations, by the tuning service."""
    from vertex_tuning.pipelines.steps import rlhf_managed

    return rlhf_managed.tune_by_example(
        sets.path,
        base_model=base_model,
        place=tuned.uri,
        epochs=epochs,
        adapter_size=adapter_size,
        model=tuned.path,
        about=tuned.metadata,
    )


def collect_preferences_managed(
    sets: Input[Dataset], model: str, max_output_tokens: int, seed: int, preferences: Output[Dataset]
) -> NamedTuple("Preferred", [("training", int), ("held_out", int)]):
    """Pairs that people ranked; or two answers of the tuned model to each question, ranked by a rule that stands for people."""
    from vertex_tuning.pipelines.steps import rlhf_managed

    return rlhf_managed.prefer(
        sets.path, model=model, preferences=preferences.path, max_output_tokens=max_output_tokens, seed=seed
    )


def reinforce_managed(
    sets: Input[Dataset],
    model: str,
    judge: str,
    reward_uri: str,
    epochs: int,
    batch_size: int,
    samples_per_prompt: int,
    max_output_tokens: int,
    learning_rate_multiplier: float,
    seed: int,
    before: Output[Artifact],
    after: Output[Artifact],
    history: Output[Metrics],
) -> NamedTuple("Tried", [("model", str), ("checkpoint", str), ("hacked", bool)]):
    """Let the service try answers that the reward model pays, look at its checkpoints, and let the best one answer."""
    from vertex_tuning.pipelines.steps import rlhf_managed

    return rlhf_managed.reinforce(
        sets.path,
        model=model,
        judge=judge,
        reward_uri=reward_uri,
        place=history.uri,
        before=before.path,
        after=after.path,
        history=history.path,
        figures=history.metadata,
        epochs=epochs,
        batch_size=batch_size,
        samples_per_prompt=samples_per_prompt,
        max_output_tokens=max_output_tokens,
        learning_rate_multiplier=learning_rate_multiplier,
        seed=seed,
    )
