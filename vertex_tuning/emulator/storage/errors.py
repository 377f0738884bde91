"""Errors as Cloud Storage words them: JSON on the JSON API, XML on the XML API."""

from __future__ import annotations

import errno
import sqlite3
from html import escape
from typing import Any


class StorageError(Exception):
    """A request that Cloud Storage refuses. Raise it anywhere; the app renders it for the API in use."""

    def __init__(
        self, status: int, reason: str, message: str, *, location: str = "", rule: str = "", xml: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status code."""
        self.reason = reason
        """Google's word for it on the JSON API: `notFound`, `conditionNotMet`..."""
        self.message = message
        self.location = location
        """The parameter at fault, where there is one."""
        self.rule = rule
        """Rule id, where the emulator itself (not Google) is the one that says no."""
        self.xml = xml or _XML_CODES.get(reason, "InvalidArgument")
        """Google's word for it on the XML API: `NoSuchKey`, `PreconditionFailed`..."""

    def to_json(self) -> dict[str, Any]:
        """The body on the JSON API."""
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.location:
            detail |= {"locationType": "parameter", "location": self.location}
        error: dict[str, Any] = {"code": self.status, "message": self.message, "errors": [detail]}
        if self.rule:
            error["details"] = [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": self.rule,
                    "domain": "vertex-tuning.emulator",
                }
            ]
        return {"error": error}

    def to_xml(self) -> str:
        """The body on the XML API."""
        return (
            "<?xml version='1.0' encoding='UTF-8'?>"
            f"<Error><Code>{self.xml}</Code><Message>{escape(self.message, quote=False)}</Message></Error>"
        )


_XML_CODES = {
    "notFound": "NoSuchKey",
    "conditionNotMet": "PreconditionFailed",
    "notModified": "NotModified",
    "conflict": "BucketNotEmpty",
    "forbidden": "AccessDenied",
    "notImplemented": "NotImplemented",
    "insufficientStorage": "InsufficientStorage",
    "requestedRangeNotSatisfiable": "InvalidRange",
    "methodNotAllowed": "MethodNotAllowed",
    "backendError": "InternalError",
}


def invalid(message: str, *, location: str = "", rule: str = "", xml: str = "") -> StorageError:
    """400: the request itself is wrong."""
    return StorageError(400, "invalid", message, location=location, rule=rule, xml=xml)


def no_bucket() -> StorageError:
    """404 for a bucket."""
    return StorageError(404, "notFound", "The specified bucket does not exist.", xml="NoSuchBucket")


def no_object(bucket: str, name: str) -> StorageError:
    """404 for an object, or for a generation of it."""
    return StorageError(404, "notFound", f"No such object: {bucket}/{name}")


def condition_not_met(parameter: str) -> StorageError:
    """412: a precondition does not hold."""
    return StorageError(
        412,
        "conditionNotMet",
        "At least one of the pre-conditions you specified did not hold.",
        location=parameter,
    )


def not_modified(parameter: str) -> StorageError:
    """304: a `...NotMatch` precondition found what the caller already has."""
    return StorageError(304, "notModified", "Not Modified", location=parameter)


def not_emulated(what: str) -> StorageError:
    """501: Cloud Storage has it, the emulator does not."""
    return StorageError(
        501, "notImplemented", f"VT454: the emulator does not have {what} of Cloud Storage.", rule="VT454"
    )


def from_disk(error: OSError | sqlite3.OperationalError) -> StorageError:
    """What the disk refused. 507 is final to Google's clients, which would repeat a 503 for two minutes."""
    if isinstance(error, OSError):
        full, words = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), error.strerror or str(error)
    else:
        full, words = error.sqlite_errorcode == sqlite3.SQLITE_FULL, str(error)
    if full:
        return StorageError(
            507,
            "insufficientStorage",
            "VT451: no space left in the emulator's data folder; nothing was stored."
            " Free some space, or start the emulator with another --data-dir.",
            rule="VT451",
        )
    return StorageError(
        500,
        "backendError",
        f"VT455: the emulator's data folder cannot be read or written: {words}.",
        rule="VT455",
    )
