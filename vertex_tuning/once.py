"""One job, whatever happens on the way: its key is in the journal first, and it is found by its label.

Asked twice, a service does the work twice, and is paid twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from vertex_tuning.errors import ServiceError
from vertex_tuning.journal import Entry, Journal
from vertex_tuning.retries import ATTEMPTS, is_passing, translated

log = logging.getLogger(__name__)

_LOOKS = 3
"""How often a job is looked for by its key before it is asked for again."""
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 15.0


class _Job(Protocol):
    """What a job needs to have."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def ended(self) -> bool: ...

    def cancel(self) -> None: ...


J = TypeVar("J", bound=_Job)


class Once(Generic[J]):
    """Asks for jobs of one kind at one place.

    Args:
        journal: Where the keys are kept.
        place: Address, project and location.
        find: The jobs with a key as their label, newest first.
    """

    def __init__(self, journal: Journal, place: str, find: Callable[[str], Sequence[J]]) -> None:
        self._journal = journal
        self._place = place
        self._find = find

    def identical(self, digest: str) -> J | None:
        """A job of this digest that still runs; that one has ended is mentioned."""
        for entry in self._journal.find(digest, self._place):
            job = self._by_key(entry)
            if job is None:
                continue
            if not job.ended:
                self._journal.close(entry, job.name)
                log.warning("an identical job is running already and is taken up again: %s", job.name)
                return job
            log.warning("an identical job ended earlier in %s: %s; starting another", job.state, job.name)
            return None
        return None

    def create(self, digest: str, ask: Callable[[str], J]) -> J:
        """A new job.

        Args:
            digest: The same for an identical job.
            ask: Asks for it, with the key as its label.

        Raises:
            ServiceError: The service refused it, or cannot be reached.
            ConfigurationError: VT111, the journal cannot be written: no job without its key.
        """
        entry = self._journal.open(digest, self._place)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with translated():
                    job = ask(entry.key)
                break
            except ServiceError as error:
                if not is_passing(error):
                    self._journal.forget(entry)
                    raise
                found = self._after_all(entry, error, attempt)
                if found is not None:
                    job = found
                    break
                if attempt == ATTEMPTS:
                    raise
        if attempt > 1:
            job = self._by_key(entry) or job
        self._journal.close(entry, job.name)
        return job

    def _by_key(self, entry: Entry) -> J | None:
        """The job of an entry; where a request that was thought lost arrived after all, there are two: the later one goes."""
        found = self._find(entry.key)
        if not found:
            return None
        *doubles, job = found
        for double in doubles:
            if not double.ended:
                log.warning("asked for twice, made twice: cancelling %s", double.name)
                double.cancel()
        return job

    def _after_all(self, entry: Entry, error: ServiceError, attempt: int) -> J | None:
        """The job that was made although no answer, or a bad one, came; None: it may be asked for again.

        Where nobody answered, the request may still be on its way: it is looked for more than once.
        """
        looks = 1 if error.code == 429 else _LOOKS
        for look in range(looks):
            time.sleep(min(_FIRST_WAIT * 2 ** (attempt - 1 + look), _LONGEST_WAIT))
            found = self._by_key(entry)
            if found is not None:
                log.warning("no good answer came, but the job was made: %s", found.name)
                return found
        return None
