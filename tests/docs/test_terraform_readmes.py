"""The READMEs of terraform/: what they tell of inputs and outputs is what the sources say, and where they lead is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import docs, terraform_docs

ROOT = terraform_docs.ROOT
FOLDERS = [ROOT, *sorted(path for path in (ROOT / "modules").iterdir() if path.is_dir())]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT.parent))


@pytest.mark.parametrize("folder", FOLDERS, ids=relative)
def test_a_readme_names_every_input_and_output(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    for source, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
        names = re.findall(rf'^{kind} "(\w+)"', (folder / source).read_text(encoding="utf-8"), re.MULTILINE)
        assert names
        assert [name for name in names if f"\n| `{name}` |" not in text] == []


def test_every_readme_is_fresh():
    fresh = dict(docs.fresh())
    assert [
        path for path in terraform_docs.readmes() if fresh[path] != path.read_text(encoding="utf-8")
    ] == []


@pytest.mark.parametrize("path", terraform_docs.readmes(), ids=relative)
def test_a_link_of_a_readme_leads_somewhere(path):
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", path.read_text(encoding="utf-8")):
        found = path.parent / target if target else path
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings]


def test_a_table_tells_type_default_and_meaning(tmp_path):
    (tmp_path / "variables.tf").write_text(
        """
variable "bucket" {
  description = "Says \\"hello\\" to `ada`."
  type = object({
    age   = optional(number, 30)
    parts = optional(list(object({ name = string, of = string })), [])
  })
  default = {}
}

variable "many" {
  description = "By name."
  type        = map(object({ cron = string }))
}
""",
        encoding="utf-8",
    )
    assert terraform_docs.variables(tmp_path).splitlines()[2:] == [
        "| `bucket` | object:<br>`age = optional(number, 30)`<br>`parts = optional(list(object), [])` | `{}` "
        '| Says "hello" to `ada`. |',
        "| `many` | map of objects:<br>`cron = string` | required | By name. |",
    ]
