"""What a supervised job measures of its checkpoints, on the validation set, when it has trained."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vertex_tuning import catalog

if TYPE_CHECKING:
    from google.genai import types

_ROUGE = re.compile(r"rouge(?:[1-9]|L|Lsum)")
_NAMES = "exact_match, bleu, rouge1 to rouge9, rougeL, rougeLsum, or Judged(template)"
_PLACEHOLDER = re.compile(r"\{\{?(\w+)\}?\}")
_FOLDER = re.compile(r"gs://[^/]+(/.*)?")


class Judged(BaseModel):
    """A metric by a judge: a model that is asked with a template, and answers with a score."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str
    """What the judge is asked, with `{prompt}`, `{response}` (the tuned model's answer) and `{reference}` (the row's) in it. Have
    it ask for a bare number."""

    system: str | None = None
    """System instruction of the judge's."""

    @field_validator("template")
    @classmethod
    def _shows_the_answer(cls, template: str) -> str:
        if "response" not in _PLACEHOLDER.findall(template):
            raise ValueError("the template lacks {response}: the judge would not see what it is to judge")
        return template


class EvaluationConfig(BaseModel):
    """What is measured of every checkpoint, on every row of the validation set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics: Annotated[list[str | Judged], Field(min_length=1)]
    """`exact_match`, `bleu`, `rouge1` to `rouge9`, `rougeL`, `rougeLsum`; or `Judged(template)`."""

    output_uri: str | None = None
    """`gs://` folder for the answers and what was found. Left out: one in the bucket for data sets."""

    judge: str | None = None
    """Who judges: a model of the catalog, a full name (`projects/.../publishers/google/models/M`), or an endpoint."""

    judge_samples: Annotated[int, Field(ge=1)] | None = None
    """How often the judge is asked about an answer. Left out: 4."""

    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Of the answers that are measured; 0: always the likeliest token."""

    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    """Of such an answer."""

    @field_validator("metrics")
    @classmethod
    def _known(cls, metrics: list[str | Judged]) -> list[str | Judged]:
        for name in metrics:
            if isinstance(name, str) and name not in ("exact_match", "bleu") and not _ROUGE.fullmatch(name):
                raise ValueError(f'"{name}" is not a metric: {_NAMES}')
        return metrics

    @field_validator("judge_samples")
    @classmethod
    def _few(cls, samples: int | None) -> int | None:
        most = catalog.limits("reward_autorater")["max_samples"]
        if samples is not None and samples > most:
            raise ValueError(f"a judge is asked up to {most} times about an answer")
        return samples

    @field_validator("output_uri")
    @classmethod
    def _in_cloud_storage(cls, uri: str | None) -> str | None:
        if uri is not None and not _FOLDER.fullmatch(uri):
            raise ValueError(f'"{uri}" is not in Cloud Storage: gs://bucket/folder')
        return uri

    def config(self, *, parent: str, folder: str) -> types.EvaluationConfig:
        """As google-genai has it.

        Args:
            parent: `projects/P/locations/L`, where a judge that is given by a short name is asked.
            folder: `gs://` folder for the results where none is given.
        """
        from google.genai import types

        judge = self.judge
        if judge and "/" not in judge:
            judge = f"{parent}/publishers/google/models/{judge}"
        rater = {"sampling_count": self.judge_samples, "autorater_model": judge}
        given = {"temperature": self.temperature, "max_output_tokens": self.max_output_tokens}
        answers = {name: value for name, value in given.items() if value is not None}
        return types.EvaluationConfig(
            metrics=[_metric(name) for name in self.metrics],
            output_config=types.OutputConfig(
                gcs_destination=types.GcsDestination(output_uri_prefix=self.output_uri or folder)
            ),
            autorater_config=types.AutoraterConfig(**rater) if any(rater.values()) else None,
            inference_generation_config=types.GenerationConfig(**answers) if answers else None,
        )


def _metric(metric: str | Judged) -> Any:
    from google.genai import types

    if isinstance(metric, Judged):
        spec = types.PointwiseMetricSpec(
            metric_prompt_template=metric.template, system_instruction=metric.system
        )
        return types.UnifiedMetric(pointwise_metric_spec=spec)
    if metric == "bleu":
        return types.UnifiedMetric(bleu_spec=types.BleuSpec())
    if metric == "exact_match":
        kind = types.ComputationBasedMetricType.EXACT_MATCH
        return types.UnifiedMetric(computation_based_metric_spec=types.ComputationBasedMetricSpec(type=kind))
    return types.UnifiedMetric(rouge_spec=types.RougeSpec(rouge_type=metric))
