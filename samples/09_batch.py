"""Many questions in one job; the answers come back in their order, each with the id of its row."""

import json
from pathlib import Path

from vertex_tuning import connect

DATA = Path(__file__).parent / "data"
TEAMS = ["billing", "delivery", "account", "technical"]

with (DATA / "tickets-validation.jsonl").open(encoding="utf-8") as file:
    tickets = [json.loads(line) for line in file][:20]
rows = [
    {"id": f"ticket-{number}", "prompt": ticket["contents"][0]["parts"][0]["text"]}
    for number, ticket in enumerate(tickets)
]

with connect() as client:
    job = client.batch_predict(rows, model="gemini-2.5-flash", labels=TEAMS, display_name="tickets")
    print("job:", job.name)
    for progress in job.follow():
        print(f"{progress.state}: {progress.answered} answered, {progress.refused} refused")
    for result in job.results():
        print(f"{result.id}: {result.text or result.error}")
    print("as the service wrote them:", job.output_uri)
