"""What the steps of our pipelines do: functions that a component's body imports and calls, one file per theme.

data.py        fetched, checked, split, put into the bucket
rlhf.py        what rlhf trains, in custom jobs; rlhf_report.py judges it
distillation.py    the teacher: tuned, asked; students.py trains, distilled.py judges, distilled_report.py tells
tuning.py      one tuning job per step, however often the step is run
evaluation.py  the tuned model against its base, on rows that neither has seen; the gate
registry.py    the version that passed is marked as such, and deployed
cleaning.py    what a failed run has left behind

They take plain arguments and local paths (`/gcs/...` on Vertex AI), and return small values that JSON has. They are programs:
they come in by the front door, `vertex_tuning.connect()`, which finds in the environment where it is. The `place` of a step, the
URI of one of its outputs, is new in every run and the same when a step is tried again.
"""
