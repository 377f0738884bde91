"""A program that keeps prompts with all of Google's modules for it: the older one, over gRPC, and both names of the new one."""

import os

import agentplatform
import vertexai
from vertexai.preview import prompts

PROJECT, LOCATION = os.environ["GOOGLE_CLOUD_PROJECT"], os.environ["GOOGLE_CLOUD_LOCATION"]

vertexai.init(project=PROJECT, location=LOCATION)
first = prompts.create_version(
    prompts.Prompt(
        prompt_name="by preview.prompts",
        prompt_data="Hello {name}",
        variables=[{"name": "Ada"}, {"name": "Bo"}],
        model_name="gemini-2.5-flash",
        system_instruction="Be brief.",
    )
)
first.prompt_data = "Bye {name}"
second = prompts.create_version(first)
assert second.prompt_id == first.prompt_id
assert len(prompts.list_versions(first.prompt_id)) == 2
prompts.restore_version(prompt_id=first.prompt_id, version_id=first.version_id)
restored = prompts.get(prompt_id=first.prompt_id)
assert restored.prompt_data == "Hello {name}"
assert restored.assemble_contents(**restored.variables[1])[0].text == "Hello Bo"

for module in (vertexai, agentplatform):
    client = module.Client(project=PROJECT, location=LOCATION)
    assert first.prompt_id in [ref.prompt_id for ref in client.prompts.list()]
    found = client.prompts.get(prompt_id=first.prompt_id)
    assert found.prompt_data.variables[1]["name"].text == "Bo"
    assert len(list(client.prompts.list_versions(prompt_id=first.prompt_id))) == 3

prompts.delete(prompt_id=first.prompt_id)
assert first.prompt_id not in [prompt.prompt_id for prompt in prompts.list()]
print("kept", first.prompt_id)
