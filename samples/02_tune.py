"""A file goes in, a tuned model answers."""

from pathlib import Path

from vertex_tuning import SupervisedTuning, connect

DATA = Path(__file__).parent / "data"
# An instruction belongs to what was learnt: ask with the one that the rows have.
ROUTE = "Route the customer's message to one team: billing, delivery, account or technical."
QUESTION = "The courier left my parcel in the rain."

with connect() as client:
    job = client.tune(
        SupervisedTuning(
            base_model="gemini-3.5-flash",
            training=DATA / "tickets-train.jsonl",
            validation=DATA / "tickets-validation.jsonl",
            epochs=4,
            adapter_size=8,
            display_name="tickets",
        )
    )
    print("job:  ", job.name)
    model = job.result()
    print("model:", model.name)
    answer = model.generate(QUESTION, system=ROUTE, temperature=0, max_output_tokens=8)
    print(f"{QUESTION} -> {answer}")
    print(f"\nTo call it from anywhere:\n\n{model.how_to_call()}")
