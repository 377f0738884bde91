"""Rebuild what is generated in the docs: the command reference, the rules, and tables between markers.

python scripts/docs.py            write
python scripts/docs.py --check    exit status 1 where something is stale
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from vertex_tuning import catalog, cli

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


def stand_ins() -> str:
    """The open models that stand in for Vertex AI's."""
    lines = ["| name | model | parameters | licence | weights |", "|---|---|---|---|---|"]
    for item in catalog.stand_ins().values():
        source = "in this package" if item.kind == "builtin" else ", ".join(p.name for p in item.packages[:1])
        licence = f"[{item.licence}]({item.licence_url})" if item.licence_url else item.licence
        lines.append(f"| `{item.name}` | {item.title} | {item.parameters:,} | {licence} | {source} |")
    return "\n".join(lines) + "\n"


def benchmarks() -> str:
    """What `make bench` measured last."""
    return (ROOT / "benchmarks" / "results.md").read_text(encoding="utf-8")


def learning() -> str:
    """What `benchmarks/learning.py` measured last."""
    return (ROOT / "benchmarks" / "learning.md").read_text(encoding="utf-8")


PAGES: dict[str, Callable[[], str]] = {"docs/commands.md": commands, "docs/rules.md": rules}
BLOCKS: dict[str, Callable[[], str]] = {
    "benchmarks": benchmarks,
    "learning": learning,
    "stand-ins": stand_ins,
}


def fresh() -> Iterator[tuple[Path, str]]:
    """Every file that has generated parts, as it should be."""
    for name, make in PAGES.items():
        yield ROOT / name, make()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        if str(path.relative_to(ROOT)) in PAGES:
            continue
        text = path.read_text(encoding="utf-8")
        yield path, _BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match['name']]()}{match[3]}", text)


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
