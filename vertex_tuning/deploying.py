"""Open models, deployed: from weights in Cloud Storage to an endpoint that answers chat completions.

Google's Model Garden deploys them (`_model_garden.py`), on machines that cost money for as long as they run. The endpoint's
display name is made of the folder of the weights, so that it is found again, and nothing is deployed twice.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vertex_tuning.asking import Prompt, contents_of, options_of
from vertex_tuning.errors import ServiceError, SpecError
from vertex_tuning.retries import again, passed_over, translated

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection

_FINAL = "postprocess/node-0/checkpoints/final"
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_LOCATION = re.compile(r"/locations/([^/]+)/")
_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_output_tokens": "max_tokens",
    "stop_sequences": "stop",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
"""What google-genai calls an option, and what a chat completion does."""


@dataclass(frozen=True, slots=True)
class Machines:
    """On what a model is deployed; left out, Vertex AI chooses by the model."""

    type: str = ""
    """`g2-standard-12`."""
    accelerator: str = ""
    """`NVIDIA_L4`."""
    accelerators: int = 0
    """Per machine."""
    least: int = 1
    """Machines that always run."""
    most: int = 1
    """Machines when there is much to do."""

    def options(self) -> dict[str, Any]:
        """As `CustomModel.deploy` takes them.

        Raises:
            SpecError: VT353, with every fault.
        """
        given = (bool(self.type), bool(self.accelerator), self.accelerators > 0)
        if any(given) and not all(given):
            raise SpecError(
                "VT353",
                "machine_type, accelerator_type and accelerator_count go together",
                where="deploy",
                fix='machine_type="g2-standard-12", accelerator_type="NVIDIA_L4", accelerator_count=1, or none of them',
            )
        if not 1 <= self.least <= self.most:
            what = f"{self.least} to {self.most} machines cannot be had"
            raise SpecError("VT353", what, where="deploy", fix="1 <= min_replicas <= max_replicas")
        found: dict[str, Any] = {"min_replica_count": self.least, "max_replica_count": self.most}
        if all(given):
            found.update(
                machine_type=self.type,
                accelerator_type=self.accelerator,
                accelerator_count=self.accelerators,
            )
        return found


class OpenDeployment:
    """Where the weights that an open model's job left are deployed, or would be.

    Args:
        connection: To which project and location.
        output_uri: The job's output folder, or the folder of one of its checkpoints.
    """

    def __init__(self, connection: Connection, output_uri: str) -> None:
        self._connection = connection
        folder = output_uri.rstrip("/")
        self.weights = folder if "/checkpoints/" in f"{folder}/" else f"{folder}/{_FINAL}"
        """The folder that is deployed."""
        digest = hashlib.sha256(self.weights.encode()).hexdigest()[:12]
        last = _NO_NAME.sub("-", folder.partition("/postprocess/")[0].rpartition("/")[2])[:60]
        self.display_name = f"{last}-{digest}"
        """Of the endpoint and of the model on it."""
        self._host = ""

    # There or not

    def find(self) -> str:
        """Name of the endpoint that serves the weights; empty where none does.

        Raises:
            SpecError: VT354, there is an endpoint, and no model on it.
        """
        endpoint = self._endpoint()
        if endpoint is None:
            return ""
        if not endpoint.deployed_models:
            raise SpecError(
                "VT354",
                "the endpoint is there, and no model on it: it is being deployed, or that failed",
                where=endpoint.name,
                why="Deploying once more would be paid for twice.",
                fix="wait some minutes, or undeploy() it and deploy anew",
            )
        self._host = endpoint.dedicated_endpoint_dns
        return str(endpoint.name)

    def _endpoint(self) -> Any:
        service = self._service("EndpointService")
        found = again(
            lambda: list(
                service.list_endpoints(
                    request={"parent": self._parent, "filter": f'display_name="{self.display_name}"'}
                )
            )
        )
        # The one that serves, where an earlier attempt left another.
        found.sort(key=lambda endpoint: not endpoint.deployed_models)
        return found[0] if found else None

    @property
    def _parent(self) -> str:
        return f"projects/{self._connection.project}/locations/{self._connection.location}"

    def _service(self, name: str) -> Any:
        return self._connection.service_in(name, self._connection.location)

    # There and back

    def make(self, machines: Machines, timeout: float | None) -> str:
        """Deploy, and wait until it is done, unless it is deployed already; the endpoint's name.

        Raises:
            SpecError: VT353 not such machines, VT354 it is being deployed.
            ServiceError: The service refused, or did not answer. It is not asked a second time.
        """
        options = machines.options()
        if self._connection.location == "global":
            what = "models are deployed in a region, and this connection is for global"
            raise SpecError("VT353", what, where="location", fix='connect(location="us-central1")')
        found = self.find()
        if found:
            return found
        names = {"endpoint_display_name": self.display_name, "model_display_name": self.display_name}
        order = {
            "connection": self._connection.told(self._connection.location),
            "gcs_uri": self.weights,
            "options": {**options, **names, **({"deploy_request_timeout": timeout} if timeout else {})},
        }
        answer = _child(order)
        if "failed" in answer:
            raise ServiceError(**answer["failed"])
        # By its number, as the service calls it; and its own host, where it has one.
        return self.find() or str(answer["endpoint"])

    def remove(self) -> bool:
        """Undeploy; endpoint and model go too, the weights stay. No fault where nothing is deployed: False."""
        found = False
        endpoints, models = self._service("EndpointService"), self._service("ModelService")
        while (endpoint := self._endpoint()) is not None:
            found, name = True, endpoint.name
            # Those with traffic last: a model that gets some cannot go before the others.
            held = sorted(endpoint.deployed_models, key=lambda one: endpoint.traffic_split.get(one.id, 0))
            for one in held:
                undeploy_from(endpoints, name, one.id)
            _delete_endpoint(endpoints, name)
            for one in held:
                with passed_over(404):
                    self._delete(models, one.model)
        return found

    def _delete(self, models: Any, name: str) -> None:
        """Delete the model that was made for the endpoint, and no other."""
        bare = name.partition("@")[0]
        if again(lambda: models.get_model(name=bare)).display_name == self.display_name:
            again(lambda: models.delete_model(name=bare).result())

    # Asked

    def ask(self, endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
        """A chat completion."""
        found: dict[str, Any] = again(lambda: self._post(endpoint, body).json())
        return found

    def stream(self, endpoint: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Its chunks as they come."""
        with translated(), self._post(endpoint, {**body, "stream": True}, stream=True) as response:
            for line in response.iter_lines():
                if line.startswith(b"data: {"):
                    chunk = json.loads(line[6:])
                    if "error" in chunk:
                        error = chunk["error"]
                        code, status = int(error.get("code", 500)), str(error.get("status", ""))
                        raise ServiceError("VT503", str(error.get("message", "")), code=code, status=status)
                    yield chunk

    def _post(self, endpoint: str, body: dict[str, Any], *, stream: bool = False) -> Any:
        location = (_LOCATION.search(endpoint) or ["", self._connection.location])[1]
        path = f"{endpoint}/chat/completions"
        return self._connection.post(path, body, location=location, host=self._host, stream=stream)

    def how_to_call(self, endpoint: str) -> str:
        """A program with nothing but google-auth in it."""
        location = (_LOCATION.search(endpoint) or ["", self._connection.location])[1]
        host = self._host or f"{location}-aiplatform.googleapis.com"
        return (
            "import google.auth\n"
            "from google.auth.transport.requests import AuthorizedSession\n\n"
            'scope = "https://www.googleapis.com/auth/cloud-platform"\n'
            "session = AuthorizedSession(google.auth.default(scopes=[scope])[0])\n"
            "response = session.post(\n"
            f'    "https://{host}/v1beta1/{endpoint}/chat/completions",\n'
            '    json={"messages": [{"role": "user", "content": "..."}]},\n'
            ")\n"
            "response.raise_for_status()\n"
            'print(response.json()["choices"][0]["message"]["content"])'
        )


def chat(prompt: Prompt, options: dict[str, Any]) -> dict[str, Any]:
    """A prompt and the options of `Model.generate` as a chat completion.

    Raises:
        SpecError: VT352, an option that a container does not take; VT317, VT323 and VT324 as of any model.
    """
    given = {name: value for name, value in options_of(prompt, options).items() if value is not None}
    messages = []
    if system := given.pop("system", given.pop("system_instruction", None)):
        messages.append({"role": "system", "content": str(system)})
    asked = contents_of(prompt)
    turns: Any = [{"role": "user", "parts": [{"text": asked}]}] if isinstance(asked, str) else asked
    for turn in turns:
        role = "assistant" if turn.get("role") == "model" else "user"
        text = "".join(part.get("text", "") for part in turn.get("parts", ()))
        messages.append({"role": role, "content": text})
    labels, schema = given.pop("labels", None), given.pop("schema", None)
    if odd := sorted(set(given) - set(_OPTIONS)):
        raise SpecError(
            "VT352",
            f"{', '.join(odd)}: a deployed open model does not take this",
            where="generate",
            fix=f"of these: system, labels, schema, {', '.join(_OPTIONS)}",
        )
    body: dict[str, Any] = {_OPTIONS[name]: value for name, value in given.items()}
    shape = {"type": "string", "enum": labels} if labels is not None else schema
    if shape is not None:
        form = {"name": "answer", "schema": shape}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return {"messages": messages, **body}


def _child(order: dict[str, Any]) -> dict[str, Any]:
    """What the child process answers; it ends with us, and the service goes on with what it was asked."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "vertex_tuning._model_garden"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is ours
    ) as child:
        try:
            out, words = child.communicate(json.dumps(order))
        except BaseException:
            child.kill()
            raise
    try:
        return dict(json.loads(out))
    except ValueError:
        last = words.strip().rpartition("\n")[2]
        what = f"Google's Model Garden classes failed: {last or f'exit status {child.returncode}'}"
        raise ServiceError("VT503", what, fix="see whether it was deployed: deploy() finds it") from None


def undeploy_from(endpoints: Any, endpoint: str, deployed_id: str) -> None:
    """Take a model from an endpoint; no fault if it is gone."""
    with passed_over(404):
        again(lambda: endpoints.undeploy_model(endpoint=endpoint, deployed_model_id=deployed_id).result())


def _delete_endpoint(endpoints: Any, name: str) -> None:
    with passed_over(404):
        again(lambda: endpoints.delete_endpoint(name=name).result())
