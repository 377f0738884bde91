"""No answers to learn from, but a reward: one word in lower case, and a short one. What does it change?"""

from pathlib import Path

from vertex_tuning import ReinforcementTuning, connect, data, rewards

PROMPTS = list(data.read(Path(__file__).parent / "data" / "names-prompts.jsonl"))
TRAINING, HELD_OUT = PROMPTS[:64], PROMPTS[64:]

reward = rewards.weighted(
    [
        (rewards.regex(r"^[a-z]+$", name="one word"), 1.0),
        (rewards.regex(r"^[a-z]{3,5}$", name="three to five letters"), 1.0),
    ]
)

with connect() as client:
    base = "gemini-3.5-flash"
    before = client.try_reward(reward, HELD_OUT, model=base, answers=8, max_output_tokens=16)
    print(f"The base model\n{before}\n")

    spec = ReinforcementTuning(
        base_model=base,
        training=TRAINING,
        validation=HELD_OUT,
        reward=reward,
        epochs=2,
        batch_size=8,
        samples_per_prompt=8,
        max_output_tokens=16,
    )
    job = client.tune(spec).wait()
    for measure in job.metrics():
        if "/eval_mean_reward" in measure:
            print(f"step {measure['step']}: {measure['/eval_mean_reward']:.2f} on held-out prompts")

    after = client.try_reward(reward, HELD_OUT, model=job.result().name, answers=8, max_output_tokens=16)
    for name in before.rewards:
        print(f"{name}: {before.rewards[name].mean:.2f} before, {after.rewards[name].mean:.2f} after")
    print(f"mean reward on held-out prompts: {before.mean:.2f} before, {after.mean:.2f} after")
