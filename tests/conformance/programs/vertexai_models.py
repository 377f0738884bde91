"""A program that tunes an open model, and has it answer: by `aiplatform`'s classes, and by Model Garden's, over gRPC."""

import os
import time

from google import genai
from google.cloud import aiplatform, storage
from vertexai.preview.model_garden import CustomModel

PROJECT, LOCATION = os.environ["GOOGLE_CLOUD_PROJECT"], os.environ["GOOGLE_CLOUD_LOCATION"]
SAMPLES = "gs://cloud-samples-data/ai-platform/generative_ai/gemini-2_0/text"

bucket = storage.Client(project=PROJECT).create_bucket(f"weights-{time.time_ns()}", location=LOCATION)
client = genai.Client(vertexai=True, project=PROJECT, location=LOCATION)
job = client.tunings.tune(
    base_model="meta/llama3_1@llama-3.1-8b-instruct",
    training_dataset={"gcs_uri": f"{SAMPLES}/sft_train_data.jsonl"},
    config={"epoch_count": 1, "output_uri": f"gs://{bucket.name}/out"},
)
while not job.has_ended:
    time.sleep(0.5)
    job = client.tunings.get(name=job.name)
assert job.has_succeeded, job.error
weights = f"{job.output_uri}/postprocess/node-0/checkpoints/final"

aiplatform.init(project=PROJECT, location=LOCATION)
model = aiplatform.Model.upload(
    display_name="open",
    artifact_uri=weights,
    serving_container_image_uri="us-docker.pkg.dev/vertex-ai/vllm/serve:latest",
)
assert model.copy(destination_location="us-west1").location == "us-west1"
exported = model.export_model("custom-trained", artifact_destination=f"gs://{bucket.name}/exported")
assert list(bucket.list_blobs(prefix=exported["artifactOutputUri"].partition(f"{bucket.name}/")[2]))

endpoint = model.deploy(machine_type="g2-standard-12", accelerator_type="NVIDIA_L4", accelerator_count=1)
chat = {"@requestFormat": "chatCompletions", "messages": [{"role": "user", "content": "Hello!"}]}
first = endpoint.predict(instances=[chat])
assert first.predictions[0]["choices"][0]["message"]["role"] == "assistant"
raw = endpoint.raw_predict(
    body=b'{"instances": [{"prompt": "Hello", "raw_response": true}]}',
    headers={"Content-Type": "application/json"},
)
assert raw.headers["X-Vertex-AI-Deployed-Model-Id"] == first.deployed_model_id
assert len(raw.json()["predictions"]) == 1
endpoint.delete(force=True)

garden = CustomModel(gcs_uri=weights).deploy()
assert (
    garden.predict(instances=[{"prompt": "Hello", "max_tokens": 4}])
    .predictions[0]
    .startswith("Prompt:\nHello")
)
garden.delete(force=True)
print("deployed", model.resource_name)
