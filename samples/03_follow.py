"""Follow a job; leave; take it up again by its name."""

from pathlib import Path

from vertex_tuning import SupervisedTuning, connect

TRAINING = Path(__file__).parent / "data" / "tickets-train.jsonl"

with connect() as client:
    name = client.tune(SupervisedTuning(base_model="gemini-3.5-flash", training=TRAINING, epochs=3)).name

    # Any other program, on any other day, can go on from here: a job is known by its name.
    job = client.jobs.get(name)
    for progress in job.follow():
        state = progress.sub_state or progress.state
        if progress.loss is None:
            print(state)
        else:
            print(f"{state}: step {progress.step} of {progress.steps}, loss {progress.loss:.3f}")

    measures = [measure for measure in job.metrics() if "loss" in measure]
    print(f"loss: {measures[0]['loss']:.3f} at first, {measures[-1]['loss']:.3f} at last")
