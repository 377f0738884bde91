"""A pipeline: data in, and a model that goes on only where it got better than its base on rows that it has not seen."""

from pathlib import Path

from vertex_tuning import connect

DATA = Path(__file__).parent / "data"

with connect() as client:
    given = {
        "training_data": str(DATA / "tickets-train.jsonl"),
        "test_data": str(DATA / "tickets-validation.jsonl"),
        "epochs": 6,
        "measure": "label_accuracy",
        "max_output_tokens": 8,
    }
    with client.pipelines.run("supervised", given) as run:
        for event in run:
            if event["event"] == "task" and event["state"] != "RUNNING":
                print(f"{event['task']}: {event['state'].lower()}")

    steps = {task.name: task for task in run.tasks.values()}
    print(f"\n{run.name} has {run.state.lower()}")
    print(Path(steps["gate"].outputs["decision"][0]["uri"]).read_text(encoding="utf-8"))
    print("report:", steps["evaluate-model"].outputs["report"][0]["uri"])
