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

_LONGEST_MESSAGE = 2_000
_LOG_IN = "gcloud auth application-default login"
_FIXES = {
    401: _LOG_IN,
    403: "see that your account, and the service agent, have the roles they need (roles/aiplatform.user)",
    404: "see that the name, the project and the location are right",
    429: "wait, or ask for more quota",
}

# Classes by name, so that none of these packages is loaded to look at an exception; a subclass counts as its parent.
_NO_ANSWER = {
    "builtins.ConnectionError",
    "builtins.TimeoutError",
    "google.auth.exceptions.TransportError",
    "httpcore.NetworkError",
    "httpcore.ProtocolError",
    "httpcore.TimeoutException",
    "httpx.RequestError",
    "requests.exceptions.RequestException",
    "urllib3.exceptions.HTTPError",
}
_NOT_READABLE = {
    "google.cloud.storage.exceptions.DataCorruption",
    "google.genai.errors.UnknownApiResponseError",
    "google.protobuf.json_format.ParseError",
    "google.resumable_media.common.DataCorruption",
    "json.decoder.JSONDecodeError",
}
_KUBEFLOW = "kfp_server_api.exceptions.ApiException"
_GAVE_UP = "google.api_core.exceptions.RetryError"
_ANSWERED = {
    "google.cloud.storage.exceptions.InvalidResponse",
    "google.resumable_media.common.InvalidResponse",
    "httpx.HTTPStatusError",
}
_NOT_KNOWN = "google.auth.exceptions.GoogleAuthError"


def again(call: Callable[[], T], *, attempts: int | None = None) -> T:
    """Call, and call again while the answer is a passing trouble; an idempotent call only.

    Args:
        call: What to do.
        attempts: In all. Left out: `ATTEMPTS`.

    Raises:
        ServiceError: VT501 refused, VT502 no answer, VT503 trouble that did not pass.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_worth_another_try),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT),
        stop=tenacity.stop_after_attempt(attempts or ATTEMPTS),
        reraise=True,
    )

    def attempt() -> T:
        with translated():
            return call()

    return retrying(attempt)


def _worth_another_try(error: BaseException) -> bool:
    # Where Google's client gave up, it had tried for minutes already.
    return isinstance(error, ServiceError) and is_passing(error) and _GAVE_UP not in _kinds(error.__cause__)


@contextlib.contextmanager
def passed_over(code: int) -> Iterator[None]:
    """Pass over an answer with this HTTP code: what is gone already needs no deleting."""
    try:
        yield
    except ServiceError as error:
        if error.code != code:
            raise


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


def _service_error(error: BaseException) -> ServiceError | None:
    kinds = _kinds(error)
    code: Any = getattr(error, "code", None)
    message = str(getattr(error, "message", None) or error or type(error).__name__)
    if "google.genai.errors.APIError" in kinds:
        return _answered(_number(code), getattr(error, "status", None), message)
    if "google.api_core.exceptions.GoogleAPICallError" in kinds:
        status = getattr(getattr(error, "grpc_status_code", None), "name", None)
        return _answered(_number(code), status, _own_words(error) or message)
    if _KUBEFLOW in kinds:
        words = str(getattr(error, "body", None) or getattr(error, "reason", None) or message)
        status = getattr(error, "status", None)
        return _answered(_number(status), None, words) if status else _unanswered(words)
    if _GAVE_UP in kinds:
        cause = getattr(error, "cause", None)
        found = _service_error(cause) if cause is not None else None
        return found or _unanswered(message)
    response = getattr(error, "response", None)
    if kinds & _ANSWERED or (kinds & _NO_ANSWER and getattr(response, "status_code", 200) >= 400):
        return _answered(_number(getattr(response, "status_code", None)), None, _own_words(error) or message)
    if kinds & _NOT_READABLE:
        return ServiceError("VT503", f"the answer cannot be read: {_short(message)}", fix="try again later")
    if kinds & _NO_ANSWER or (_NOT_KNOWN in kinds and getattr(error, "retryable", False)):
        return _unanswered(message)
    if _NOT_KNOWN in kinds:
        what = f"the credentials are not good: {_short(message)}"
        return ServiceError("VT501", what, code=401, status="UNAUTHENTICATED", fix=_LOG_IN)
    return None


def _own_words(error: BaseException) -> str:
    """What the service itself said: over REST, Google's client puts the method and the address before it."""
    with contextlib.suppress(Exception):
        return str(error.response.json()["error"]["message"])  # type: ignore[attr-defined]
    return ""


def _kinds(error: BaseException | None) -> set[str]:
    """Full names of an exception's class and all above it."""
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}


def _number(code: Any) -> int:
    return int(code) if isinstance(code, int) and code else 500


def _unanswered(message: str) -> ServiceError:
    fix = "see that the network and the address are right"
    return ServiceError("VT502", f"no answer: {_short(message)}", fix=fix)


def _answered(code: int, status: str | None, message: str) -> ServiceError:
    rule = "VT503" if code in RETRYABLE else "VT501"
    canonical = status if status and status.isupper() else ""
    return ServiceError(rule, _short(message), code=code, status=canonical, fix=_FIXES.get(code, ""))


def _short(message: str) -> str:
    """Without the rest of an error page."""
    words = message.strip()
    return words if len(words) <= _LONGEST_MESSAGE else f"{words[:_LONGEST_MESSAGE]}..."
