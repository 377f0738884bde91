"""Did tuning help? Base and tuned model answer the same rows, a gate says whether the tuned one may go on, and why."""

from pathlib import Path

from vertex_tuning import SupervisedTuning, connect, evaluation

DATA = Path(__file__).parent / "data"
TEAMS = ["billing", "delivery", "account", "technical"]

with connect() as client:
    job = client.tune(
        SupervisedTuning(
            base_model="gemini-3.5-flash",
            training=DATA / "tickets-train.jsonl",
            epochs=4,
            adapter_size=8,
            display_name="tickets",
        )
    )
    model = job.result()

    found = client.evaluate(
        DATA / "tickets-validation.jsonl",
        candidate=model,
        measures=["label_accuracy"],
        labels=TEAMS,
        kept="answers.jsonl",  # run it again: nobody is asked again
        gate=evaluation.Gate("label_accuracy", margin=0.05, at_least=0.6),
    )
    print(found)
    print("report:", found.report("Tickets: tuned against base").write("report.html"))

    client.lineage.note(model, "evaluation", found.to_json())
    print(f"\nWhat it was made from:\n{client.lineage.of(model)}")
