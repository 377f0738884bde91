"""New examples came in: go on from the tuned model instead of from the start."""

from pathlib import Path

from vertex_tuning import SupervisedTuning, connect

DATA = Path(__file__).parent / "data"

with connect() as client:
    first = client.tune(
        SupervisedTuning(
            base_model="gemini-3.5-flash",
            training=DATA / "tickets-train.jsonl",
            epochs=2,
            display_name="tickets-over-time",
        )
    ).result()
    print("first:", first.name)

    second = client.tune(
        SupervisedTuning(
            base_model=first.name,  # its default checkpoint; checkpoint_id="1" names another
            training=DATA / "tickets-validation.jsonl",
            epochs=1,
            display_name="tickets-over-time",  # the same name: a new version of the same model
        )
    ).result()
    print("then: ", second.name)
    route = "Route the customer's message to one team: billing, delivery, account or technical."
    print(second.generate("I was charged twice.", system=route, temperature=0, max_output_tokens=8))

    second.delete()  # the model, both versions, and their endpoints
