"""Google's clients, aimed and authorised.

What stands for a place is an address and credentials, or neither for Vertex AI itself; which place it is, `places.py` decides.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from vertex_tuning import registries
from vertex_tuning.config import Config
from vertex_tuning.errors import ConfigurationError
from vertex_tuning.retries import again

if TYPE_CHECKING:
    import vertexai
    from google import genai as google_genai
    from google.cloud import storage

DEFAULT_LOCATION = "us-central1"
_API_VERSION = "v1beta1"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
VARIABLE = "VERTEX_TUNING_EMULATOR"
"""Names an emulator's address."""
_TIMEOUT = 600_000
"""Milliseconds that google-genai waits for an answer; left to itself, it waits for ever for one that was lost."""


class Held(Protocol):
    """What was started for a connection, and ends with it."""

    record: dict[str, Any]
    """What it said of itself when it was ready."""

    def stop(self) -> None:
        """End it; may be called twice."""


class Connection:
    """One target, and one set of clients for it; nothing here is global to the process.

    Use it as a context manager, or call `close()`: an emulator that was started for it ends with it.
    """

    def __init__(
        self,
        config: Config,
        *,
        address: str | None = None,
        token: str | None = None,
        held: Held | None = None,
    ) -> None:
        self.address = address
        """`http://127.0.0.1:PORT` of an emulator; None for Vertex AI."""
        self.config = config
        """The settings it was opened with."""
        self.project = config.project or ""
        self.location = config.location or DEFAULT_LOCATION
        self.bucket = config.bucket or ""
        self._token = token
        self._clients: dict[str, google_genai.Client] = {}
        self._services: dict[str, Any] = {}
        self._held = held
        # A client of google-genai that nobody holds any more closes itself in the middle of a call.
        self._making = threading.Lock()

    # Clients

    @property
    def genai(self) -> google_genai.Client:
        """`google-genai`, for tuning and generation in the connection's location."""
        return self.genai_in(self.location)

    def genai_in(self, location: str) -> google_genai.Client:
        """`google-genai` for another location: models tuned from Gemini 3.x are served in `us` and `eu`."""
        with self._making:
            if location not in self._clients:
                self._clients[location] = self._make_genai(location)
            return self._clients[location]

    def _make_genai(self, location: str) -> google_genai.Client:
        from google import genai
        from google.genai import types

        if self.address is None:
            options = types.HttpOptions(api_version=_API_VERSION, timeout=_TIMEOUT)
            return genai.Client(vertexai=True, project=self.project, location=location, http_options=options)
        options = types.HttpOptions(
            api_version=_API_VERSION,
            timeout=_TIMEOUT,
            base_url=self.address,
            # Whatever proxy the environment names, it is not the way to loopback.
            client_args={"trust_env": False},
            async_client_args={"trust_env": False},
        )
        return genai.Client(
            vertexai=True,
            project=self.project,
            location=location,
            credentials=_fixed_credentials(self._token),
            http_options=options,
        )

    def service_in(self, name: str, location: str) -> Any:
        """A generated client of `google-cloud-aiplatform`, over REST: `EndpointService`, `ModelService`..."""
        key = f"{name} {location}"
        with self._making:
            if key not in self._services:
                self._services[key] = self._make_service(name, location)
            return self._services[key]

    def _make_service(self, name: str, location: str) -> Any:
        from google.api_core.client_options import ClientOptions
        from google.cloud import aiplatform_v1

        options = ClientOptions(api_endpoint=self.address or vertex_host(location))
        credentials = _fixed_credentials(self._token) if self.address else None
        client = getattr(aiplatform_v1, f"{name}Client")(
            transport="rest", client_options=options, credentials=credentials
        )
        if self.address:
            client.transport._session.trust_env = False  # as above: no proxy is the way to loopback
        return client

    @cached_property
    def vertexai(self) -> vertexai.Client:
        """`vertexai.Client`: an ordinary object, for what Google offers there alone (`prompts`, `evals`, `datasets`)."""
        import warnings

        with warnings.catch_warnings():
            # It calls itself deprecated in favour of the same under another name, once per process.
            warnings.filterwarnings("ignore", message="The vertexai.Client class is deprecated")
            warnings.filterwarnings("ignore", module="vertexai")
            import vertexai

            options: dict[str, Any] = {"api_version": _API_VERSION, "timeout": _TIMEOUT}
            if self.address:
                direct = {"trust_env": False}
                options |= {
                    "base_url": self.address,
                    "client_args": direct,
                    "async_client_args": direct,
                }
            return vertexai.Client(
                project=self.project,
                location=self.location,
                credentials=_fixed_credentials(self._token) if self.address else None,
                http_options=options,
            )

    @cached_property
    def storage(self) -> storage.Client:
        """`google-cloud-storage`."""
        from google.cloud import storage

        if self.address is None:
            return storage.Client(project=self.project)
        client = storage.Client(
            project=self.project,
            credentials=_fixed_credentials(self._token),
            client_options={"api_endpoint": self.address},
        )
        client._http.trust_env = False  # the session is the client's own; there is no public door to it
        return client

    @property
    def credentials(self) -> Any:
        """What the calls of `ask` are signed by, as google-auth has it."""
        return self._session.credentials

    @cached_property
    def _session(self) -> Any:
        import google.auth
        from google.auth.transport.requests import AuthorizedSession

        if self.address is None:
            credentials, _ = google.auth.default(scopes=[SCOPE])
            return AuthorizedSession(credentials)
        session = AuthorizedSession(_fixed_credentials(self._token))
        session.trust_env = False
        return session

    def post(
        self, path: str, body: dict[str, Any], *, location: str, host: str = "", stream: bool = False
    ) -> Any:
        """A request that no client of Google's has a method for, as google-auth's own session sends it.

        Args:
            path: After the version: `projects/.../endpoints/7/chat/completions`.
            body: As JSON.
            location: Whose host it goes to.
            host: A host of its own, where an endpoint has one.
            stream: Whether the answer is read as it comes.

        Returns:
            The `requests.Response`.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: It is an error; see `retries.translated`.
        """
        from google.api_core.exceptions import from_http_response

        base = f"https://{host}" if host else self.address or f"https://{vertex_host(location)}"
        response = self._session.post(
            f"{base}/{_API_VERSION}/{path}", json=body, timeout=_TIMEOUT / 1000, stream=stream
        )
        if response.status_code >= 400:
            raise from_http_response(response)
        return response

    def ask(
        self,
        host: str,
        path: str,
        *,
        method: str = "GET",
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        timeout: float = _TIMEOUT / 1000,
    ) -> dict[str, Any]:
        """One call to a service of Google Cloud that none of these clients knows: Service Usage, KMS, IAM...

        Args:
            host: `serviceusage.googleapis.com`; the emulator answers for it at its own address.
            path: With its version: `v1/projects/my-project/services`.
            method: HTTP verb.
            query: Of the URL; lists are repeated.
            body: As JSON.
            timeout: Seconds.

        Returns:
            The answer's JSON.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: It is an error; see `retries.translated`.
        """
        from google.api_core.exceptions import from_http_response

        response = self._session.request(
            method,
            f"{self.address or f'https://{host}'}/{path}",
            params=query,
            json=body,
            timeout=timeout,
        )
        if response.status_code >= 400:
            raise from_http_response(response)
        return dict(response.json() if response.content else {})

    # Registries of compiled pipelines

    def template(self, address: str) -> bytes:
        """The file of a compiled pipeline in a registry.

        Args:
            address: `https://us-central1-kfp.pkg.dev/PROJECT/REPOSITORY/PIPELINE/TAG`, or with a version in place of the tag.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: It is an error; see `retries.translated`.
        """
        from google.api_core.exceptions import from_http_response

        response = self._session.get(self._registry_at(address), timeout=_TIMEOUT / 1000)
        if response.status_code >= 400:
            raise from_http_response(response)
        return bytes(response.content)

    def registry(self, address: str, repository: str) -> contextlib.AbstractContextManager[Any]:
        """A registry of compiled pipelines, as kfp's own client; to be used inside the block.

        Args:
            address: `https://us-central1-kfp.pkg.dev/PROJECT/REPOSITORY`.
            repository: The same, as Artifact Registry names it: `projects/.../repositories/...`.
        """
        if self.address is None:
            from kfp.registry import RegistryClient

            return contextlib.nullcontext(RegistryClient(host=address, auth=self.credentials))
        at = self._registry_at(address)
        return registries.elsewhere(at, f"{self.address}/v1", repository, self._token or "emulator")

    def _registry_at(self, address: str) -> str:
        """At the emulator, a registry is below a path of its own."""
        if self.address is None:
            return address
        host, _, path = address.removeprefix("https://").partition("/")
        return f"{self.address}/kfp.pkg.dev/{host.removesuffix('-kfp.pkg.dev')}/{path}"

    def told(self, location: str) -> dict[str, Any]:
        """What a child process needs to know to `initialise` itself for the same place."""
        return {
            "project": self.project,
            "location": location,
            "address": self.address,
            "token": self._token,
        }

    def environment(self) -> dict[str, str]:
        """Variables by which `connect()` in another process on this machine finds the same place."""
        config = replace(
            self.config,
            target="vertex" if self.address is None else "local",
            project=self.project,
            location=self.location,
            bucket=self.ensure_bucket(),
        )
        found = config.environment()
        return found if self.address is None else {**found, VARIABLE: self.address}

    def job_environment(self) -> dict[str, str]:
        """Variables for what the service runs: a step of a pipeline, a custom job.

        It finds out for itself whether that is Vertex AI or an emulator. Its account reads the bucket for data sets, and writes
        into the one for artifacts: that is its bucket.
        """
        config = replace(
            self.config,
            project=self.project,
            location=self.location,
            bucket=self.artifacts_bucket,
        )
        found = config.environment()
        del found["VERTEX_TUNING_TARGET"]
        return found

    @property
    def artifacts_bucket(self) -> str:
        """Where checkpoints and reports go: the bucket for them, else the one for data sets.

        Raises:
            ConfigurationError: VT108, neither is set.
        """
        return self.config.artifacts_bucket or self.ensure_bucket()

    @property
    def pipelines_bucket(self) -> str:
        """What the steps of a pipeline hand their results on through: the bucket for it, else the one for data sets.

        Raises:
            ConfigurationError: VT108, neither is set.
        """
        return self.config.pipelines_bucket or self.ensure_bucket()

    # Life

    def ensure_bucket(self) -> str:
        """The bucket for data sets; on `local` it is made where it is not there.

        Raises:
            ConfigurationError: VT108, no bucket is set.
        """
        if self.bucket:
            return self.bucket
        if self.address is None:
            raise ConfigurationError(
                "VT108",
                "no bucket is set for data sets",
                where="bucket",
                fix='bucket="my-bucket" (--bucket my-bucket), or VERTEX_TUNING_BUCKET=my-bucket',
            )
        name = f"{self.project}-vertex-tuning"
        if again(lambda: self.storage.lookup_bucket(name)) is None:
            from google.api_core.exceptions import Conflict

            with contextlib.suppress(Conflict):
                self.storage.create_bucket(name, location=self.location)
        self.bucket = name
        return name

    def close(self) -> None:
        """Close the clients, and end what was started for this connection."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        for service in self._services.values():
            service.transport.close()
        self._services.clear()
        if "_session" in self.__dict__:
            self._session.close()
        if self._held:
            self._held.stop()
            self._held = None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def initialise(told: dict[str, Any]) -> None:
    """`aiplatform.init` as a connection would have it: global to a process, and so for a child of its own only."""
    from google.cloud import aiplatform

    address = told["address"]
    if address:
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"  # no proxy is the way to loopback
    aiplatform.init(
        project=told["project"],
        location=told["location"],
        credentials=_fixed_credentials(told["token"]) if address else None,
        api_endpoint=address,
        api_transport="rest",
    )


def vertex_host(location: str) -> str:
    """Where Vertex AI serves a location."""
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def _fixed_credentials(token: str | None) -> Any:
    """Credentials that never ask anybody for a token."""
    from google.auth.credentials import Credentials

    class Fixed(Credentials):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.token = token or "emulator"

        def refresh(self, request: object) -> None:
            del request

    return Fixed()
