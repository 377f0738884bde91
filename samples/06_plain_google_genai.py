"""Nothing of ours: Google's client alone, as it would talk to Vertex AI.

vertex-tuning emulator exec --stand-in tiny-0.9m -- python samples/06_plain_google_genai.py
"""

import time

from google import genai
from google.genai import types

client = genai.Client(vertexai=True)
job = client.tunings.tune(
    base_model="gemini-2.5-flash",
    training_dataset=types.TuningDataset(
        gcs_uri="gs://cloud-samples-data/ai-platform/generative_ai/gemini-2_0/text/sft_train_data.jsonl"
    ),
    config=types.CreateTuningJobConfig(epoch_count=1, tuned_model_display_name="headlines"),
)
while not job.has_ended:
    time.sleep(1)
    job = client.tunings.get(name=job.name)
print(job.state, job.tuned_model.endpoint)

response = client.models.generate_content(
    model=job.tuned_model.endpoint,
    contents="The library in Oakham is closed until Friday because of a burst water pipe.",
    config=types.GenerateContentConfig(temperature=0, max_output_tokens=24),
)
print(response.text)
