"""Data sets: JSONL in, verdict out; and the way into Cloud Storage.

check.py     one pass over the rows, every fault with its place
contents.py  what the forms share: turns in GenerateContent form
rows.py      what a row for supervised tuning may look like, by form
pairs.py     ... for preference tuning
prompts.py   ... for reinforcement tuning
questions.py ... for distillation
rationales.py ... for distillation step by step: labels and rationales, two tasks
requests.py  ... for a batch: checked, and written as the service takes it
plain.py     rows of Python as JSON, and what JSON cannot say
references.py whether the rows have what a reward names
words.py     how places and values are spoken of
report.py    the verdict: faults, warnings, figures
marks.py     which rows are copies
reading.py   the rows themselves
splitting.py a validation set, split off
converting/  rows of other forms, as rows for Vertex AI
fresh.py     files that are made, and never overwritten
upload.py    into the bucket, under the hash of the content
folders.py   ... folders of files, and back
"""

from vertex_tuning.data.check import check, check_job, in_cloud_storage, is_path
from vertex_tuning.data.converting import Conversion, convert
from vertex_tuning.data.reading import read
from vertex_tuning.data.references import look_for as look_for_references
from vertex_tuning.data.report import DataReport, raise_for_faults, refusal
from vertex_tuning.data.splitting import Split, split
from vertex_tuning.data.upload import UploadProgress, upload

__all__ = [
    "Conversion",
    "DataReport",
    "Split",
    "UploadProgress",
    "check",
    "check_job",
    "convert",
    "in_cloud_storage",
    "is_path",
    "look_for_references",
    "raise_for_faults",
    "read",
    "refusal",
    "split",
    "upload",
]
