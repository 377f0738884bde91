"""`vertex-tuning catalog`: what Vertex AI offers, since when, and who says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common

if TYPE_CHECKING:
    from vertex_tuning.catalog import BaseModel, Cell, Fit

_METHODS = ["supervised", "preference", "distillation", "reinforcement"]
_SAID = ("as of", "source")
_FIELDS = ("field", "value", *_SAID)
_Table = tuple[Sequence[str], Iterable[tuple[str, ...]], str]
"""Columns, rows, and what is said where there are none."""


@dataclass(frozen=True)
class _Wish:
    """What is asked for; None: anything."""

    method: str | None
    region: str | None
    mode: str | None
    adapter_size: int | None

    @property
    def anything(self) -> bool:
        return (self.method, self.region, self.mode, self.adapter_size) == (None, None, None, None)

    def fits(self, base: BaseModel) -> list[Fit]:
        """How a model answers to it, by each method that is meant."""
        from vertex_tuning import catalog

        methods = [self.method] if self.method else list(base.methods) or ["supervised"]
        return [
            catalog.fit(base.id, method, region=self.region, mode=self.mode, adapter_size=self.adapter_size)
            for method in methods
        ]


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    del context, parameter
    from vertex_tuning import catalog

    return [name for name in catalog.models() if name.startswith(incomplete)]


@click.command()
@click.argument("model", required=False, shell_complete=_complete)
@click.option("--method", type=click.Choice(_METHODS), help="Only what takes this way of tuning.")
@click.option("--region", help="Only what can be tuned there, such as europe-west4.")
@click.option("--mode", type=click.Choice(["adapter", "full"]), help="Only what takes this mode.")
@click.option("--adapter-size", type=int, help="Only what has adapters of this size.")
@click.option("--limits", is_flag=True, help="How much the service takes.")
@click.option("--prices", is_flag=True, help="USD per million training tokens, as far as they are known.")
@_common.json_option
def catalog(
    model: str | None,
    method: str | None,
    region: str | None,
    mode: str | None,
    adapter_size: int | None,
    limits: bool,
    prices: bool,
    as_json: bool,
) -> int:
    """Show what Vertex AI offers: models, ways of tuning, regions, adapter sizes.

    Nobody is asked: it is dated data that comes with this package. With MODEL, and with --json, every cell has its date and its
    source. What is asked for and not on offer is told with the nearest that is, and exit status 1.

    \b
    Example:
      vertex-tuning catalog gemini-2.5-flash --method preference
    """
    from vertex_tuning import catalog as known

    wish = _Wish(method, region, mode, adapter_size)
    bases = [known.base_model(model)] if model else list(known.models().values())
    found = bases
    if not wish.anything:
        answers = {base.id: wish.fits(base) for base in bases}
        found = [base for base in bases if any(fit.ok for fit in answers[base.id])]
        if not found:
            return _refuse([fit for fits in answers.values() for fit in fits], bool(model), as_json)
    methods = [name for name in _METHODS if method in (None, name) and _offered(name, found)]
    of = methods if model or method else list(known.limit_cells())
    if as_json:
        _common.print_json(_as_json(found, methods, of if limits else [], prices))
        return 0
    tables: list[_Table] = []
    if model:
        tables.append((_FIELDS, _fields(found[0]), ""))
    elif not (limits or prices):
        tables.append((_OVERVIEW, map(_overview, found), ""))
    if limits:
        tables.append((("of", "limit", "value", *_SAID), _limits(of), "No limits are published."))
    if prices:
        tables.append((("what", "of", "value", *_SAID), _prices(found, methods), ""))
    for number, (columns, rows, empty) in enumerate(tables):
        if number:
            click.echo()
        # All regions of a model are one cell: nobody reads a line of that length.
        _common.print_table(columns, rows, empty=empty, wrapped=columns is _FIELDS)
    return 0


def _offered(method: str, bases: Iterable[BaseModel]) -> bool:
    return any(method in base.methods for base in bases)


def _refuse(fits: Sequence[Fit], of_one_model: bool, as_json: bool) -> int:
    """Say no: why, since when, and what is nearest."""
    from vertex_tuning.errors import SpecError

    # Where the model is not the trouble, the answer is nearer.
    fit = min(fits, key=lambda fit: (fit.nearest.model != fit.asked.model, len(fit.faults)))
    what = f"not on offer: {fit.asked}" if of_one_model else "no model offers that"
    error = SpecError("VT372", what, fix=f"the nearest on offer: {fit.nearest}", faults=fit.faults)
    if as_json:
        _common.print_json_line({**error.to_json(), "nearest": fit.nearest.to_json()})
    else:
        _common.say(str(error))
    return 1


# For people

_OVERVIEW = ("model", "tuning", "modes", "adapter sizes", "regions", "tokens", "CMEK", "as of")


def _overview(base: BaseModel) -> tuple[str, ...]:
    from vertex_tuning import catalog as known

    dates = [cell.date for cell in known.cells(base.id).values() if cell.source.kind != "assumption"]
    if not base.methods:
        return (base.id, "teaches only", "", "", "", "", "", str(min(dates)))
    regions = " ".join(base.regions) if len(base.regions) < 3 else f"{len(base.regions)} regions"
    return (
        base.id,
        ", ".join(base.methods) + (" (retired)" if base.retired else ""),
        " ".join(base.modes),
        " ".join(map(str, base.adapter_sizes)),
        regions,
        f"{base.max_tokens:,}",
        _shown(base.cmek),
        str(min(dates)),
    )


def _fields(base: BaseModel) -> Iterator[tuple[str, ...]]:
    from vertex_tuning import catalog as known

    for name, cell in known.cells(base.id).items():
        yield (name.replace("_", " "), _shown(cell.value), *_said(cell))


def _limits(of: Sequence[str]) -> Iterator[tuple[str, ...]]:
    from vertex_tuning import catalog as known

    for kind in (kind for kind in of if kind in known.limit_cells()):
        for name, cell in known.limit_cells()[kind].items():
            yield (kind.replace("_", " "), name.replace("_", " "), _shown(cell.value), *_said(cell))


def _prices(bases: Iterable[BaseModel], methods: Sequence[str]) -> Iterator[tuple[str, ...]]:
    from vertex_tuning import catalog as known

    bases = [base for base in bases if base.methods]
    for base in bases:
        for method in (name for name in methods if name in base.methods):
            cell = known.price(base.id, method)
            yield (
                f"{known.tuning(method)}, USD per million tokens",
                base.id,
                _money(cell.value),
                *_said(cell),
            )
    for base in bases:
        cell = known.inference_factor(base.id)
        factor = "unknown" if cell.value is None else f"x {cell.value:g}"
        yield ("tuned answers, against the base model", base.id, factor, *_said(cell))
    if not all(base.open for base in bases):
        cell = known.batch_discount()
        yield ("batch inference, saves", "Gemini", f"{cell.value:.0%}", *_said(cell))
    for method in methods:
        cell = known.counted(method)
        yield ("tokens that are counted", known.tuning(method), cell.value, *_said(cell))


def _money(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | dict):
        return " ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _said(cell: Cell) -> tuple[str, str]:
    source = cell.source
    words = source.title if source.kind == "documentation" else f"{source.title} ({source.kind})"
    return str(cell.date), f"{words}. {cell.note}" if cell.note else words


# For machines


def _as_json(
    bases: Sequence[BaseModel], methods: Sequence[str], limits: Sequence[str], prices: bool
) -> dict[str, Any]:
    from vertex_tuning import catalog as known

    found: dict[str, Any] = {
        "models": {base.id: {"title": base.title, **_cells(known.cells(base.id))} for base in bases}
    }
    if limits:
        found["limits"] = {
            kind: _cells(cells) for kind, cells in known.limit_cells().items() if kind in limits
        }
    if prices:
        tuned = [base for base in bases if base.methods]
        found["prices"] = {
            "currency": "USD",
            "per_million_training_tokens": {
                method: _cells(
                    {base.id: known.price(base.id, method) for base in tuned if method in base.methods}
                )
                for method in methods
            },
            "inference_factor": _cells({base.id: known.inference_factor(base.id) for base in tuned}),
            "batch_discount": known.batch_discount().to_json(),
            "counted": _cells({method: known.counted(method) for method in methods}),
        }
    return found


def _cells(cells: dict[str, Cell]) -> dict[str, Any]:
    return {name: cell.to_json() for name, cell in cells.items()}
