"""Every cell of the catalog has a date and a source; what is not known stays unknown."""

from __future__ import annotations

import datetime
import tomllib
from pathlib import Path

import pytest

from vertex_tuning import SpecError, catalog
from vertex_tuning.catalog import figures, sourced

FOLDER = Path(catalog.__file__).parent
MODELS = catalog.models()
TUNED = [name for name, model in MODELS.items() if model.methods]


def held(cell: catalog.Cell) -> None:
    assert cell.source.name in catalog.sources()
    assert datetime.date(2026, 1, 1) < cell.date <= datetime.date.today()
    assert cell.source.kind in catalog.KINDS
    assert cell.source.title


@pytest.mark.parametrize("model", MODELS)
def test_every_cell_of_a_model_has_a_date_and_a_source(model):
    found = catalog.cells(model)
    for cell in found.values():
        held(cell)
    assert set(catalog.METHODS) <= set(found)
    base = MODELS[model]
    assert [name for name in catalog.METHODS if found[name].value] == list(base.methods)
    wanted = {"adapter_sizes", "modes", "regions", "serving", "max_tokens", "cmek", "thinking"}
    assert (wanted <= set(found)) == bool(base.methods)
    assert ("retired" in found) == base.retired
    for name in wanted & set(found):
        assert found[name].value == getattr(base, name)


@pytest.mark.parametrize("of", catalog.limit_cells())
def test_every_limit_has_a_date_and_a_source(of):
    assert {name: cell.value for name, cell in catalog.limit_cells()[of].items()} == catalog.limits(of)
    for cell in catalog.limit_cells()[of].values():
        held(cell)


@pytest.mark.parametrize("model", TUNED)
def test_every_price_has_a_date_and_a_source_and_an_unknown_one_is_not_0(model):
    for method in MODELS[model].methods:
        cell = catalog.price(model, method)
        held(cell)
        assert cell.value is None or cell.value > 0
        assert (cell.value is None) == (cell.source.kind == "nothing found")
        # Nobody here has read Google's own table.
        assert cell.source.kind in ("third party", "nothing found")
    held(catalog.inference_factor(model))


def test_what_is_known_of_prices_and_what_is_not():
    assert catalog.price("gemini-2.5-flash", "supervised").value == 5.0
    assert catalog.price("gemini-2.5-flash", "preference").value == 5.0
    assert catalog.price("gemini-3.5-flash", "reinforcement").value is None
    assert catalog.price("qwen/qwen3-5@qwen3.5-9b", "supervised").value is None
    assert catalog.inference_factor("gemini-3.5-flash").value == 1.5
    assert catalog.inference_factor("gemini-2.5-flash").value == 1.0
    assert catalog.inference_factor("qwen/qwen3@qwen3-4b").value is None
    assert catalog.batch_discount().value == 0.5
    held(catalog.batch_discount())
    for method in catalog.METHODS:
        held(catalog.counted(method))


def test_a_price_is_of_a_model_and_a_method_that_there_are():
    for method, prices in catalog.training_prices().items():
        for model in prices:
            assert method in MODELS[model].methods, (method, model)
    with pytest.raises(SpecError) as caught:
        catalog.price("gemini-2.5-flash", "reinforcement")
    assert caught.value.rule == "VT302"
    assert "gemini-3.5-flash" in caught.value.fault.fix


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[supervised]\n"gemini-2.5-pro" = 25.0', "no source"),
        ('[supervised]\nsource = "hearsay"\n"gemini-2.5-pro" = 25.0', 'no source "hearsay"'),
        ('[supervised]\nsource = "prices-gemini"\n"gemini-2.5-pro" = 0', "0 is not a price"),
        ('[supervised]\nsource = "prices-gemini"\n"gemini-2.5-pro" = -1', "-1 is not a price"),
        ('[supervised]\nsource = "prices-gemini"\n"gemini-2.5-pro" = "25"', "'25' is not a price"),
    ],
)
def test_a_price_without_a_source_or_that_is_none_is_refused(text, words):
    with pytest.raises(SpecError) as caught:
        figures.training_prices_from(tomllib.loads(text))
    assert caught.value.rule == "VT371"
    assert words in caught.value.fault.what
    assert caught.value.fault.where == "prices.training.supervised.gemini-2.5-pro"
    assert caught.value.fault.fix


@pytest.mark.parametrize(
    ("change", "words"),
    [({"date": None}, "no date"), ({"date": "2026"}, "no date"), ({"kind": "a friend"}, "of no kind")],
)
def test_a_source_without_a_date_is_none(change, words):
    row = {"title": "A page", "page": "", "date": datetime.date(2026, 9, 25), "kind": "documentation"}
    assert sourced.source_from("page", row).date == row["date"]
    with pytest.raises(SpecError) as caught:
        sourced.source_from("page", {**row, **change})
    assert (caught.value.rule, caught.value.fault.where) == ("VT371", "sources.page")
    assert words in caught.value.fault.what


def used() -> set[str]:
    cells = [cell for model in MODELS for cell in catalog.cells(model).values()]
    cells += [cell for table in catalog.limit_cells().values() for cell in table.values()]
    cells += [catalog.price(model, method) for model in TUNED for method in MODELS[model].methods]
    cells += [catalog.inference_factor(model) for model in TUNED]
    cells += [catalog.batch_discount(), *(catalog.counted(method) for method in catalog.METHODS)]
    cells += [cell for model in MODELS for cell in catalog.answer_prices(model)]
    cells += [*catalog.text_tokens().values(), *catalog.assumed().values()]
    cells += [cell for model in MODELS.values() for cell in catalog.media_tokens(model.group).values()]
    cells += [item.price for item in catalog.upkeep()]
    cells += [*catalog.upkeep_sizes().values(), *catalog.machine_hours().values()]
    chips = [row["source"] for row in tomllib.loads((FOLDER / "hosts.toml").read_text())["chips"].values()]
    return (
        {cell.source.name for cell in cells}
        | {host.source.name for host in catalog.hosts().values()}
        | {*chips}
    )


def test_every_source_says_something():
    assert used() == set(catalog.sources())


def test_what_somebody_else_says_and_what_nobody_says_is_marked():
    for name, source in catalog.sources().items():
        assert source.page.startswith("https://") == (source.kind != "assumption"), name
        # A copy that bears no date has that of the day on which it was read, and says so.
        assert "read on that day" in source.note or "ndated" not in source.note, name
    assert "(third party)" in str(catalog.sources()["prices-open"])
    assert "(" not in str(catalog.sources()["supervised"])


def test_a_field_or_a_note_that_belongs_to_nothing_is_found():
    """A misspelt name in `sources` or `notes` would be passed over in silence."""
    data = tomllib.loads((FOLDER / "models.toml").read_text(encoding="utf-8"))
    fields = {name for model in MODELS for name in catalog.cells(model)}
    for name, row in [*data["groups"].items(), *data["models"].items()]:
        assert set(row.get("sources", {})) | set(row.get("notes", {})) <= fields, name
    for file in ("limits.toml", "prices.toml", "upkeep.toml"):
        found = tomllib.loads((FOLDER / file).read_text(encoding="utf-8"))
        tables = [table for table in found.values() if isinstance(table, dict)]
        tables += [inner for table in tables for inner in table.values() if isinstance(inner, dict)]
        for table in tables:
            for about in ("sources", "notes"):
                assert set(table.get(about, {})) <= set(sourced.figures(table)), (file, table)


def test_a_cell_can_be_asked_for_by_name():
    cell = catalog.cell("models/gemini-2.5-pro", "adapter_sizes")
    assert cell.value == (1, 2, 4, 8)
    assert cell.to_json() == {
        "value": [1, 2, 4, 8],
        "date": "2026-09-25",
        "source": cell.source.to_json(),
        "note": "",
    }
    with pytest.raises(KeyError):
        catalog.cell("gemini-2.5-pro", "colour")
    with pytest.raises(SpecError):
        catalog.cell("gemini-9", "modes")
