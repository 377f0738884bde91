"""A small model learns what a large one answers, from messages that nobody has labelled. What did the teacher cost?"""

from pathlib import Path

from vertex_tuning import Distillation, Model, SupervisedTuning, connect, data

FOLDER = Path(__file__).parent / "data"
LABELLED = list(data.read(FOLDER / "tickets-train.jsonl"))
PROMPTS = [{**row, "contents": row["contents"][:-1]} for row in LABELLED]  # the answers stay here
HELD_OUT = list(data.read(FOLDER / "tickets-validation.jsonl"))


def right(model: Model) -> str:
    """How many of the held-out messages a model sends to the right team."""
    hits = 0
    for row in HELD_OUT:
        *asked, answer = row["contents"]
        system = row["systemInstruction"]["parts"][0]["text"]
        hits += (
            model.generate(asked, system=system, temperature=0, max_output_tokens=8).text
            == answer["parts"][0]["text"]
        )
    return f"{hits} of {len(HELD_OUT)}"


with connect() as client:
    large = SupervisedTuning(base_model="gemini-2.5-pro", training=LABELLED, epochs=6, display_name="teacher")
    teacher = client.tune(large).result()

    small = Distillation(
        base_model="gemini-2.5-flash",
        teacher=teacher,
        training=PROMPTS,
        epochs=6,
        display_name="student",
    )
    job = client.tune(small)
    student = job.result()

    cost = job.metrics()[0]
    print(
        f"the teacher answered {cost['teacher_rows']} messages: {cost['teacher_prompt_tokens']} tokens in, ",
        end="",
    )
    print(f"{cost['teacher_answer_tokens']} out")
    print(f"teacher: {right(teacher)}")
    print(f"student: {right(client.models.base('gemini-2.5-flash'))} before, {right(student)} after")
