"""Tuning jobs: from a request to a tuned model.

    request.py   what a create request may ask for; every fault at once, in Google's words
    plan.py      a request as what the trainer is told
    service.py   the state machine: one job trains, others wait; nothing acknowledged is lost
    trainer.py   the training child, and the jobs it holds
    registry.py  tuned models: versions, aliases, checkpoints, endpoints

While a job trains, its measurements lie in Cloud Storage under `gcsMetricsUri`, one JSON object per line, rewritten at most
once a second: `{"step", "steps", "epoch", "loss", "accuracy", "tokens_per_second", "learning_rate", "time"}` for a step,
`{"step", "epoch", "eval_loss", "eval_accuracy", "time"}` for an evaluation.
"""

from vertex_tuning.emulator.jobs.service import ServedModel, TuningJobs

__all__ = ["ServedModel", "TuningJobs"]
