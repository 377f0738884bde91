"""Compiled pipelines: those that come with this package, and anybody's YAML; what they take, checked before anything is sent."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from vertex_tuning.errors import Fault, PipelineError

IMAGE = "registry.invalid/vertex-tuning"
"""What the steps of our pipelines run in, until somebody says where they keep it: a name that nobody can own."""
TARGETS = ("vertex", "kubeflow")
_PACKAGE = Path(__file__).parent / "compiled"
_CHECKOUT = Path(__file__).parents[2] / "pipelines" / "compiled"
_DATA = "data"
_URI = "gs:// URI"

_KINDS: dict[str, tuple[str, tuple[type, ...]]] = {
    "STRING": ("a text", (str,)),
    "NUMBER_INTEGER": ("a whole number", (int,)),
    "NUMBER_DOUBLE": ("a number", (int, float)),
    "BOOLEAN": ("true or false", (bool,)),
    "LIST": ("a list", (list, tuple)),
    "STRUCT": ("an object", (dict,)),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a pipeline is told."""

    name: str
    kind: str
    """`STRING`, `NUMBER_INTEGER`, `NUMBER_DOUBLE`, `BOOLEAN`, `LIST` or `STRUCT`."""
    default: Any = None
    """None: it has none, and must be given."""
    description: str = ""

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is None

    @property
    def is_data(self) -> bool:
        """Whether it names data: by its own name (`training_data`), or because it says that it takes `a gs:// URI`.

        A file that is given for it is uploaded, and its URI is sent.
        """
        named = self.name == _DATA or self.name.endswith(f"_{_DATA}")
        return self.kind == "STRING" and (named or _URI in self.description)

    def typed(self, value: Any) -> Any:
        """The value as the pipeline takes it.

        Args:
            value: Of its kind; or, for all kinds but texts, a text that says it, as a command line has it.

        Raises:
            ValueError: It is none.
        """
        if isinstance(value, str) and self.kind != "STRING":
            value = _spoken(value, self.kind)
        words, kinds = _KINDS.get(self.kind, ("", (object,)))
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            whole = self.kind == "NUMBER_INTEGER" and isinstance(value, float) and value.is_integer()
            if not whole:
                raise ValueError(words)
        if self.kind == "NUMBER_INTEGER":
            return int(value)
        if self.kind == "NUMBER_DOUBLE":
            if not math.isfinite(value):
                raise ValueError("a finite number")
            return float(value)
        return list(value) if self.kind == "LIST" else value

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        given = {} if self.required else {"default": self.default}
        return {"name": self.name, "kind": self.kind, **given, "description": self.description}


@dataclass(frozen=True)
class Compiled:
    """A compiled pipeline."""

    spec: dict[str, Any] = field(repr=False)
    """The pipeline, as a compiled YAML has it."""
    source: str
    """The file that it was read from, or its address in a registry."""
    platform: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """Further documents of the file, which no service but some Kubeflow takes."""

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def description(self) -> str:
        """What it is for."""
        return str(self.spec["pipelineInfo"].get("description", ""))

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """What it takes: those that must be given first."""
        given = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        found = [_parameter(name, about) for name, about in given.items()]
        return {one.name: one for one in sorted(found, key=lambda one: (not one.required, one.name))}

    @property
    def steps(self) -> list[str]:
        """The names of the steps, in an order in which they can run; those of groups (conditions, loops...) among them."""
        return list(_steps(self.spec, self.spec["root"]))

    @cached_property
    def titles(self) -> dict[str, str]:
        """What steps and groups are called for people, by the names that runs know them by."""
        return {key: str(task.get("taskInfo", {}).get("name", key)) for key, task in _tasks(self.spec)}

    @cached_property
    def groups(self) -> frozenset[str]:
        """Names, as runs have them, of what holds steps: conditions, loops, exit handlers."""
        components = self.spec["components"]
        return frozenset(
            key
            for key, task in _tasks(self.spec)
            if "dag" in components.get(task.get("componentRef", {}).get("name"), {})
        )

    @property
    def needs_image(self) -> bool:
        """Whether steps run in our image, of which nobody has said yet where it is kept."""
        executors = self.spec["deploymentSpec"]["executors"].values()
        return any(_is_ours(executor.get("container", {})) for executor in executors)

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Hold parameters against what the pipeline takes; gives them typed, without those that were left out.

        Raises:
            PipelineError: VT732 no such parameter, VT733 one is missing, VT734 one is of another kind; VT735 several of these.
        """
        faults: list[Fault] = []
        typed: dict[str, Any] = {}
        for name, value in values.items():
            if name not in self.parameters:
                near = difflib.get_close_matches(name, self.parameters, n=1)
                fix = (
                    f"do you mean {near[0]}?" if near else f"it takes: {', '.join(self.parameters) or 'none'}"
                )
                faults.append(Fault("VT732", f"{self.name} takes no such parameter", name, fix=fix))
                continue
            try:
                typed[name] = self.parameters[name].typed(value)
            except ValueError as error:
                what = f"{json.dumps(value, default=str)} is not {error}"
                faults.append(Fault("VT734", what, name, self.parameters[name].description))
        for name, parameter in self.parameters.items():
            if parameter.required and name not in values:
                fix = f"--parameter {name}=..."
                faults.append(Fault("VT733", "it must be given", name, parameter.description, fix))
        raise_all(faults, "VT735", f"{self.name} cannot be started")
        return typed

    def prepared(self, *, image: str = "", environment: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The spec for a place: our image by the name that it has there, and variables for every step.

        Args:
            image: In place of ours; steps in other images keep theirs.
            environment: For each step in an image of ours; what a step sets itself comes first.
        """
        spec: dict[str, Any] = json.loads(json.dumps(self.spec))
        for executor in spec["deploymentSpec"]["executors"].values():
            container = executor.get("container", {})
            if not _is_ours(container):
                continue
            container["image"] = image or container["image"]
            own = container.get("env", [])
            names = {one["name"] for one in own}
            more = [
                {"name": key, "value": value}
                for key, value in (environment or {}).items()
                if key not in names
            ]
            if own or more:
                container["env"] = [*own, *more]
        return spec

    def to_json(self) -> dict[str, Any]:
        """As a JSON object: what there is to know before it is started."""
        return {
            "name": self.name,
            "description": self.description,
            "source": self.source,
            "parameters": [one.to_json() for one in self.parameters.values()],
            "steps": self.steps,
        }


def names() -> list[str]:
    """The pipelines that come with this package."""
    return sorted(path.stem for path in (_folder() / TARGETS[0]).glob("*.yaml"))


def load(pipeline: str, *, target: str = "vertex") -> Compiled:
    """A compiled pipeline: one of ours by its name, or any by its file.

    Args:
        pipeline: `supervised`..., or the path of a YAML or JSON file.
        target: What ours was compiled for: `vertex` or `kubeflow`.

    Raises:
        PipelineError: VT730 there is none, VT731 the file is no compiled pipeline.
    """
    path = Path(pipeline)
    if path.suffix == ".py":
        what, fix = (
            "this is a pipeline's source, not what it compiles to",
            f"vertex-tuning pipeline compile {path}",
        )
        raise PipelineError("VT730", what, where=pipeline, fix=fix)
    if path.suffix in (".yaml", ".yml", ".json") or len(path.parts) > 1:
        return read(path)
    if pipeline not in names():
        near = difflib.get_close_matches(pipeline, names(), n=1)
        fix = (
            f"do you mean {near[0]}?" if near else f"one of: {', '.join(names())}; or the path of a YAML file"
        )
        raise PipelineError("VT730", f'there is no pipeline "{pipeline}"', where="pipeline", fix=fix)
    return read(_folder() / target / f"{pipeline}.yaml")


def read(path: Path) -> Compiled:
    """A compiled pipeline from its file.

    Raises:
        PipelineError: VT730 there is no such file, VT731 it is no compiled pipeline.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise PipelineError("VT730", "there is no such file", where=str(path)) from error
    except OSError as error:
        raise PipelineError("VT731", f"it cannot be read: {error}", where=str(path)) from error
    return parsed(text, str(path))


def parsed(text: bytes, source: str) -> Compiled:
    """A compiled pipeline from what its file holds.

    Args:
        text: YAML or JSON, in UTF-8.
        source: Where it is from.

    Raises:
        PipelineError: VT731, it is no compiled pipeline.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        documents = [
            found for found in yaml.load_all(text.decode("utf-8"), Loader=loader) if found is not None
        ]
    except UnicodeDecodeError as error:
        raise PipelineError("VT731", f"it cannot be read: {error}", where=source) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise PipelineError("VT731", f"it is not YAML: {error}", where=source) from error
    return compiled(documents, source)


def compiled(documents: Iterable[Any], source: str) -> Compiled:
    """A compiled pipeline from the documents of its file.

    Raises:
        PipelineError: VT731, it is none.
    """
    given = list(documents)
    first = given[0] if given else None
    lacking = _lacking(first) or _unreadable(first, source)
    if lacking:
        fix = "kfp.compiler.Compiler().compile(pipeline, FILE), or: vertex-tuning pipeline compile FILE.py"
        raise PipelineError("VT731", f"it is no compiled pipeline: {lacking}", where=source, fix=fix)
    assert isinstance(first, dict)
    return Compiled(first, source, tuple(given[1:]))


def raise_all(faults: list[Fault], rule: str, what: str, *, where: str = "") -> None:
    """Raise one fault as it is, and several as one error.

    Raises:
        PipelineError: Where there is any.
    """
    if len(faults) == 1:
        only = faults[0]
        raise PipelineError(only.rule, only.what, where=only.where, why=only.why, fix=only.fix)
    if faults:
        raise PipelineError(rule, f"{what}: {len(faults)} faults", where=where, faults=faults)


def _folder() -> Path:
    """In a checkout, the compiled files lie beside their sources."""
    return _PACKAGE if _PACKAGE.is_dir() else _CHECKOUT


def _is_ours(container: Mapping[str, Any]) -> bool:
    return str(container.get("image", "")).partition("@")[0].partition(":")[0] == IMAGE


def _lacking(spec: Any) -> str:
    """What a pipeline has and this has not; empty where it has all."""
    if not isinstance(spec, dict):
        return "there is no object in it" if spec is None else f"it is a {type(spec).__name__}"
    if "pipelineSpec" in spec:
        return "it is a whole job; the pipeline is its pipelineSpec"
    shape = {"pipelineInfo": ("name",), "root": ("dag",), "deploymentSpec": ("executors",), "components": ()}
    for key, inner in shape.items():
        value = spec.get(key)
        if not isinstance(value, dict) or not all(name in value for name in inner):
            return ".".join([key, *inner]) + " is missing"
    return ""


def _unreadable(spec: Any, source: str) -> str:
    """What keeps its steps and parameters from being told; empty where nothing does."""
    found = Compiled(spec, source)
    try:
        found.to_json()
        found.titles, found.groups  # noqa: B018  # kept from here on
        found.prepared()
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        return f"its steps cannot be told ({type(error).__name__}: {error})"
    return ""


def _parameter(name: str, about: Mapping[str, Any]) -> Parameter:
    kind = str(about.get("parameterType", "STRING"))
    default = about.get("defaultValue")
    if kind == "NUMBER_INTEGER" and isinstance(default, float):
        default = int(default)
    return Parameter(name, kind, default, str(about.get("description", "")))


def _spoken(text: str, kind: str) -> Any:
    """What a word of a command line says."""
    if kind == "BOOLEAN":
        text = text.lower()
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(_KINDS.get(kind, (kind, ()))[0]) from error


def _tasks(spec: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for component in (spec["root"], *spec["components"].values()):
        yield from component.get("dag", {}).get("tasks", {}).items()


def _steps(spec: Mapping[str, Any], component: Mapping[str, Any]) -> Iterable[str]:
    """Depth first, each after what it depends on."""
    tasks: dict[str, Any] = component["dag"]["tasks"]
    waiting = dict(tasks)
    done: set[str] = set()
    while waiting:
        ready = [name for name, task in waiting.items() if done.issuperset(task.get("dependentTasks", []))]
        for name in ready or list(waiting):
            task = waiting.pop(name)
            done.add(name)
            inner = spec["components"].get(task["componentRef"]["name"], {})
            if "dag" in inner:
                yield from _steps(spec, inner)
            else:
                yield str(task.get("taskInfo", {}).get("name", name))
