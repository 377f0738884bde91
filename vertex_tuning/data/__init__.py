"""Data sets: JSONL in, verdict out; and the way into Cloud Storage.

check.py    one pass over the rows, every fault with its place
rows.py     what a row may look like, by form
report.py   the verdict: faults, warnings, figures
upload.py   into the bucket, under the hash of the content
"""

from vertex_tuning.data.check import check, is_path
from vertex_tuning.data.report import DataReport
from vertex_tuning.data.upload import UploadProgress, upload

__all__ = ["DataReport", "UploadProgress", "check", "is_path", "upload"]
