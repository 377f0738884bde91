"""Which answers are worth another try, and what is made of those that are not. The one place for both.

`create` is not idempotent and does not come through `again`: see `journal.py`.

Source of the codes: Vertex AI documentation, "Retry strategy"; AIP-194.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import tenacity

from vertex_tuning.errors import ServiceError, VertexTuningError

T = TypeVar("T")

RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
ATTEMPTS = 5
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0

_FIXES = {
    401: "gcloud auth application-default login",
    403: "see that your account, and the service agent, have the roles they need (roles/aiplatform.user)",
    404: "see that the name, the project and the location are right",
    429: "wait, or ask for more quota",
}


def again(call: Callable[[], T]) -> T:
    """Call, and call again while the answer is a passing trouble; an idempotent call only.

    Raises:
        ServiceError: VT501 refused, VT502 no answer, VT503 trouble that did not pass.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(
            lambda error: isinstance(error, ServiceError) and is_passing(error)
        ),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        reraise=True,
    )

    def attempt() -> T:
        with translated():
            return call()

    return retrying(attempt)


def is_passing(error: ServiceError) -> bool:
    """Whether another try may go better; no answer at all (code 0) counts."""
    return error.code == 0 or error.code in RETRYABLE


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what Google's clients raise into a `ServiceError`, the original as its cause."""
    try:
        yield
    except VertexTuningError:
        raise
    except Exception as error:
        found = _service_error(error)
        if found is None:
            raise
        raise found from error


def _service_error(error: Exception) -> ServiceError | None:
    module = type(error).__module__
    code: Any = getattr(error, "code", None)
    if module.startswith("google.genai") and isinstance(code, int):
        return _answered(
            code, str(getattr(error, "status", "") or ""), str(getattr(error, "message", "") or error)
        )
    if module.startswith("google.api_core.exceptions") and code is not None:
        status = getattr(getattr(error, "grpc_status_code", None), "name", "")
        return _answered(int(code), status, str(getattr(error, "message", error)))
    if module.startswith(
        ("httpx", "httpcore", "requests", "urllib3", "google.auth", "google.resumable_media")
    ) or isinstance(error, ConnectionError | TimeoutError):
        return ServiceError(
            "VT502",
            f"no answer: {error or type(error).__name__}",
            fix="see that the network and the address are right",
        )
    return None


def _answered(code: int, status: str, message: str) -> ServiceError:
    rule = "VT503" if code in RETRYABLE else "VT501"
    return ServiceError(rule, message.strip(), code=code, status=status, fix=_FIXES.get(code, ""))
