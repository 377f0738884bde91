"""Tuning jobs: from a request to a tuned model.

    request.py   what a create request may ask for; every fault at once, in Google's words
    rebase.py    the job of a tuned model again, on a newer base
    plan.py      a request as what the trainer is told
    service.py   the queue: one job trains, others wait; nothing that was acknowledged is lost
    run.py       one job's way from its turn to its end
    trainer.py   the training child, and the process it forks per job
    ledger.py    jobs in the database: every transition with its event
    registry.py  models, versions, aliases, checkpoints, endpoints
    outcome.py   what a job that succeeded leaves there
    custom.py    weights in Cloud Storage, in and out, of open models
    measures.py  what a job measures, in Cloud Storage
    files.py     the folder of a job
    limits.py, regions.py   how many rows; which buckets

From its first RUNNING on, a job's measurements lie in Cloud Storage under its `gcsMetricsUri` (`v1beta1`):
`gs://PROJECT-vertex-tuning-metrics/JOB/metrics.jsonl`, one JSON object per line, rewritten at most once a
second while it trains, complete when it has ended. A line of a step: `{"step", "steps", "epoch", "loss",
"accuracy", "tokens_per_second", "learning_rate"}`; of an evaluation on the validation set: `{"step", "epoch",
"eval_loss", "eval_accuracy"}`. There is no object before there is a line. `tuningJobMetadata` has the
completed steps and epochs, a second old at most.
"""

from vertex_tuning.emulator.jobs.service import ServedModel, TuningJobs

__all__ = ["ServedModel", "TuningJobs"]
