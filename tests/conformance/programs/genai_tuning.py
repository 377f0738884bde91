"""A program for Vertex AI, as anybody would write it with google-genai. It knows nothing of an emulator."""

import time

from google import genai
from google.genai import types

TRAINING = "gs://cloud-samples-data/ai-platform/generative_ai/gemini-2_0/text/sft_train_data.jsonl"
VALIDATION = "gs://cloud-samples-data/ai-platform/generative_ai/gemini-2_0/text/sft_validation_data.jsonl"


def finished(client, job):
    while not job.has_ended:
        time.sleep(0.5)
        job = client.tunings.get(name=job.name)
    assert job.has_succeeded, job.error
    return job


client = genai.Client(http_options=types.HttpOptions(api_version="v1beta1"))
job = client.tunings.tune(
    base_model="gemini-2.5-flash",
    training_dataset=types.TuningDataset(gcs_uri=TRAINING),
    config=types.CreateTuningJobConfig(
        epoch_count=2,
        adapter_size="ADAPTER_SIZE_FOUR",
        tuned_model_display_name="summaries",
        validation_dataset=types.TuningValidationDataset(gcs_uri=VALIDATION),
        labels={"team": "a"},
    ),
)
print("created", job.name, job.state.value)
job = finished(client, job)
assert job.tuning_data_stats.supervised_tuning_data_stats.tuning_dataset_example_count > 0
checkpoints = job.tuned_model.checkpoints
print("checkpoints", [(item.checkpoint_id, item.epoch, item.step) for item in checkpoints])
assert [item.checkpoint_id for item in checkpoints] == ["1", "2"]
assert job.tuned_model.endpoint == checkpoints[-1].endpoint

endpoint = job.tuned_model.endpoint
config = types.GenerateContentConfig(temperature=0, max_output_tokens=12)
whole = client.models.generate_content(
    model=endpoint, contents="Summarize: the cat sat on the mat.", config=config
)
assert whole.usage_metadata.total_token_count > whole.usage_metadata.prompt_token_count > 0
streamed = "".join(
    chunk.text or ""
    for chunk in client.models.generate_content_stream(
        model=endpoint, contents="Summarize: the cat sat on the mat.", config=config
    )
)
assert streamed == whole.text, (streamed, whole.text)
counted = client.models.count_tokens(model=endpoint, contents="Summarize: the cat sat on the mat.")
assert counted.total_tokens == whole.usage_metadata.prompt_token_count
print("generated", repr(whole.text), counted.total_tokens)

model = client.models.get(model=job.tuned_model.model)
assert model.default_checkpoint_id == "2"
client.models.update(model=job.tuned_model.model, config=types.UpdateModelConfig(default_checkpoint_id="1"))
model = client.models.get(model=job.tuned_model.model)
assert model.default_checkpoint_id == "1"
assert model.endpoints[0].name == checkpoints[0].endpoint

onwards = client.tunings.tune(
    base_model=job.tuned_model.model,
    training_dataset=types.TuningDataset(gcs_uri=TRAINING),
    config=types.CreateTuningJobConfig(
        epoch_count=1, pre_tuned_model_checkpoint_id="2", tuned_model_display_name="summaries"
    ),
)
onwards = finished(client, onwards)
assert onwards.pre_tuned_model.checkpoint_id == "2"
assert onwards.tuned_model.model.endswith("@2"), onwards.tuned_model.model
assert [item.name for item in client.models.list(config={"query_base": False})]
print("tuned on", onwards.tuned_model.model)
