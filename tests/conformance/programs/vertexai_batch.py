"""A program for Vertex AI that asks many things in one job, with google-genai and with the `vertexai` namespace (gRPC)."""

import json
import os
import time
import uuid

import vertexai
from google import genai
from google.cloud import storage
from google.genai.types import CreateBatchJobConfig, HttpOptions, JobState
from vertexai.batch_prediction import BatchPredictionJob

SOURCE = "gs://cloud-samples-data/batch/prompt_for_batch_gemini_predict.jsonl"
MODEL = "gemini-2.5-flash"

bucket = storage.Client().create_bucket(
    f"batch-{uuid.uuid4().hex[:12]}", location=os.environ["GOOGLE_CLOUD_LOCATION"]
)


def answers(folder):
    prefix = folder.removeprefix(f"gs://{bucket.name}/")
    blobs = [blob for blob in bucket.list_blobs(prefix=prefix) if blob.name.endswith(".jsonl")]
    lines = [json.loads(line) for blob in blobs for line in blob.download_as_text().splitlines()]
    assert all(line["status"] == "" and line["response"]["candidates"] for line in lines), lines
    return len(lines)


client = genai.Client(vertexai=True, http_options=HttpOptions(api_version="v1"))
job = client.batches.create(
    model=MODEL, src=SOURCE, config=CreateBatchJobConfig(dest=f"gs://{bucket.name}/genai")
)
print("created", job.name, job.state)
done = {JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED}
while job.state not in done:
    time.sleep(0.5)
    job = client.batches.get(name=job.name)
assert job.state == JobState.JOB_STATE_SUCCEEDED, job.error
print("google-genai", answers(job.output_info.gcs_output_directory))

vertexai.init(project=os.environ["GOOGLE_CLOUD_PROJECT"], location=os.environ["GOOGLE_CLOUD_LOCATION"])
other = BatchPredictionJob.submit(MODEL, SOURCE, output_uri_prefix=f"gs://{bucket.name}/vertexai")
while not other.has_ended:
    time.sleep(0.5)
    other.refresh()
assert other.has_succeeded, other.error
assert other.resource_name in [found.resource_name for found in BatchPredictionJob.list()]
print("vertexai", answers(other.output_location))
other.delete()
