"""Errors on the wire: `google.rpc.Status`, as Google's clients read it."""

from __future__ import annotations

from enum import Enum
from typing import Any


class Code(Enum):
    """Canonical codes: (`google.rpc.Code` number, HTTP status). Source: google/rpc/code.proto."""

    CANCELLED = (1, 499)
    UNKNOWN = (2, 500)
    INVALID_ARGUMENT = (3, 400)
    DEADLINE_EXCEEDED = (4, 504)
    NOT_FOUND = (5, 404)
    ALREADY_EXISTS = (6, 409)
    PERMISSION_DENIED = (7, 403)
    RESOURCE_EXHAUSTED = (8, 429)
    FAILED_PRECONDITION = (9, 400)
    ABORTED = (10, 409)
    OUT_OF_RANGE = (11, 400)
    UNIMPLEMENTED = (12, 501)
    INTERNAL = (13, 500)
    UNAVAILABLE = (14, 503)
    UNAUTHENTICATED = (16, 401)

    @property
    def number(self) -> int:
        """The number that gRPC and a job's `error` carry."""
        return self.value[0]

    @property
    def http(self) -> int:
        """The HTTP status code."""
        return self.value[1]


class ApiError(Exception):
    """A request that is refused. Raise it anywhere below a route; the app renders it."""

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        violations: list[tuple[str, str]] | None = None,
        rule: str = "",
        details: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: list[dict[str, Any]] = list(details or ())
        if violations:
            self.details.append(
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [{"field": f, "description": d} for f, d in violations],
                }
            )
        if rule:
            self.details.append(
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": rule,
                    "domain": "vertex-tuning.emulator",
                }
            )

    def status(self) -> dict[str, Any]:
        """As a bare `google.rpc.Status`: the form of `tuningJob.error` and of an operation's `error`."""
        return {"code": self.code.number, "message": self.message, "details": self.details}

    def body(self) -> dict[str, Any]:
        """As the HTTP body of a refused request."""
        error: dict[str, Any] = {
            "code": self.code.http,
            "message": self.message,
            "status": self.code.name,
        }
        if self.details:
            error["details"] = self.details
        return {"error": error}


def invalid(*violations: tuple[str, str], rule: str = "") -> ApiError:
    """400 in the words of the tuning service: one violation per field, listed in the message too."""
    listed = "".join(f"\t{n}.Field: {f}; Message: {d}" for n, (f, d) in enumerate(violations, 1))
    return ApiError(
        Code.INVALID_ARGUMENT, f"List of found errors:{listed}\t", violations=list(violations), rule=rule
    )


def not_found(what: str) -> ApiError:
    """404 for a resource that is not there."""
    return ApiError(Code.NOT_FOUND, f"{what} is not found.")
