"""Batch prediction jobs: a file of requests in Cloud Storage, a file of answers beside it.

    request.py   what a create request may ask for; every fault at once, in Google's words
    service.py   the queue: a few jobs run at once, others wait; nothing that was acknowledged is lost
    run.py       one job's way from its turn to its end
    lines.py     one line of the input, and the line of the output that answers it
    answers.py   the answers so far, on disk: a job that was cut off goes on behind the last of them

The output is `PREFIX/prediction-model-TIME/predictions.jsonl`, one line for each line of the input:

    {"status": "", "processed_time": "...", ...keys of the input line..., "request": {...}, "response": {...}}

A request that is refused has the refusal as its `status` and an empty `response`; the others do not suffer. Lines
come in the order in which they were answered, which is not that of the input: Vertex AI promises none either.
"""

from vertex_tuning.emulator.batches.service import BatchJobs

__all__ = ["BatchJobs"]
