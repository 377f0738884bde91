"""A program for Vertex AI with the `vertexai` namespace, on its default transport, which is gRPC."""

import os
import time

import vertexai
from vertexai.tuning import sft

vertexai.init(project=os.environ["GOOGLE_CLOUD_PROJECT"], location=os.environ["GOOGLE_CLOUD_LOCATION"])
job = sft.train(
    source_model="gemini-2.5-flash",
    train_dataset="gs://cloud-samples-data/ai-platform/generative_ai/gemini-2_0/text/sft_train_data.jsonl",
    validation_dataset="gs://cloud-samples-data/ai-platform/generative_ai/gemini-2_0/text/sft_validation_data.jsonl",
    epochs=1,
    adapter_size=4,
    tuned_model_display_name="by vertexai",
)
print("created", job.resource_name)
while not job.has_ended:
    time.sleep(0.5)
    job.refresh()
assert job.has_succeeded, job.error
assert job.tuned_model_name.endswith("@1")
assert "/endpoints/" in job.tuned_model_endpoint_name
assert job.resource_name in [other.resource_name for other in sft.SupervisedTuningJob.list()]
print("succeeded", job.tuned_model_name, job.tuned_model_endpoint_name)
