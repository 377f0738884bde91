"""A program for registries of compiled pipelines: one is uploaded, tagged, downloaded, submitted by its address, and deleted."""

import os
import sys
import tempfile
from pathlib import Path

import requests
from google.cloud import aiplatform, storage
from google.cloud.aiplatform import pipeline_jobs
from kfp import compiler, dsl
from kfp.registry import RegistryClient

REGISTRY, TRANSPORT = sys.argv[1:]
pipeline_jobs._JOB_WAIT_TIME = 0.5


@dsl.component(base_image="python:3.11")
def double(number: int) -> int:
    return 2 * number


def compiled(default: int) -> str:
    @dsl.pipeline(name="doubled")
    def pipeline(number: int = default):
        double(number=number)

    file = str(Path(tempfile.mkdtemp()) / "pipeline.yaml")
    compiler.Compiler().compile(pipeline, file)
    return file


def last(name: str) -> str:
    return name.rpartition("/")[2]


client = RegistryClient(host=REGISTRY)
first, second = compiled(1), compiled(2)
package, version = client.upload_pipeline(
    first, tags=["v1", "latest"], extra_headers={"description": "By default, one."}
)
assert package == "doubled"
assert client.upload_pipeline(first, tags="v1") == (package, version)
_, newer = client.upload_pipeline(second, tags=["v2", "latest"])

assert [last(one["name"]) for one in client.list_packages()] == [package]
assert last(client.get_package(package)["name"]) == package
assert {last(one["name"]) for one in client.list_versions(package)} == {version, newer}
about = client.get_version(package, version)
assert about["description"] == "By default, one."
assert {last(one["name"]) for one in about["relatedTags"]} == {"v1"}
assert {last(one["name"]): last(one["version"]) for one in client.list_tags(package)} == {
    "v1": version,
    "v2": newer,
    "latest": newer,
}
target = tempfile.mkdtemp()
for end in ({"version": version}, {"tag": "v1"}):
    file = client.download_pipeline(package, **end, file_name=f"{target}/downloaded.yaml")
    assert Path(file).read_bytes() == Path(first).read_bytes()

assert last(client.create_tag(package, version, "stable")["version"]) == version
assert last(client.update_tag(package, newer, "stable")["version"]) == newer
assert last(client.get_tag(package, "stable")["version"]) == newer
for call in (
    lambda: client.get_tag(package, "none"),
    lambda: client.update_tag(package, newer, "none"),
    lambda: client.download_pipeline("none", tag="v1", file_name=f"{target}/none.yaml"),
    lambda: RegistryClient(host=f"{REGISTRY}-none").upload_pipeline(first),
):
    try:
        call()
        status = 200
    except requests.HTTPError as error:
        status = error.response.status_code
    assert status == 404

bucket = storage.Client().create_bucket(
    f"registry-{version[7:19]}-{TRANSPORT}", location=os.environ["GOOGLE_CLOUD_LOCATION"]
)
aiplatform.init(
    project=os.environ["GOOGLE_CLOUD_PROJECT"],
    location=os.environ["GOOGLE_CLOUD_LOCATION"],
    staging_bucket=f"gs://{bucket.name}",
    api_transport=TRANSPORT,
)
job = aiplatform.PipelineJob(
    display_name="by address",
    template_path=f"{REGISTRY}/{package}/stable",
    pipeline_root=f"gs://{bucket.name}/root",
    parameter_values={"number": 21},
)
job.submit()
job.wait()
found = job.gca_resource
assert found.template_uri == f"{REGISTRY}/{package}/stable"
assert found.template_metadata.version == newer
(step,) = [one for one in found.job_detail.task_details if one.task_name == "double"]
assert step.execution.metadata["output:Output"] == 42
print("submitted by its address")

client.delete_tag(package, "stable")
for tag in client.list_tags(package):
    client.delete_tag(package, last(tag["name"]))
assert client.delete_version(package, newer)
assert client.delete_package(package)
assert not client.list_packages()
print("deleted")
