"""From preferences: tune by example, rank answers, train a reward model, reinforce against it, judge by another measure, gate."""

from typing import Any

from kfp import dsl

from pipelines import rlhf_components
from pipelines.profiles import Profile


def build(profile: Profile) -> Any:
    """The pipeline for a target."""
    steps, settle = profile.components(rlhf_components), profile.settle
    shared = profile.components()

    @dsl.pipeline(
        name="rlhf", description="Pay a model by a reward model of preferences, and catch it where it cheats."
    )
    def rlhf(
        weights: str = "smollm2-135m-instruct",
        host: str = "l4",
        preference_data: str = "",
        seed: int = 42,
        demonstrations: int = 300,
        questions: int = 420,
        prompts: int = 120,
        held_out: int = 40,
        test: int = 100,
        example_epochs: int = 2,
        example_learning_rate: float = 5e-4,
        reward_epochs: int = 2,
        reward_learning_rate: float = 5e-4,
        steps_of_reinforcement: int = 24,
        batch_size: int = 4,
        samples_per_prompt: int = 8,
        max_output_tokens: int = 32,
        learning_rate: float = 3e-4,
        beta: float = 0.05,
        look_every: int = 6,
        least_accuracy: float = 0.7,
        most_kl: float = 1.0,
    ):
        """Pay a model by a reward model of preferences, and catch it where it cheats.

        Without `preference_data` the preferences are simulated: a stated rule over real text (sentences of film reviews), which
        the reward model never sees, and which is the independent measure. With pairs that people ranked, it is how like an answer
        is to the preferred one, of prompts that were kept back.

        Args:
            weights: Open base weights: the name of a stand-in that was fetched, or a gs:// folder.
            host: Machine of the jobs that train.
            preference_data: Pairs that people ranked, a gs:// URI of JSONL as for preference tuning; empty: simulated ones.
            seed: Another one takes the texts apart in another way.
            demonstrations: Rows to learn by example from, of the simulated ones; of people's pairs, all that were preferred are.
            questions: Texts whose answers are ranked, where nobody has ranked any.
            prompts: To be tried in reinforcement.
            held_out: Prompts that are looked at while it goes on.
            test: Prompts that decide nothing before the end.
            example_epochs: Passes over the demonstrations.
            example_learning_rate: Peak rate of tuning by example.
            reward_epochs: Passes over the pairs.
            reward_learning_rate: Peak rate of the reward model.
            steps_of_reinforcement: Never more than these; fewer where the reward is seen to be hacked.
            batch_size: Prompts in a step of reinforcement.
            samples_per_prompt: Answers to each.
            max_output_tokens: Of an answer.
            learning_rate: Peak rate of reinforcement.
            beta: What a nat of distance from the beginning costs, by the token.
            look_every: Steps between two looks at the held-out prompts.
            least_accuracy: Of the reward model on held-out pairs, for the gate to open.
            most_kl: Nats a token that the model may be away from where it began.
        """
        cleaning = settle(
            shared.clean_up(
                run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER
            ),
            cached=False,
        )
        with dsl.ExitHandler(cleaning, name="learn-and-judge"):
            where = {"weights": weights, "host": host}
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
                steps.tune_by_example(
                    sets=sets, epochs=example_epochs, learning_rate=example_learning_rate, seed=seed, **where
                )
            ).outputs["Output"]
            preferences = settle(
                steps.collect_preferences(sets=sets, model=shown, seed=seed, **where)
            ).outputs["preferences"]
            judge = settle(
                steps.train_reward_model(
                    preferences=preferences,
                    model=shown,
                    epochs=reward_epochs,
                    learning_rate=reward_learning_rate,
                    seed=seed,
                    **where,
                )
            )
            reinforced = settle(
                steps.reinforce_model(
                    sets=sets,
                    model=shown,
                    judge=judge.outputs["uri"],
                    steps=steps_of_reinforcement,
                    batch_size=batch_size,
                    samples_per_prompt=samples_per_prompt,
                    max_output_tokens=max_output_tokens,
                    learning_rate=learning_rate,
                    beta=beta,
                    look_every=look_every,
                    seed=seed,
                    **where,
                )
            )
            before, after = (
                settle(
                    steps.answer_test_prompts(
                        sets=sets,
                        model=model,
                        judge=judge.outputs["uri"],
                        samples_per_prompt=2,
                        max_output_tokens=max_output_tokens,
                        **where,
                    )
                ).outputs["answers"]
                for model in (shown, reinforced.outputs["model"])
            )
            settle(
                steps.judge_models(
                    sets=sets,
                    before=before,
                    after=after,
                    card=judge.outputs["card"],
                    history=reinforced.outputs["history"],
                    least_accuracy=least_accuracy,
                    most_kl=most_kl,
                ),
                retries=0,
            )

    return rlhf
