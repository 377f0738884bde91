"""Rows that were made for another service: converted, and learnt."""

from __future__ import annotations

from tests.sdk.conftest import OPPOSITES
from vertex_tuning import PreferenceTuning, SupervisedTuning, data


def test_rows_of_openai_are_converted_and_learnt(client, write):
    rows = [
        {
            "messages": [
                {"role": "system", "content": "One word."},
                {"role": "user", "content": f"{number}. Opposite of {word}?"},
                {"role": "assistant", "content": answer},
            ]
        }
        for number, (word, answer) in enumerate(OPPOSITES * 8)
    ]
    done = data.convert(write(rows))
    spec = SupervisedTuning(base_model="gemini-2.5-flash", training=done.output, epochs=1)
    job = client.tune(spec).wait()
    assert job.state == "JOB_STATE_SUCCEEDED"
    assert done.next.endswith("train-vertex.jsonl --base-model gemini-2.5-flash")


def test_pairs_of_openai_are_converted_and_learnt(client, write):
    rows = [
        {
            "input": {"messages": [{"role": "user", "content": f"{number}. Opposite of {word}?"}]},
            "preferred_output": [{"role": "assistant", "content": answer}],
            "non_preferred_output": [{"role": "assistant", "content": f"It may be {answer}."}],
        }
        for number, (word, answer) in enumerate(OPPOSITES * 8)
    ]
    done = data.convert(write(rows, "pairs.jsonl"))
    spec = PreferenceTuning(base_model="gemini-2.5-flash", training=done.output, epochs=1)
    assert client.tune(spec).wait().state == "JOB_STATE_SUCCEEDED"
