"""From preferences, by the tuning service: it calls the reward model, which our container trains, as a Cloud Run scorer."""

from typing import Any

from kfp import dsl

from pipelines import rlhf_components
from pipelines.profiles import Profile


def build(profile: Profile) -> Any:
    """The pipeline for a target."""
    steps, settle = profile.components(rlhf_components), profile.settle
    shared = profile.components()

    @dsl.pipeline(
        name="rlhf-managed", description="The same by the tuning service, which calls the reward model."
    )
    def rlhf_managed(
        base_model: str = "gemini-3.5-flash",
        weights: str = "smollm2-135m-instruct",
        host: str = "l4",
        reward_uri: str = "",
        preference_data: str = "",
        seed: int = 42,
        demonstrations: int = 300,
        questions: int = 420,
        prompts: int = 120,
        held_out: int = 40,
        test: int = 100,
        example_epochs: int = 2,
        adapter_size: int = 8,
        reward_epochs: int = 2,
        reward_learning_rate: float = 5e-4,
        epochs: int = 1,
        batch_size: int = 8,
        samples_per_prompt: int = 8,
        max_output_tokens: int = 32,
        learning_rate_multiplier: float = 1.0,
        least_accuracy: float = 0.7,
    ):
        """The same by the tuning service, which calls the reward model.

        Whose preferences they are is said as in the pipeline `rlhf`. The service has no setting for the distance from the model
        that it began with: its checkpoints are looked at in the end.

        Args:
            base_model: A model of the catalog that takes both examples and rewards.
            weights: Open base weights of the reward model: the name of a stand-in that was fetched, or a gs:// folder.
            host: Machine of the job that trains it.
            reward_uri: Where the reward model is served, in Cloud Run; empty: by the step itself, for a tuning service that
                runs on the same machine.
            preference_data: Pairs that people ranked, a gs:// URI of JSONL as for preference tuning; empty: simulated ones.
            seed: Another one takes the texts apart in another way.
            demonstrations: Rows to learn by example from, of the simulated ones; of people's pairs, all that were preferred are.
            questions: Texts whose answers are ranked, where nobody has ranked any.
            prompts: To be tried in reinforcement.
            held_out: Prompts that checkpoints are looked at with.
            test: Prompts that decide nothing before the end.
            example_epochs: Passes over the demonstrations.
            adapter_size: Rank of the adapter.
            reward_epochs: Passes over the pairs.
            reward_learning_rate: Peak rate of the reward model.
            epochs: Passes over the prompts.
            batch_size: Prompts in a step of reinforcement.
            samples_per_prompt: Answers to each.
            max_output_tokens: Of an answer.
            learning_rate_multiplier: Factor on the recommended learning rate of reinforcement.
            least_accuracy: Of the reward model on held-out pairs, for the gate to open.
        """
        cleaning = settle(
            shared.clean_up(
                run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER
            ),
            cached=False,
        )
        with dsl.ExitHandler(cleaning, name="learn-and-judge"):
            sets = settle(
                steps.prepare_sets(
                    demonstrations=demonstrations,
                    questions=questions,
                    prompts=prompts,
                    held_out=held_out,
                    test=test,
                    seed=seed,
                    preference_data=preference_data,
                ),
                retries=0,
            ).outputs["sets"]
            shown = settle(
                steps.tune_by_example_managed(
                    sets=sets, base_model=base_model, epochs=example_epochs, adapter_size=adapter_size
                )
            ).outputs["Output"]
            preferences = settle(
                steps.collect_preferences_managed(
                    sets=sets, model=shown, max_output_tokens=max_output_tokens, seed=seed
                )
            ).outputs["preferences"]
            judge = settle(
                steps.train_reward_model(
                    preferences=preferences,
                    model="",
                    weights=weights,
                    host=host,
                    epochs=reward_epochs,
                    learning_rate=reward_learning_rate,
                    seed=seed,
                )
            )
            reinforced = settle(
                steps.reinforce_managed(
                    sets=sets,
                    model=shown,
                    judge=judge.outputs["uri"],
                    reward_uri=reward_uri,
                    epochs=epochs,
                    batch_size=batch_size,
                    samples_per_prompt=samples_per_prompt,
                    max_output_tokens=max_output_tokens,
                    learning_rate_multiplier=learning_rate_multiplier,
                    seed=seed,
                )
            )
            settle(
                steps.judge_models(
                    sets=sets,
                    before=reinforced.outputs["before"],
                    after=reinforced.outputs["after"],
                    card=judge.outputs["card"],
                    history=reinforced.outputs["history"],
                    least_accuracy=least_accuracy,
                    most_kl=0.0,
                ),
                retries=0,
            )

    return rlhf_managed
