"""What the long jobs of the service have in common: a handle, followed to the job's end whatever happens to us meanwhile."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from vertex_tuning.errors import JobCancelledError, JobFailedError, JobTimeoutError, ServiceError
from vertex_tuning.retries import again, is_passing

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection

P = TypeVar("P")

# An explicit list of what ends a job: a state that we do not know goes on.
ENDED = frozenset(
    {
        "JOB_STATE_SUCCEEDED",
        "JOB_STATE_FAILED",
        "JOB_STATE_CANCELLED",
        "JOB_STATE_EXPIRED",
        "JOB_STATE_PARTIALLY_SUCCEEDED",
    }
)
SUCCEEDED = frozenset({"JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED"})
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 15.0
_BACK_OFF = 1.3
_PATIENCE = 120.0
"""Seconds without any answer from the service, after which nobody waits any longer."""

_CURES = {
    3: "mend the data or the spec, and tune again",
    8: "wait, or ask for more quota",
    9: "mend what the message names, and tune again",
    13: "submit it again: the trouble was the service's",
    14: "submit it again: the trouble was the service's",
}


class FollowedJob(ABC, Generic[P]):
    """A handle on a job, which may be made again from the job's name at any time. A kind of job says how it is asked for."""

    group: ClassVar[str]
    """Commands for it: `jobs`, of `vertex-tuning jobs watch` and `jobs cancel`."""

    def __init__(self, connection: Connection, resource: Any) -> None:
        self._connection = connection
        self._resource = resource

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.state}>"

    # What is known, as of the last answer

    @property
    def name(self) -> str:
        """Resource name: `projects/.../locations/.../`, the kind of job, and its id."""
        return self._resource.name or ""

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self.name.rsplit("/", 1)[-1]

    @property
    def state(self) -> str:
        """`JOB_STATE_...`, as of the last answer; see `refresh`."""
        return name_of(self._resource.state)

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in ENDED

    def to_json(self) -> dict[str, Any]:
        """The resource as JSON."""
        return dict(self._resource.model_dump(mode="json", exclude_none=True, exclude={"sdk_http_response"}))

    # How a kind of job does it

    @abstractmethod
    def _ask(self) -> Any:
        """The resource, asked for once."""

    @abstractmethod
    def cancel(self) -> None:
        """Ask it to end; `wait()` tells when it has."""

    @abstractmethod
    def progress(self) -> P:
        """How it does, as of the last answer."""

    # Following

    def refresh(self) -> Self:
        """Ask the service how it does; returns itself."""
        self._resource = again(self._ask)
        return self

    def follow(self, *, timeout: float | None = None) -> Iterator[P]:
        """Yield whenever something changed, until the job has ended.

        Passing trouble on the way to the service is waited out; the job does not notice.

        Args:
            timeout: Seconds to follow; None: as long as it takes.

        Raises:
            JobTimeoutError: VT603. The job goes on.
            ServiceError: VT501 refused; VT502, nobody has answered for two minutes.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        wait, last = _FIRST_WAIT, None
        heard = time.monotonic()
        while True:
            try:
                self.refresh()
                heard = time.monotonic()
            except ServiceError as error:
                if error.code:
                    heard = time.monotonic()
                if not is_passing(error) or time.monotonic() - heard > _PATIENCE:
                    raise
            now = self.progress()
            if now != last:
                wait, last = _FIRST_WAIT, now
                yield now
            if self.ended:
                return
            if deadline is not None and time.monotonic() >= deadline:
                raise JobTimeoutError(
                    "VT603",
                    f"the job is still in {self.state} after {timeout:g} s",
                    job=self.name,
                    fix=f"it goes on; follow it later: vertex-tuning {self.group} watch {self.name}",
                )
            left = wait if deadline is None else min(wait, max(0.0, deadline - time.monotonic()))
            time.sleep(left)
            wait = min(wait * _BACK_OFF, _LONGEST_WAIT)

    def wait(self, *, timeout: float | None = None) -> Self:
        """Wait until it has ended, well or not; returns itself.

        Raises:
            JobTimeoutError: VT603. The job goes on.
        """
        for _ in self.follow(timeout=timeout):
            pass
        return self

    def succeed(self, *, timeout: float | None = None) -> Self:
        """Wait until it has ended well; returns itself.

        Raises:
            JobFailedError: VT601, with the service's own words.
            JobCancelledError: VT602.
            JobTimeoutError: VT603. The job goes on.
        """
        if not self.ended:
            self.wait(timeout=timeout)
        if self.state not in SUCCEEDED:
            raise self._failure()
        return self

    def _failure(self) -> JobFailedError | JobCancelledError:
        """What a job that ended badly says."""
        return failure(self.name, self.state, self._resource.error)


def failure(name: str, state: str, error: Any) -> JobFailedError | JobCancelledError:
    """What a job that ended badly says; `error` has a `code` and a `message`, where it has them."""
    code = int(getattr(error, "code", None) or 0)
    words = getattr(error, "message", None) or "no reason was given"
    about: dict[str, Any] = {"where": name, "job": name, "code": code}
    if state == "JOB_STATE_CANCELLED":
        return JobCancelledError("VT602", "the job was cancelled", **about)
    return JobFailedError("VT601", f"the job ended in {state}: {words}", fix=_CURES.get(code, ""), **about)


def listed(
    ask: Callable[..., Any], *, filter: str = "", limit: int | None = None, **options: Any
) -> list[Any]:
    """Resources of a list of google-genai's, page by page.

    Args:
        ask: Its `list`.
        filter: As the service understands it.
        limit: No more than these; None: all.
        options: More of its `config`.
    """
    config = {"page_size": min(limit or 100, 100), **options, **({"filter": filter} if filter else {})}
    pages = again(lambda: ask(config=config))
    found: list[Any] = []
    while True:
        found += pages.page
        if limit is not None and len(found) >= limit:
            return found[:limit]
        try:
            again(pages.next_page)
        except IndexError:
            return found


def name_of(value: Any) -> str:
    """The name of an enum's member, or of one that google-genai does not know."""
    return str(getattr(value, "value", value) or "")


def seconds(start: datetime | None, end: datetime | None) -> float | None:
    """From one time to another; None where either is not known."""
    return round((end - start).total_seconds(), 1) if start and end else None
