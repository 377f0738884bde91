"""Settings of a project: arguments, then the environment, then a file.

The file is the nearest `vertex-tuning.toml` upwards of the working folder; `vertex-tuning init` writes it, from what terraform/
has made where that is there:

    target = "vertex"
    project = "my-project"
    location = "us-central1"
    bucket = "my-project-vt-datasets"
    service_account = "vt-runner@my-project.iam.gserviceaccount.com"

    [labels]
    team = "search"
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vertex_tuning.errors import ConfigurationError, Fault

FILE = "vertex-tuning.toml"
SCHEMA_VERSION = 1
"""Of Terraform's output `sdk_config`."""

_TARGETS = ("local", "vertex")
_GOOGLES = {"project": "GOOGLE_CLOUD_PROJECT", "location": "GOOGLE_CLOUD_LOCATION"}
"""Variables of Google's that count where nobody says more."""
_ANYWHERE = frozenset({"target", "project", "location", "labels"})
"""Settings that mean something beside another project, too."""

_BUCKET = (
    "bucket",
    re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?"),
    "a bucket alone, without a folder: lower-case letters, digits, -, _ and .",
)
_SHAPES = {
    "project": (
        "project",
        re.compile(r"[a-z0-9][a-z0-9.:-]*"),
        "the id, not the title: lower-case letters, digits and -, such as my-project",
    ),
    "location": ("region", re.compile(r"[a-z0-9-]+"), "such as us-central1"),
    "bucket": _BUCKET,
    "pipelines_bucket": _BUCKET,
    "artifacts_bucket": _BUCKET,
}
"""By setting: what it names, what such names look like, and how to say so. Anything else no service could ever find."""

SDK_CONFIG = {
    "project": "project",
    "project_number": "project_number",
    "location": "location",
    "buckets.datasets": "bucket",
    "buckets.pipelines": "pipelines_bucket",
    "buckets.artifacts": "artifacts_bucket",
    "service_accounts.runner": "service_account",
    "service_accounts.submitter": "submitter",
    "service_accounts.scheduler": "scheduler",
    "service_accounts.reward": "reward_account",
    "registries.images": "images",
    "registries.pipelines": "templates",
    "kms_key": "kms_key",
    "reward_uri": "reward_uri",
    "endpoint": "endpoint",
    "network_attachment": "network_attachment",
    "labels": "labels",
}
"""Which setting each part of Terraform's output `sdk_config` becomes."""


def home() -> Path:
    """Where this package keeps things: `VERTEX_TUNING_HOME`, else the XDG data folder."""
    if given := os.environ.get("VERTEX_TUNING_HOME"):
        return Path(given).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "vertex-tuning"


@dataclass(frozen=True, slots=True)
class Config:
    """Where to work, and with what. Each has a variable: `VERTEX_TUNING_` and its name in capitals."""

    target: str = "local"
    """`local` (the emulator) or `vertex`."""
    project: str | None = None
    """Project id."""
    location: str | None = None
    """Region, such as `us-central1`."""
    bucket: str | None = None
    """Bucket for data sets, without `gs://`."""
    project_number: str | None = None
    """Of the same project; Google's own accounts in it are named by it."""
    pipelines_bucket: str | None = None
    """Bucket that pipelines hand their results on through. Left out: `bucket`."""
    artifacts_bucket: str | None = None
    """Bucket for checkpoints and reports. Left out: `bucket`."""
    service_account: str | None = None
    """Account that pipelines and custom jobs run as."""
    submitter: str | None = None
    """Account of whoever submits, people and CI; `doctor` looks at its roles."""
    scheduler: str | None = None
    """Account that starts pipelines by the clock."""
    reward_account: str | None = None
    """Account that the service for rewards runs as."""
    images: str | None = None
    """Registry for images: `us-central1-docker.pkg.dev/my-project/vt-images`."""
    templates: str | None = None
    """Registry for compiled pipelines: `https://us-central1-kfp.pkg.dev/my-project/vt-pipelines`."""
    kms_key: str | None = None
    """Key that jobs and models are encrypted with: `projects/.../cryptoKeys/vt-data`."""
    reward_uri: str | None = None
    """Service on Cloud Run that scores answers."""
    endpoint: str | None = None
    """Endpoint that models are deployed to: `projects/.../endpoints/7`."""
    network_attachment: str | None = None
    """Network attachment of training machines: `projects/.../networkAttachments/vt-psc`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of every job."""

    def given(self) -> dict[str, Any]:
        """What is set, by name."""
        return {name: value for name in NAMES if (value := getattr(self, name))}

    def filled(self) -> dict[str, Any]:
        """What is set, by name; a bucket that is left out is the one for data sets."""
        others = ("pipelines_bucket", "artifacts_bucket") if self.bucket else ()
        return {**dict.fromkeys(others, self.bucket), **self.given()}

    def environment(self) -> dict[str, str]:
        """As variables by which `load` finds the same in another process."""
        given = self.given()
        if labels := given.get("labels"):
            given["labels"] = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        return {_variable(name): str(value) for name, value in given.items()}

    def to_toml(self) -> str:
        """As the settings file has it."""
        given = self.given()
        labels = given.pop("labels", {})
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in given.items()]
        if labels:
            lines += ["", "[labels]"]
            lines += [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in sorted(labels.items())]
        return "\n".join([*lines, ""])

    def write(self, path: str | os.PathLike[str] = FILE, *, force: bool = False) -> bool:
        """Write them into a settings file.

        Args:
            path: The file. One that says the same is left as it is, remarks and all.
            force: Write over one that says something else.

        Returns:
            Whether it was written.

        Raises:
            ConfigurationError: VT115 it says something else: the difference is in the error; VT116 it lacks
                a project; VT117 it cannot be written.
        """
        file = Path(path)
        if self.target == "vertex" and not self.project:
            fix = "--project my-project, or --from-terraform terraform/"
            raise ConfigurationError("VT116", "there is no project to write", where="project", fix=fix)
        fix = "another file: --output FILE"
        try:
            before = file.read_text(encoding="utf-8") if file.exists() else ""
            if before and _says(before, self):
                return False
            if before and not force:
                raise ConfigurationError(
                    "VT115",
                    f"it is there, and says something else:\n{_difference(before, self.to_toml())}",
                    where=str(file),
                    fix="--force (force=True) writes over it; --output FILE writes beside it",
                )
            file.write_text(self.to_toml(), encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                "VT117", f"it cannot be written: {_words(error)}", where=str(file), fix=fix
            ) from error
        return True


NAMES = tuple(found.name for found in fields(Config))
"""Every setting."""


def load(**arguments: str | None) -> Config:
    """The settings: what is given here first, then the environment, then the file, then Google's own variables.

    Buckets, accounts, keys and the like belong to a project: beside another one, which goes before it, they do not count.

    Raises:
        ConfigurationError: VT101 the file cannot be read, VT102 it has an unknown or misshapen setting, VT103 no such target,
            VT119 a project, a region or a bucket cannot be called so.
    """
    config, where = Config(), "target"
    path = find_file()
    sources = (
        ("", _from_googles()),
        (f"target in {path}", _from_file(path) if path else {}),
        (_variable("target"), _from_environment()),
        ("target", arguments),
    )
    project = [source["project"] for _, source in sources if source.get("project")][-1:]
    for place, source in sources:
        elsewhere = bool(source.get("project")) and [source["project"]] != project
        set_here: dict[str, Any] = {
            name: value for name, value in source.items() if value and (name in _ANYWHERE or not elsewhere)
        }
        config = replace(config, **set_here)
        where = place if source.get("target") else where
    return _checked(config, where)


def gathered(terraform: Path | None = None, **arguments: str | None) -> Config:
    """Settings to be written: what is given here, then what Terraform made; without that, the environment's.

    Args:
        terraform: As for `from_terraform`.
        **arguments: By name.

    Raises:
        ConfigurationError: VT102, VT103 as for `load`, VT112 to VT114 as for `from_terraform`.
    """
    given: dict[str, Any] = {name: value for name, value in arguments.items() if value}
    if terraform:
        return _checked(replace(from_terraform(terraform), **given), "target")
    around: dict[str, Any] = {}
    for source in (_from_googles(), _from_environment()):
        around |= {name: value for name, value in source.items() if value}
    return _checked(Config(**{**around, **given}), "target")


def _says(text: str, config: Config) -> bool:
    """Whether a settings file says just this."""
    try:
        return tomllib.loads(text) == tomllib.loads(config.to_toml())
    except tomllib.TOMLDecodeError:
        return False


def _difference(before: str, after: str) -> str:
    """What a file would lose and gain, line by line."""
    sides = before.splitlines(), after.splitlines()
    lines = difflib.unified_diff(*sides, "as it is", "as it would be", lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith("@@"))


def read(path: Path) -> Config:
    """The settings of one file alone: a settings file (`.toml`), or Terraform's output as JSON.

    Raises:
        ConfigurationError: VT101 to VT103 as for `load`, VT112 to VT114 as for `from_terraform`.
    """
    if path.suffix != ".toml":
        return from_terraform(path)
    return _checked(Config(**_from_file(path)), f"target in {path}")


def _checked(config: Config, where: str) -> Config:
    if config.target not in _TARGETS:
        raise ConfigurationError(
            "VT103", f'there is no target "{config.target}"', where=where, fix='"local" or "vertex"'
        )
    bare: dict[str, Any] = {
        name: str(value).removeprefix("gs://").rstrip("/")
        for name in ("bucket", "pipelines_bucket", "artifacts_bucket")
        if (value := getattr(config, name))
    }
    config = replace(config, **bare) if bare else config
    faults = [
        Fault("VT119", f"{json.dumps(value)} cannot be the name of a {kind}", name, fix=fix)
        for name, (kind, pattern, fix) in _SHAPES.items()
        if (value := getattr(config, name)) and not pattern.fullmatch(value)
    ]
    if len(faults) == 1:
        raise ConfigurationError("VT119", faults[0].what, where=faults[0].where, fix=faults[0].fix)
    if faults:
        raise ConfigurationError("VT119", f"{len(faults)} settings cannot be names", faults=faults)
    return config


def _variable(name: str) -> str:
    return f"VERTEX_TUNING_{name.upper()}"


def _from_environment() -> dict[str, Any]:
    found: dict[str, Any] = {name: os.environ.get(_variable(name)) for name in NAMES}
    if found["labels"]:
        found["labels"] = _labels(found["labels"])
    return found


def _from_googles() -> dict[str, Any]:
    return {name: os.environ.get(variable) for name, variable in _GOOGLES.items()}


def _labels(text: str) -> dict[str, str]:
    """`team=search,env=dev`."""
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if wrong := [name for name, equals, _ in pairs if not equals or not name]:
        what = f'"{wrong[0]}" is not a label'
        raise ConfigurationError("VT102", what, where=_variable("labels"), fix="team=search,env=dev")
    return {name.strip(): value.strip() for name, _, value in pairs}


def find_file() -> Path | None:
    """The settings file that counts here: the nearest, upwards of the working folder."""
    try:
        here = Path.cwd()
        return next((folder / FILE for folder in (here, *here.parents) if (folder / FILE).is_file()), None)
    except OSError:  # the working folder is gone, or one above it is closed to us
        return None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what = f"the settings file cannot be read: {_words(error)}"
        fix = (
            "vertex-tuning init writes one"
            if isinstance(error, FileNotFoundError)
            else "mend it, or vertex-tuning init --force writes it anew"
        )
        raise ConfigurationError("VT101", what, where=str(path), fix=fix) from error
    faults = [
        Fault("VT102", f'"{name}" is not {_form(name)}', str(path), fix=_example(name))
        if name in NAMES
        else Fault("VT102", f'"{name}" is not a setting', str(path), fix=_nearest(name))
        for name, value in found.items()
        if name not in NAMES or not _is_form(name, value)
    ]
    if len(faults) == 1:
        raise ConfigurationError("VT102", faults[0].what, where=str(path), fix=faults[0].fix)
    if faults:
        what = f"{len(faults)} settings cannot be taken"
        raise ConfigurationError("VT102", what, where=str(path), faults=faults)
    return found


def _words(error: OSError | ValueError) -> str:
    """Why a file cannot be read or written, without its name a second time."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _nearest(name: str) -> str:
    """What somebody meant who wrote a setting that there is none of."""
    near = difflib.get_close_matches(name, NAMES, n=1)
    return f"do you mean {near[0]}?" if near else f"settings are: {', '.join(NAMES)}"


def _example(name: str) -> str:
    return '[labels], and below it team = "search"' if name == "labels" else f'{name} = "..."'


def _form(name: str) -> str:
    return "a table of strings" if name == "labels" else "a string"


def _is_form(name: str, value: Any) -> bool:
    if name != "labels":
        return isinstance(value, str)
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


# What Terraform made


def from_terraform(source: Path) -> Config:
    """The settings of a project that terraform/ has made.

    Args:
        source: The folder in which Terraform was applied (`terraform output` is run there, which needs Terraform and the state),
            or a file with what `terraform output -json` printed, whole or of `sdk_config` alone; `-` is standard input.

    Raises:
        ConfigurationError: VT112 there is nothing to read, VT113 it is of another version, VT114 something is missing, unknown or
            misshapen: everything that is.
    """
    where = "standard input" if str(source) == "-" else str(source)
    text = _terraform_output(source) if source.is_dir() else _text_of(source)
    try:
        document = json.loads(text)
    except ValueError as error:
        what = f"that is not JSON: {error}" if text.strip() else "there is nothing in it"
        raise ConfigurationError("VT112", what, where=where, fix=_OUTPUT) from error
    found = _sdk_config(document)
    if found is None:
        what = "there is no output `sdk_config`"
        fix = "terraform apply, in the folder with vertex-tuning's terraform/" if source.is_dir() else _OUTPUT
        raise ConfigurationError("VT112", what, where=where, fix=fix)
    version = found.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ConfigurationError(
            "VT113",
            f"sdk_config is of version {version}, and this package reads {SCHEMA_VERSION}",
            where=where,
            fix="take terraform/ and the package of one release",
        )
    settings = _settings(found, where)
    return _checked(Config(target="vertex", **settings), where)


_OUTPUT = "terraform output -json sdk_config > sdk_config.json"


def _terraform_output(folder: Path) -> str:
    program = shutil.which("terraform")
    if program is None:
        what = "there is no `terraform` to ask what it has made"
        fix = f"where it is: {_OUTPUT}; then give that file"
        raise ConfigurationError("VT112", what, where=str(folder), fix=fix)
    command = [program, f"-chdir={folder}", "output", "-no-color", "-json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        what = f"terraform output failed: {_complaint(done.stderr)}"
        raise ConfigurationError(
            "VT112", what, where=str(folder), fix="terraform init, then terraform apply, in that folder"
        )
    return done.stdout


def _complaint(text: str) -> str:
    """What Terraform complains of, without its frame and the explanations below."""
    lines = [line.strip("│╷╵ ") for line in text.splitlines()]
    return next((line for line in lines if line.startswith("Error: ")), " ".join(" ".join(lines).split()))


def _text_of(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        fix = f"the folder in which terraform/ was applied, or a file: {_OUTPUT}"
        what = "there is no such folder or file"
        raise ConfigurationError("VT112", what, where=str(path), fix=fix) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "VT112", f"it cannot be read: {_words(error)}", where=str(path), fix=_OUTPUT
        ) from error


def _sdk_config(document: Any) -> dict[str, Any] | None:
    """Of `terraform output -json`, of that of one output, or of a value alone."""
    if not isinstance(document, dict):
        return None
    if "schema_version" in document:
        return document
    inner = document.get("sdk_config")
    value = inner.get("value") if isinstance(inner, dict) else None
    return value if isinstance(value, dict) else None


def _settings(found: Mapping[str, Any], where: str) -> dict[str, Any]:
    """By name, without what is null."""
    flat = dict(_flat(found))
    faults = [
        Fault("VT114", f'"{path}" is not a part of it that this package knows', where)
        for path in flat
        if path not in SDK_CONFIG
    ]
    for path, name in SDK_CONFIG.items():
        if path not in flat:
            faults.append(Fault("VT114", f'"{path}" is missing', where, fix="null where there is none"))
        elif flat[path] is not None and not _is_form(name, flat[path]):
            faults.append(Fault("VT114", f'"{path}" is not {_form(name)}', where))
    if faults:
        what = f"sdk_config cannot be taken: {faults[0].what}"
        if len(faults) == 1:
            raise ConfigurationError("VT114", what, where=where, fix=faults[0].fix)
        what = f"sdk_config has {len(faults)} faults"
        raise ConfigurationError("VT114", what, where=where, faults=faults)
    return {name: flat[path] for path, name in SDK_CONFIG.items() if flat[path]}


def _flat(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """`buckets.datasets` and its value; labels are a value."""
    groups = {path.partition(".")[0] for path in SDK_CONFIG if "." in path}
    for name, value in found.items():
        if name in groups and isinstance(value, dict):
            yield from ((f"{name}.{inner}", one) for inner, one in value.items())
        elif name != "schema_version":
            yield name, value
