"""What was found, and what is made of it: for people, for machines, and for a shell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from vertex_tuning import catalog


class Status(StrEnum):
    """How it stands with one thing."""

    OK = "ok"
    WARNING = "warning"
    """It works, and is not as it should be."""
    FAULT = "fault"
    """Something that the settings ask for cannot work."""
    UNSEEN = "not seen"
    """Whoever asked may not look, or no answer came: neither well nor ill."""
    UNSET = "not configured"


@dataclass(frozen=True, slots=True)
class Cure:
    """What mends it: by Terraform where that made the project, by commands where it did not."""

    commands: tuple[str, ...] = ()
    """For a shell, in their order; of `gcloud`, or of `vertex-tuning`."""
    terraform: str = ""
    """An input of terraform/, as `terraform.tfvars` has it, to be applied."""
    words: str = ""
    """What no command says."""
    apply: bool = False
    """Whether `terraform apply` mends it as it is, where terraform/ made the project."""

    def lines(self) -> Iterator[str]:
        """For people."""
        said = [*self.commands, *([self.words] if self.words else [])]
        yield from (f"{'Fix:' if number == 0 else '    '} {line}" for number, line in enumerate(said))
        if self.terraform or self.apply:
            yield f"Terraform: {self.terraform or 'apply it again'}"


@dataclass(frozen=True, slots=True)
class Finding:
    """How it stands with one thing that was looked at."""

    status: Status
    where: str
    """The thing: `gs://my-bucket`, an account, a service."""
    what: str
    """How it stands, in one sentence without a capital."""
    rule: str = ""
    """Rule id; empty where there is nothing to mend."""
    why: str = ""
    """Why it matters. Left out: what `docs/rules.md` says."""
    cure: Cure = Cure()
    check: str = ""
    """Name of the check that found it."""

    def lines(self) -> Iterator[str]:
        """As people read it: one line where all is well, help where it is not."""
        if not self.rule or self.status is Status.UNSEEN:
            yield f"{self.where}: {self.what}" if self.where else self.what
            return
        yield f"{self.rule}  {self.where}: {self.what}"
        yield f"       {self.why or catalog.rules()[self.rule]['why']}"
        yield from (f"       {line}" for line in self.cure.lines())

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; where there is a rule, with why it matters."""
        why = self.why or (catalog.rules()[self.rule]["why"] if self.rule else "")
        return {**asdict(self), "status": str(self.status), "why": why}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How it stands with a project."""

    project: str
    location: str
    findings: tuple[Finding, ...]
    """In the order of the checks."""
    seconds: float
    """What looking took."""

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What cannot work."""
        return self._of(Status.FAULT)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is not as it should be."""
        return self._of(Status.WARNING)

    @property
    def unseen(self) -> tuple[Finding, ...]:
        """What could not be looked at."""
        return self._of(Status.UNSEEN)

    @property
    def ok(self) -> bool:
        """Whether nothing is broken, as far as could be seen."""
        return not self.faults

    def _of(self, status: Status) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.status is status)

    def commands(self) -> list[str]:
        """The commands of all cures, each once, in their order."""
        ill = [finding for finding in self.findings if finding.status in (Status.FAULT, Status.WARNING)]
        return _once(command for finding in ill for command in finding.cure.commands)

    def inputs(self) -> list[str]:
        """The inputs of terraform/ that all cures name, each once."""
        return _once(finding.cure.terraform for finding in self.findings if finding.cure.terraform)

    def summary(self) -> str:
        """One line: `2 faults, 1 warning, 31 ok (0.4 s)`."""
        counts = [
            _count(len(self.faults), "fault"),
            _count(len(self.warnings), "warning"),
            f"{len(self.unseen)} not seen" if self.unseen else "",
            f"{len(self._of(Status.OK))} ok",
        ]
        return f"{', '.join(filter(None, counts))} ({self.seconds:.1f} s)"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: everything."""
        return {
            "project": self.project,
            "location": self.location,
            "ok": self.ok,
            "faults": len(self.faults),
            "warnings": len(self.warnings),
            "unseen": len(self.unseen),
            "seconds": round(self.seconds, 3),
            "findings": [finding.to_json() for finding in self.findings],
            "commands": self.commands(),
            "terraform": self.inputs(),
        }

    def __str__(self) -> str:
        """Check by check."""
        lines: list[str] = []
        for check in _once(finding.check for finding in self.findings):
            lines.append(check)
            for finding in self.findings:
                if finding.check == check:
                    lines += [f"  {line}" for line in finding.lines()]
        return "\n".join([*lines, self.summary()])


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


# What checks say


def ok(where: str, what: str) -> Finding:
    """All is well."""
    return Finding(Status.OK, where, what)


def unset(what: str) -> Finding:
    """The settings do not ask for it."""
    return Finding(Status.UNSET, "", f"not configured: {what}")


def fault(rule: str, where: str, what: str, cure: Cure, *, why: str = "") -> Finding:
    """It cannot work."""
    return Finding(Status.FAULT, where, what, rule, why, cure)


def warning(rule: str, where: str, what: str, cure: Cure, *, why: str = "") -> Finding:
    """It is not as it should be."""
    return Finding(Status.WARNING, where, what, rule, why, cure)
