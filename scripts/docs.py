"""Rebuild what is generated: the command reference, the rules, the catalog, and tables between markers in docs and terraform/.

python scripts/docs.py            write
python scripts/docs.py --check    exit status 1 where something is stale
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from scripts import terraform_docs
from vertex_tuning import catalog, cli, doctor
from vertex_tuning.catalog import requirements
from vertex_tuning.catalog.upkeep import HOURS

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100
_BLOCK = re.compile(r"(<!-- begin (?P<name>[a-z-]+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


def commands() -> str:
    """Every command's help, as it prints it."""
    lines = [
        "# Commands",
        "",
        "What each command prints with `--help`. This page is generated: `make docs`.",
        "",
    ]
    for path, command in walk(cli.root, "vertex-tuning"):
        context = click.Context(command, info_name=path, terminal_width=WIDTH, max_content_width=WIDTH)
        lines += [f"## `{path}`", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(lines)


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, by the order of their names."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in sorted(command.list_commands(context)):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, f"{path} {name}")


def rules() -> str:
    """Every rule id, what it stands for and what to do."""
    lines = [
        "# Rules",
        "",
        "Every error carries a rule id. Its own text says what happened; here stands what the rule is for. Generated from",
        "`vertex_tuning/catalog/rules.toml`: `make docs`.",
        "",
    ]
    for name, rule in sorted(catalog.rules().items()):
        lines += [f"## {name}: {rule['title']}", "", rule["why"], "", f"**What to do:** {rule['fix']}", ""]
    return "\n".join(lines)


def offers() -> str:
    """Everything that the catalog says of Vertex AI, each cell with the number of its source."""
    return "\n".join(_Offers().page())


class _Offers:
    """The page of the catalog. Sources are numbered as they are met."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.noted: dict[tuple[str, str], list[str]] = {}

    def page(self) -> Iterator[str]:
        models = list(catalog.models().values())
        yield "# What Vertex AI offers"
        yield ""
        yield "Models, ways of tuning, regions, adapter sizes, limits and prices, as far as they are known. The number"
        yield "in brackets behind a cell leads to its source and date, at the end of this page; so does"
        yield "`vertex-tuning catalog`, which also names what is nearest where something is not on offer. Generated from"
        yield "`vertex_tuning/catalog/*.toml`: `make docs`."
        yield from self.section(
            "Gemini", self.models(model for model in models if model.methods and not model.open)
        )
        yield from self.section(
            "Open models", self.models(model for model in models if model.methods and model.open)
        )
        yield from self.section("Distillation", self.teachers())
        yield from self.section("Regions", self.regions())
        yield from self.section("Limits", self.limits())
        yield from self.section("Prices", self.prices())
        yield from self.section("Notes", self.notes())
        yield from self.section("Sources", self.sources())
        yield ""

    @staticmethod
    def section(title: str, lines: Iterable[str]) -> Iterator[str]:
        yield from ("", f"## {title}", "", *lines)

    def models(self, models: Iterable[catalog.BaseModel]) -> Iterator[str]:
        fields = [
            *catalog.METHODS,
            "modes",
            "adapter_sizes",
            "max_tokens",
            "cmek",
            "thinking",
            "serving",
            "retires",
        ]
        yield from _head(["model", *(name.replace("_", " ") for name in fields)])
        for model in models:
            cells = catalog.cells(model.id)
            self.note(model.id, cells)
            label = (
                f"`{model.id}`, retired [{self.number(cells['retired'])}]"
                if model.retired
                else f"`{model.id}`"
            )
            yield _row([label, *(self.cell(cells[name]) if name in cells else "" for name in fields)])

    def teachers(self) -> Iterator[str]:
        yield from _head(["student", "teachers"])
        for model in catalog.models().values():
            if model.teachers:
                yield _row([f"`{model.id}`", self.cell(catalog.cell(model.id, "teachers"))])
            elif model.teaches:
                self.note(model.id, catalog.cells(model.id))

    def regions(self) -> Iterator[str]:
        """Models that are tuned in the same regions, by the same source, share a row."""
        rows: dict[tuple[str, str], list[str]] = {}
        for model in catalog.models().values():
            cells = catalog.cells(model.id)
            for name in ("regions", *(f"{method}_regions" for method in model.method_regions)):
                if name in cells:
                    of = "" if name == "regions" else f", {catalog.tuning(name.removesuffix('_regions'))}"
                    key = (self.cell(cells[name]), model.group if not of else model.id)
                    rows.setdefault(key, []).append(f"`{model.id}`{of}")
        yield from _head(["tuned in", "models"])
        for (regions, _), names in rows.items():
            yield _row([regions, ", ".join(names)])

    def limits(self) -> Iterator[str]:
        yield from _head(["of", "limit", "value"])
        for of, cells in catalog.limit_cells().items():
            self.note(of, cells)
            for name, cell in cells.items():
                yield _row([of.replace("_", " "), name.replace("_", " "), self.cell(cell)])

    def prices(self) -> Iterator[str]:
        models = [model for model in catalog.models().values() if model.methods]
        yield "USD per million training tokens; `-`: not offered. What a tuned model answers costs its base model's price"
        yield "times the factor. What is known of prices here is a third party's copy: hold it against Google's own page"
        yield "before you spend by it."
        yield ""
        yield from _head(["model", *map(catalog.tuning, catalog.METHODS), "factor"])
        for model in models:
            prices = {method: catalog.price(model.id, method) for method in model.methods}
            self.note(model.id, {f"price of {catalog.tuning(name)}": cell for name, cell in prices.items()})
            factor = catalog.inference_factor(model.id)
            self.note(model.id, {"factor": factor})
            cells = [
                self.cell(prices[method], money=True) if method in prices else "-"
                for method in catalog.METHODS
            ]
            yield _row([f"`{model.id}`", *cells, self.cell(factor)])
        yield ""
        yield "What is counted:"
        yield ""
        for method in catalog.METHODS:
            self.note(method, {"what is counted": catalog.counted(method)})
            yield f"- {catalog.tuning(method)}: {self.cell(catalog.counted(method))}"
        yield ""
        self.note("Gemini", {"batch inference": catalog.batch_discount()})
        yield f"Batch inference saves this share of Gemini's price: {self.cell(catalog.batch_discount())}."

    def sources(self) -> Iterator[str]:
        yield from _head(["", "source", "date", "kind", "note"])
        yield from _source_rows(self.numbers)

    def notes(self) -> Iterator[str]:
        for (field, note), of in self.noted.items():
            groups = {catalog.models()[name].group for name in of if name in catalog.models()}
            whole = len(of) > 2 and len(groups) == 1
            names = f"{groups.pop()} models" if whole else ", ".join(f"`{name}`" for name in of)
            yield f"- {names}, {field}: {note}"

    def cell(self, cell: catalog.Cell, *, money: bool = False) -> str:
        return f"{f'{cell.value:.2f}' if money and cell.value else _plain(cell.value)} [{self.number(cell)}]"

    def number(self, cell: catalog.Cell) -> int:
        return self.numbers.setdefault(cell.source.name, len(self.numbers) + 1)

    def note(self, of: str, cells: dict[str, catalog.Cell]) -> None:
        for name, cell in cells.items():
            if cell.note:
                self.noted.setdefault((name.replace("_", " "), cell.note), []).append(of)


def _source_rows(numbers: dict[str, int]) -> Iterator[str]:
    for name, number in numbers.items():
        source = catalog.sources()[name]
        title = f"[{source.title}]({source.page})" if source.page else source.title
        yield _row([f"{number}", title, str(source.date), source.kind, source.note])


def _head(columns: Sequence[str]) -> Iterator[str]:
    yield _row(columns)
    yield "|" + "---|" * len(columns)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | dict):
        names = [f"`{item}`" if "/" in str(item) else str(item) for item in value]
        return ", ".join(names) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def stand_ins() -> str:
    """The open models that stand in for Vertex AI's."""
    lines = ["| name | model | parameters | licence | weights |", "|---|---|---|---|---|"]
    for item in catalog.stand_ins().values():
        source = "in this package" if item.kind == "builtin" else ", ".join(p.name for p in item.packages[:1])
        licence = f"[{item.licence}]({item.licence_url})" if item.licence_url else item.licence
        lines.append(f"| `{item.name}` | {item.title} | {item.parameters:,} | {licence} | {source} |")
    return "\n".join(lines) + "\n"


def seeds() -> str:
    """What a seed of the emulator can say of each kind of resource."""
    from vertex_tuning.emulator.project.given import KINDS, SETTINGS

    lines = [
        "| table | of a | named by a setting, or as | entries, and what holds without them |",
        "|---|---|---|---|",
    ]
    for name, kind in KINDS.items():
        settings = ", ".join(f"`{setting}`" for setting, of in SETTINGS.items() if of == name)
        entries = ["`exists`: true", *(f"`{field}`: {_entry(value)}" for field, value in kind.fields.items())]
        lines.append(_row([f"`{name}`", kind.title, f"{settings}; `{kind.example}`", "; ".join(entries)]))
    return "\n".join(lines) + "\n"


def _entry(value: Any) -> str:
    if isinstance(value, tuple):
        return f"{value[0]}, or {', '.join(value[1:])}"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if value else "none"


def benchmarks() -> str:
    """What `make bench` measured last."""
    return (ROOT / "benchmarks" / "results.md").read_text(encoding="utf-8")


def learning() -> str:
    """What `benchmarks/learning.py` measured last."""
    return (ROOT / "benchmarks" / "learning.md").read_text(encoding="utf-8")


def gpu() -> str:
    """What `benchmarks/gpu.py` measured last."""
    return (ROOT / "benchmarks" / "gpu.md").read_text(encoding="utf-8")


def rlhf() -> str:
    """What `benchmarks/rlhf.py` measured last."""
    return (ROOT / "benchmarks" / "rlhf.md").read_text(encoding="utf-8")


def step_by_step() -> str:
    """What `benchmarks/step_by_step.py` measured last."""
    return (ROOT / "benchmarks" / "step_by_step.md").read_text(encoding="utf-8")


def checks() -> str:
    """What `doctor` looks at."""
    lines = [*_head(["check", "what is looked at", "rules"])]
    for check in doctor.CHECKS:
        names = (f"[{rule}](rules.md#{_anchor(rule)})" for rule in check.rules)
        lines.append(_row([check.name, check.looks, " ".join(names)]))
    return "\n".join(lines) + "\n"


def _anchor(rule: str) -> str:
    """Of a rule's heading, as GitHub makes it."""
    words = f"{rule}: {catalog.rules()[rule]['title']}".lower()
    return re.sub(r"[^\w -]", "", words).replace(" ", "-")


def looking() -> str:
    """By which roles one may look at what."""
    roles: dict[str, list[str]] = {}
    for service, role in requirements.all_looking().items():
        roles.setdefault(role, []).append("who has which role" if service == "policies" else f"`{service}`")
    lines = [*_head(["role", "what it shows"])]
    lines += [_row([f"`{role}`", ", ".join(services)]) for role, services in roles.items()]
    return "\n".join(lines) + "\n"


def terraform_costs() -> str:
    """What a project that terraform/ made costs at rest, for a small team: with what is always there, and with everything."""
    return "\n".join([*_Upkeep().block(), ""])


class _Upkeep:
    """The table of what a project costs at rest. Sources are numbered as they are met."""

    def __init__(self) -> None:
        self.cells = catalog.upkeep_sizes()
        self.sizes = {name: float(cell.value) for name, cell in self.cells.items()}
        self.numbers: dict[str, int] = {}

    def block(self) -> Iterator[str]:
        items = catalog.upkeep()
        yield from _head(
            ["what is paid for", "input", "assumed", "price of a month, USD", "by default", "all on"]
        )
        yield from map(self.row, items)
        by_default = self.total(item for item in items if not item.input)
        yield _row(["**in all**, but for what is unknown", "", "", "", by_default, self.total(items)])
        yield ""
        yield f"Prices of {catalog.upkeep_region()}. Tuning, answers, requests and traffic come on top."
        yield ""
        for item in items:
            notes = [item.price.note, *(self.cells[name].note for name in item.sizes)]
            if any(notes):
                yield f"- {item.title}: {' '.join(filter(None, notes))}"
        yield ""
        yield "A model that is left on an endpoint is not at rest, and costs most of all that is forgotten:"
        yield ""
        yield from map(self.machine, catalog.machine_hours(), catalog.machine_hours().values())
        yield ""
        yield from _head(["", "source", "date", "kind", "note"])
        yield from _source_rows(self.numbers)

    def row(self, item: catalog.Upkeep) -> str:
        each = {None: "unknown", 0: "nothing"}.get(
            item.price.value, f"{item.price.value or 0:.2f} for {item.measure}"
        )
        free = f", {item.free:g} free" if item.free else ""
        usd = item.usd(self.sizes)
        cost = "unknown" if usd is None else f"{usd:,.2f}"
        name = f"`{item.input}`" if item.input else ""
        price = f"{each}{free} {self.number(item.price)}"
        return _row([item.title, name, item.amount(self.sizes), price, "" if item.input else cost, cost])

    def total(self, items: Iterable[catalog.Upkeep]) -> str:
        return f"**{sum(item.usd(self.sizes) or 0 for item in items):,.2f}**"

    def machine(self, name: str, hour: catalog.Cell) -> str:
        cost = "no price was found"
        if hour.value is not None:
            cost = f"US${hour.value:.2f} an hour, US${hour.value * HOURS:,.0f} a month"
        return f"- {name}: {cost} {self.number(hour)}{f'. {hour.note}' if hour.note else ''}"

    def number(self, cell: catalog.Cell) -> str:
        return f"[{self.numbers.setdefault(cell.source.name, len(self.numbers) + 1)}]"


PAGES: dict[str, Callable[[], str]] = {
    "docs/catalog.md": offers,
    "docs/commands.md": commands,
    "docs/rules.md": rules,
}
BLOCKS: dict[str, Callable[[], str]] = {
    "benchmarks": benchmarks,
    "doctor-checks": checks,
    "doctor-roles": looking,
    "gpu": gpu,
    "learning": learning,
    "rlhf": rlhf,
    "seeds": seeds,
    "stand-ins": stand_ins,
    "step-by-step": step_by_step,
    "terraform-costs": terraform_costs,
}


def fresh() -> Iterator[tuple[Path, str]]:
    """Every file that has generated parts, as it should be."""
    for name, make in PAGES.items():
        yield ROOT / name, make()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *terraform_docs.readmes()]:
        if str(path.relative_to(ROOT)) not in PAGES:
            yield path, _filled(path.read_text(encoding="utf-8"), BLOCKS | terraform_docs.blocks(path.parent))


def _filled(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    return _BLOCK.sub(lambda match: f"{match[1]}{blocks[match['name']]()}{match[3]}", text)


def main() -> int:
    """Write, or check."""
    stale = []
    for path, text in fresh():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path)
            if sys.argv[1:] != ["--check"]:
                path.write_text(text, encoding="utf-8")
    if sys.argv[1:] == ["--check"] and stale:
        print("stale, run `make docs`:", *(str(path.relative_to(ROOT)) for path in stale))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
