"""`evaluationConfig`: what a job measures of its checkpoints when it has trained.

Here it is read and checked; `evaluating.py` does it.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs.served import ServedModel
from vertex_tuning.emulator.serving import request as serving
from vertex_tuning.emulator.status import ApiError
from vertex_tuning.metrics import AGGREGATIONS, ROUGE_TYPES

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

RESPONSE, REFERENCE, BASELINE = "response", "reference", "baseline_model_response"
"""Names in a template: the tuned model's answer, the answer in the row, the answer of what the job started from."""
PROMPT = ("prompt", "request")
NAMES = (*PROMPT, RESPONSE, REFERENCE, BASELINE)
OUTPUT = "output_config.gcs_destination.output_uri_prefix"
"""The field of the folder for the results."""
EXACT_MATCH, BLEU, ROUGE, POINTWISE, PAIRWISE = "exact_match", "bleu", "rouge", "pointwise", "pairwise"

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")
_FOLDER = re.compile(r"gs://[^/]+(/.*)?")
_AUTORATER = re.compile(r"projects/[^/]+/locations/[^/]+/(publishers/[^/]+/models/[^/]+|endpoints/[^/]+)")
_COMPUTED = (
    "exact match, BLEU and ROUGE, and pointwise and pairwise metrics with a template, by its own models"
)
_NOT_SERVED = {
    "llmBasedMetricSpec": "LLM-based metrics with rubrics and parsers (a template goes into pointwiseMetricSpec)",
    "customCodeExecutionSpec": "metrics by code",
    "predefinedMetricSpec": "Google's predefined metrics",
    "stepBasedLlmMetricSpec": "metrics in steps",
}
_TYPES = ("EXACT_MATCH", "BLEU", "ROUGE")
_USUAL_ROUGE = "rougeL"
_SERVED = (
    "exactMatchSpec",
    "bleuSpec",
    "rougeSpec",
    "computationBasedMetricSpec",
    "pointwiseMetricSpec",
    "pairwiseMetricSpec",
)

Fault = tuple[str, str, str]
"""(rule, field below `evaluation_config`, what is wrong)."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What is measured of every row."""

    name: str
    """In the results."""
    kind: str
    """`exact_match`, `bleu`, `rouge`, `pointwise` or `pairwise`."""
    aggregations: tuple[str, ...]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Of `metrics.bleu`, or of `metrics.rouge`."""
    template: str = ""
    """What the judge is asked."""
    system: str = ""
    raw: bool = False
    """Whether what the judge says is kept as it is, and no score read out of it."""
    against: str = BASELINE
    """Of a pairwise metric: whose answer the tuned model's is held against."""
    named: bool = False
    """Whether both answers were named in the request: they change places for half of the samples then."""


def metrics(config: dict[str, Any]) -> list[Metric]:
    """The metrics of a configuration that was checked."""
    found: list[Metric] = []
    taken: Counter[str] = Counter()
    for given in config["metrics"]:
        kind, spec = _kind(given), given.get("pointwiseMetricSpec") or given.get("pairwiseMetricSpec") or {}
        name = given.get("metadata", {}).get("title") or kind
        taken[name] += 1
        usual = ("MODE",) if kind == PAIRWISE else ("AVERAGE",)
        found.append(
            Metric(
                name=f"{name} ({taken[name]})" if taken[name] > 1 else name,
                kind=kind,
                aggregations=tuple(dict.fromkeys(given.get("aggregationMetrics", ()))) or usual,
                options=_options(kind, given),
                template=spec.get("metricPromptTemplate", ""),
                system=spec.get("systemInstruction", ""),
                raw=bool(spec.get("customOutputFormatConfig", {}).get("returnRawOutput")),
                against=spec.get("baselineResponseFieldName") or BASELINE,
                named=bool(spec.get("baselineResponseFieldName") and spec.get("candidateResponseFieldName")),
            )
        )
    return found


def fill(template: str, values: dict[str, str]) -> str:
    """A template with what stands for its names; other braces, such as those of JSON, stay as they are."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1] or found[2], found[0]), template)


def names(template: str) -> set[str]:
    """The names in a template."""
    return {found[1] or found[2] for found in _PLACEHOLDER.finditer(template)}


def _kind(metric: dict[str, Any]) -> str:
    if "pairwiseMetricSpec" in metric:
        return PAIRWISE
    if "pointwiseMetricSpec" in metric:
        return POINTWISE
    by_type = metric.get("computationBasedMetricSpec", {}).get("type", "")
    if "bleuSpec" in metric or by_type == "BLEU":
        return BLEU
    return ROUGE if "rougeSpec" in metric or by_type == "ROUGE" else EXACT_MATCH


def _options(kind: str, metric: dict[str, Any]) -> dict[str, Any]:
    if kind == BLEU:
        return {"effective_order": bool(metric.get("bleuSpec", {}).get("useEffectiveOrder"))}
    if kind != ROUGE:
        return {}
    spec = metric.get("rougeSpec", {})
    return {
        "kind": spec.get("rougeType") or _USUAL_ROUGE,
        "stem": bool(spec.get("useStemmer")),
        "split": bool(spec.get("splitSummaries")),
    }


# Checking


def faults(emulator: Emulator, config: dict[str, Any], base: catalog.BaseModel) -> Iterator[Fault]:
    """Everything that is wrong with a configuration, but for the bucket that it writes to."""
    if not config.get("metrics"):
        yield "VT682", "metrics", "metrics is required: at least one."
    for index, metric in enumerate(config.get("metrics", ())):
        for rule, field, text in _metric(metric):
            yield rule, f"metrics[{index}].{field}" if field else f"metrics[{index}]", text
    if config.get("datasetCustomMetrics"):
        yield "VT681", "dataset_custom_metrics", _refusal("aggregations by code")
    uri = output(config)
    if not uri:
        yield "VT682", OUTPUT, "output_uri_prefix is required: gs://BUCKET/FOLDER."
    elif not is_folder(uri):
        yield "VT682", OUTPUT, f"'{uri}' should be a Cloud Storage folder: gs://BUCKET/FOLDER."
    yield from _generation(
        config.get("inferenceGenerationConfig"), "inference_generation_config", emulator, base
    )
    yield from _autorater(emulator, config.get("autoraterConfig", {}), base)


def output(config: dict[str, Any]) -> str:
    """The folder for the results."""
    return str(config.get("outputConfig", {}).get("gcsDestination", {}).get("outputUriPrefix", ""))


def is_folder(uri: str) -> bool:
    """Whether it names a folder in Cloud Storage."""
    return _FOLDER.fullmatch(uri) is not None


def _refusal(what: str) -> str:
    return f"The emulator does not compute {what}. It computes {_COMPUTED}."


def _metric(metric: dict[str, Any]) -> Iterator[Fault]:
    given = next((name for name in (*_NOT_SERVED, *_SERVED) if name in metric), "")
    field = re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", given)
    spec = metric.get(given, {})
    if not given:
        yield "VT682", "metric_spec", f"A metric needs a spec. The emulator computes {_COMPUTED}."
        return
    if given in _NOT_SERVED:
        yield "VT681", field, _refusal(_NOT_SERVED[given])
        return
    if given == "computationBasedMetricSpec" and spec.get("type") not in _TYPES:
        yield "VT682", f"{field}.type", f"type is required: {', '.join(_TYPES)}."
    kind = spec.get("rougeType", "")
    if given == "rougeSpec" and kind and not ROUGE_TYPES.fullmatch(kind):
        yield "VT682", f"{field}.rouge_type", f"'{kind}' is none of rouge1 to rouge9, rougeL and rougeLsum."
    asked = metric.get("aggregationMetrics", ())
    able = ("MODE",) if given == "pairwiseMetricSpec" else AGGREGATIONS
    if strange := [name for name in asked if name not in able]:
        text = f"{', '.join(strange)}: not supported for this metric; it has {', '.join(able)}."
        yield "VT682", "aggregation_metrics", text
    if given in ("pointwiseMetricSpec", "pairwiseMetricSpec"):
        for rule, name, text in _template(spec, pairwise=given == "pairwiseMetricSpec"):
            yield rule, f"{field}.{name}", text


def _template(spec: dict[str, Any], *, pairwise: bool) -> Iterator[Fault]:
    template = spec.get("metricPromptTemplate", "")
    if not template.strip():
        yield "VT682", "metric_prompt_template", "metric_prompt_template is required."
        return
    needed = {RESPONSE}
    if pairwise:
        against = spec.get("baselineResponseFieldName") or BASELINE
        if (candidate := spec.get("candidateResponseFieldName") or RESPONSE) != RESPONSE:
            text = f"'{candidate}' is no answer that is judged: the tuned model's is called {RESPONSE}."
            yield "VT682", "candidate_response_field_name", text
        if against not in (BASELINE, REFERENCE):
            text = (
                f"'{against}' is no answer to compare with: {BASELINE} is that of what the job started from, "
                f"{REFERENCE} the one in the validation set."
            )
            yield "VT682", "baseline_response_field_name", text
        else:
            needed.add(against)
    found = names(template)
    if unknown := sorted(found - {*NAMES}):
        text = f"{', '.join(f'{{{name}}}' for name in unknown)}: a row has {', '.join(f'{{{name}}}' for name in NAMES)}."
        yield "VT682", "metric_prompt_template", text
    elif missing := sorted(needed - found):
        text = f"It lacks {' and '.join(f'{{{name}}}' for name in missing)}: the judge would not see what it is to judge."
        yield "VT682", "metric_prompt_template", text


def _generation(
    config: dict[str, Any] | None, field: str, emulator: Emulator, base: catalog.BaseModel
) -> Iterator[Fault]:
    """What the serving process would refuse in every single row is refused at once."""
    if not config:
        return
    stand_in = catalog.stand_in_for(base, emulator.settings.stand_in)
    body = {"contents": [{"role": "user", "parts": [{"text": "."}]}], "generationConfig": config}
    try:
        serving.order(ServedModel(Path(), None, base.id, stand_in), body, stream=False)
    except ApiError as error:
        yield "VT682", field, error.message


def _autorater(emulator: Emulator, config: dict[str, Any], base: catalog.BaseModel) -> Iterator[Fault]:
    count, most = int(config.get("samplingCount", 0)), catalog.limits("reward_autorater")["max_samples"]
    if "samplingCount" in config and not 1 <= count <= most:
        yield "VT682", "autorater_config.sampling_count", f"sampling_count must be between 1 and {most}."
    yield from _generation(
        config.get("generationConfig"), "autorater_config.generation_config", emulator, base
    )
    name = config.get("autoraterModel", "")
    if "/" not in name:
        return  # a bare name is taken, as Google's own tests show; whether there is such a judge, its first question shows
    field = "autorater_config.autorater_model"
    if not _AUTORATER.fullmatch(name):
        text = f"'{name}' is not a full name: projects/P/locations/L/publishers/google/models/M, or .../endpoints/E."
        yield "VT682", field, text
    elif emulator.settings.simulate is None:
        try:
            emulator.jobs.served(name)
        except ApiError as error:
            yield "VT682", field, error.message
