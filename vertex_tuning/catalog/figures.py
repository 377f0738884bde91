"""How much the service takes, and what it costs."""

from __future__ import annotations

from functools import cache
from typing import Any

from vertex_tuning.catalog.combinations import fit
from vertex_tuning.catalog.offers import METHODS, base_model
from vertex_tuning.catalog.sourced import Cell, cell_from, cells_from, figures, read
from vertex_tuning.errors import SpecError


@cache
def limits(method: str) -> dict[str, Any]:
    """Limits of a method (`supervised`), or of a kind of field (`labels`, `display_name`)."""
    return figures(read("limits.toml")[method])


@cache
def limit_cells() -> dict[str, dict[str, Cell]]:
    """Every limit with its date and source, by method or kind of field, then by name.

    Raises:
        SpecError: VT371, a limit has no source.
    """
    tables = {name: table for name, table in read("limits.toml").items() if isinstance(table, dict)}
    return {name: cells_from(table, f"limits.{name}") for name, table in tables.items()}


def price(model: str, method: str) -> Cell:
    """What a million training tokens cost, in USD; a value of None where no price is known, which is not the same as free.

    Raises:
        SpecError: VT301, the model is not in the catalog; VT302, it does not take this method; VT370, there is no such
            way of tuning.
    """
    found = fit(model, method)
    for fault in found.faults:
        raise SpecError(fault.rule, fault.what, where=fault.where, why=fault.why, fix=fault.fix)
    name = found.asked.model
    return training_prices()[method].get(name) or _unknown("training", f"{method}.{name}")


@cache
def training_prices() -> dict[str, dict[str, Cell]]:
    """USD per million training tokens, by method and model, as far as they are known.

    Raises:
        SpecError: VT371, a price has no source, or is no price.
    """
    return training_prices_from(read("prices.toml")["training"])


def training_prices_from(table: dict[str, Any]) -> dict[str, dict[str, Cell]]:
    """The table `training` of `prices.toml`, or of a list that is laid out like it.

    Raises:
        SpecError: VT371, a price has no source, or is no price.
    """
    found = {}
    for method in METHODS:
        found[method] = cells_from(table.get(method, {}), f"prices.training.{method}")
        for model, cell in found[method].items():
            if not isinstance(cell.value, int | float) or not cell.value > 0:
                raise SpecError(
                    "VT371",
                    f"{cell.value!r} is not a price",
                    where=f"prices.training.{method}.{model}",
                    why="What is not known is left out: it is not the same as free.",
                    fix="USD per million training tokens, more than 0",
                )
    return found


def inference_factor(model: str) -> Cell:
    """What a token of a tuned model costs, as a factor on its base model's price; None where that is not known.

    Raises:
        SpecError: VT301, the model is not in the catalog.
    """
    base = base_model(model)
    found = cells_from(read("prices.toml")["inference"], "prices.inference")
    return found.get(base.group) or _unknown("inference", base.group)


def batch_discount() -> Cell:
    """Share of the price that batch inference saves."""
    return cells_from(read("prices.toml")["batch"], "prices.batch")["discount"]


def answer_prices(model: str) -> tuple[Cell, Cell]:
    """USD per million tokens of what a base model is asked, and of what it answers; None where that is not known.

    Raises:
        SpecError: VT301, the model is not in the catalog.
    """
    name = base_model(model).id
    asked, answered = (
        cells_from(read("prices.toml")[table], f"prices.{table}").get(name) or _unknown(table, name)
        for table in ("asked", "answered")
    )
    return asked, answered


@cache
def text_tokens() -> dict[str, Cell]:
    """Characters per token."""
    return cells_from(read("tokens.toml")["text"], "tokens.text")


@cache
def media_tokens(group: str) -> dict[str, Cell]:
    """Tokens of a file, (least, most), for a group of models; one that is not known is taken for the newest."""
    tables = read("tokens.toml")["media"]
    name = group if group in tables else next(iter(tables))
    return _ranges(tables[name], f"tokens.media.{name}")


@cache
def assumed() -> dict[str, Cell]:
    """What an estimate goes by where nothing is said, (least, most)."""
    return _ranges(read("tokens.toml")["assumed"], "tokens.assumed")


def _ranges(table: dict[str, Any], where: str) -> dict[str, Cell]:
    return {
        name: Cell(tuple(cell.value), cell.source, cell.note)
        for name, cell in cells_from(table, where).items()
    }


def counted(method: str) -> Cell:
    """Which tokens of a job are paid for, in words."""
    return cells_from(read("prices.toml")["counted"], "prices.counted")[method]


def _unknown(table: str, where: str) -> Cell:
    return cell_from(None, read("prices.toml")[table].get("unknown"), f"prices.{table}.{where}")
