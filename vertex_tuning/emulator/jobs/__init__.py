"""Tuning jobs: from a request to a tuned model.

    request.py   what a create request may ask for; every fault at once, in Google's words
    rebase.py    the job of a tuned model again, on a newer base
    plan.py      a request as what the trainer is told
    service.py   the queue: one job trains, others wait; nothing that was acknowledged is lost
    run.py       one job's way from its turn to its end
    teaching.py  in distillation: the teacher answers, before the student is trained
    dropping.py  rows that a stand-in cannot see or hear, left out where that is asked
    asking.py    models asked about every row of a file
    evaluation.py    what is to be measured of the checkpoints
    evaluating.py    the checkpoints answer the validation set, and are measured
    trainer.py   the training child, and the process it forks per job
    simulated.py what stands in the trainer's place where jobs are gone through without training
    ledger.py    jobs in the database: every transition with its event
    registry.py  models, versions, aliases, checkpoints, endpoints
    outcome.py   what a job that succeeded leaves there
    deployments.py  which models an endpoint holds, and which of them answers
    uploading.py    models that come and go as files: uploaded, copied, exported
    given.py     weights that a user gives, held against the open model they are of
    tokenizer.py whether a tokenizer can be used, in a process of its own
    custom.py    weights in Cloud Storage, in and out, of open models
    measures.py  what a job measures, in Cloud Storage
    files.py     the folder of a job
    served.py    what a question is put to
    regions.py   which buckets a job can read
    validation.py  what an answer would earn

From its first RUNNING on, a job's measurements lie in Cloud Storage under its `gcsMetricsUri` (`v1beta1`):
`gs://PROJECT-vertex-tuning-metrics/JOB/metrics.jsonl`, one JSON object per line, rewritten at most once a
second while it trains, complete when it has ended. A line of a step: `{"step", "steps", "epoch", "loss",
"accuracy", "tokens_per_second", "learning_rate"}`; of an evaluation on the validation set: `{"step", "epoch",
"eval_loss", "eval_accuracy"}`. In distillation the first line is the teacher's: `{"step": 0,
"teacher_rows", "teacher_dropped", "teacher_prompt_tokens", "teacher_answer_tokens"}`. A simulated job has
neither. There is no object before there is a line. `tuningJobMetadata` has the completed steps and epochs,
a second old at most.
"""

from vertex_tuning.emulator.jobs.served import ServedModel
from vertex_tuning.emulator.jobs.service import TuningJobs

__all__ = ["ServedModel", "TuningJobs"]
