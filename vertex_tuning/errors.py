"""Every error this package raises.

    VertexTuningError
    ├── ConfigurationError      VT1xx  settings, targets, credentials            (also a ValueError)
    ├── DatasetError            VT2xx  a data set that would not tune            (also a ValueError)
    ├── SpecError               VT3xx  a spec that no service would take         (also a ValueError)
    ├── EmulatorError           VT4xx  the emulator cannot start, or is not there
    ├── ServiceError            VT5xx  the service refused a request, or did not answer
    ├── JobError                VT6xx  a job that ended badly
    │   ├── JobFailedError
    │   ├── JobCancelledError
    │   └── JobTimeoutError     (also a TimeoutError)
    ├── WeightsError            VT70x  weights of a stand-in model
    ├── HostError               VT79x  a machine that cannot do what it is asked for (also a ValueError)
    ├── UnknownPriceError       VT795  what nobody knows the price of             (also a ValueError)
    ├── PipelineError           VT71x  a pipeline that cannot be run              (also a ValueError)
    ├── EvaluationError         VT75x  what cannot be measured or compared        (also a ValueError)
    ├── LineageError            VT76x  what cannot be noted of a model            (also a ValueError)
    └── RewardError             VT9xx  a reward that cannot be computed           (also a ValueError)

An error is a small piece of help: what is wrong, where, why that matters, what to do; the rule id is explained in
`docs/rules.md`. To add one: pick the next free id in `catalog/rules.toml`, write its line there, raise the class above
whose family it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "ConfigurationError",
    "DatasetError",
    "EmulatorError",
    "EvaluationError",
    "Fault",
    "HostError",
    "JobCancelledError",
    "JobError",
    "JobFailedError",
    "JobTimeoutError",
    "LineageError",
    "PipelineError",
    "RewardError",
    "ServiceError",
    "SpecError",
    "UnknownPriceError",
    "VertexTuningError",
    "WeightsError",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where it is, and the way out."""

    rule: str
    """Rule id, `VT` and three digits; explained in `docs/rules.md`."""

    what: str
    """What is wrong, in one sentence."""

    where: str = ""
    """File and line, JSON path, flag or field; empty where the sentence says it all."""

    why: str = ""
    """Why it matters, where that is not plain."""

    fix: str = ""
    """What to do about it; a command where there is one."""

    def __str__(self) -> str:
        head = f"{self.rule}  {self.where}: {self.what}" if self.where else f"{self.rule}  {self.what}"
        lines = [head]
        if self.why:
            lines.append(f"       {self.why}")
        if self.fix:
            lines.append(f"       Fix: {self.fix}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, str]:
        """The fault as JSON-ready strings."""
        return asdict(self)


class VertexTuningError(Exception):
    """The root of all errors of this package; it carries one fault, or all that were found at once."""

    def __init__(
        self,
        rule: str,
        what: str,
        *,
        where: str = "",
        why: str = "",
        fix: str = "",
        faults: Sequence[Fault] = (),
    ) -> None:
        self.fault = Fault(rule, what, where, why, fix)
        self.faults: tuple[Fault, ...] = tuple(faults) or (self.fault,)
        super().__init__(str(self))

    @property
    def rule(self) -> str:
        """The rule id of the error itself."""
        return self.fault.rule

    def __str__(self) -> str:
        if self.faults == (self.fault,):
            return str(self.fault)
        return "\n".join([str(self.fault), *(str(fault) for fault in self.faults)])

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints: the error and every fault."""
        return {"error": self.fault.to_json(), "faults": [fault.to_json() for fault in self.faults]}


def _rebuild(cls: type[VertexTuningError], args: tuple[Any, ...], state: dict[str, Any]) -> VertexTuningError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(VertexTuningError, ValueError):
    """Settings, a target or credentials that cannot work."""


class DatasetError(VertexTuningError, ValueError):
    """A data set that the service would refuse, drop rows of, or learn nonsense from."""


class SpecError(VertexTuningError, ValueError):
    """A tuning spec that no service would take: an unknown model, a size it does not have, a missing field."""


class EmulatorError(VertexTuningError):
    """The emulator cannot start, is not there, or died."""


class ServiceError(VertexTuningError):
    """The service answered with an error, or did not answer at all."""

    def __init__(self, rule: str, what: str, *, code: int = 0, status: str = "", **rest: Any) -> None:
        self.code = code
        """HTTP status code; 0 where no answer came."""
        self.status = status
        """Canonical status name, as in `google.rpc.Code`: NOT_FOUND, RESOURCE_EXHAUSTED..."""
        super().__init__(rule, what, **rest)


class JobError(VertexTuningError):
    """A tuning job that ended without a model."""

    def __init__(self, rule: str, what: str, *, job: str = "", code: int = 0, **rest: Any) -> None:
        self.job = job
        """Resource name of the job."""
        self.code = code
        """`google.rpc.Code` of the job's error; 0 where it has none."""
        super().__init__(rule, what, **rest)


class JobFailedError(JobError):
    """The job failed; `code` and the message are the service's own."""


class JobCancelledError(JobError):
    """The job was cancelled, by us or by somebody else."""


class JobTimeoutError(JobError, TimeoutError):
    """The job had not ended when the time to wait was over; it goes on."""


class PipelineError(VertexTuningError, ValueError):
    """A pipeline that is none, that is told something wrong, or that would not run everywhere."""


class HostError(VertexTuningError, ValueError):
    """A machine that there is not, that lacks the memory, or on which our code cannot do what it is asked to."""


class UnknownPriceError(VertexTuningError, ValueError):
    """The catalog has no price for something; what is known of it, the tokens, is in `estimate`."""

    def __init__(self, rule: str, what: str, *, estimate: Any = None, **rest: Any) -> None:
        self.estimate = estimate
        """A `cost.Estimate` without its money."""
        super().__init__(rule, what, **rest)


class RewardError(VertexTuningError, ValueError):
    """A reward that cannot be computed as it is written."""


class EvaluationError(VertexTuningError, ValueError):
    """Answers that cannot be measured, or systems that cannot be compared, in the way that was asked for."""


class LineageError(VertexTuningError, ValueError):
    """Something that cannot be noted of a model."""


class WeightsError(VertexTuningError):
    """Weights of a stand-in model are missing, damaged or not to be had."""
