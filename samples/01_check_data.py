"""What is wrong with a data set? Every fault, with its line, before anything is sent."""

from pathlib import Path
from typing import Any

from vertex_tuning import DatasetError, data

GOOD = Path(__file__).parent / "data" / "tickets-train.jsonl"

report = data.check(GOOD, base_model="gemini-2.5-flash")
print(report)

# Rows work too. These were written for another service:
rows: list[dict[str, Any]] = [
    {"contents": [{"role": "user", "parts": [{"text": "Where is my parcel?"}]}]},
    {
        "contents": [
            {"role": "system", "parts": [{"text": "Route it."}]},
            {"role": "assistant", "text": "delivery"},
        ]
    },
    {"messages": [{"role": "user", "content": "Where is my parcel?"}]},
]
try:
    data.check(rows, name="for-another-service").raise_for_faults()
except DatasetError as error:
    print(error)
