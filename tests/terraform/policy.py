"""What a platform team expects of a plan: encryption, least privilege, nothing public, audit, budgets, labels.

Each rule looks at one resource of a plan, or at all of them where something has to be there. Which attributes take labels or a
key is looked up in the provider's schema: a resource of a new kind is held to the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LABELS = ("app", "managed-by")
"""Mandatory on everything that takes labels."""

BASIC_ROLES = ("roles/owner", "roles/editor", "roles/viewer")
IMPERSONATING = ("roles/iam.serviceAccountUser", "roles/iam.serviceAccountTokenCreator")
"""On one account they are for a purpose; on the project they are for all accounts that will ever be."""
PUBLIC = ("allUsers", "allAuthenticatedUsers")
AUDITED = ("aiplatform.googleapis.com", "storage.googleapis.com")
AUDIT_TYPES = {"ADMIN_READ", "DATA_READ", "DATA_WRITE"}
THRESHOLDS = {0.5, 0.9, 1.0}
ROTATION = 90 * 24 * 3600
"""Seconds that a key is used at most."""
LONGEST_REWARD = 300
"""Seconds: Vertex AI waits no longer for a reward."""

_KEYS = {"kms_key_name", "default_kms_key_name", "encryption_key", "kms_key_self_link"}


@dataclass(frozen=True)
class Planned:
    """A resource as it is going to be."""

    address: str
    kind: str
    values: Mapping[str, Any]
    unknown: Mapping[str, Any]
    """True where a value is known after apply."""

    def get(self, *path: str) -> list[Any]:
        """The values at a path through blocks; one that is still to come is True."""
        return list(_walk(self.values, self.unknown, path))


@dataclass(frozen=True)
class Asked:
    """What the inputs ask for, as far as a rule has to know."""

    key: bool = False
    """That everything is encrypted with a key of the customer's."""
    budget: bool = False
    protection: bool = True
    """That what holds data is not destroyed."""


Fault = tuple[str, Planned | None, str]
"""Rule, resource (None where it is one that is missing), words."""

_ONE: list[tuple[str, re.Pattern[str], Callable[[Planned], Iterator[str]]]] = []


def _rule(name: str, kinds: str) -> Callable[[Callable[[Planned], Iterator[str]]], None]:
    """Registers a rule for the kinds that match wholly, `google_` left out."""
    return lambda check: _ONE.append((name, re.compile(f"google_(?:{kinds})"), check))


def resources(plan: Mapping[str, Any]) -> list[Planned]:
    """Of what `terraform show -json` prints of a plan or of a state."""
    unknown = {
        change["address"]: change["change"].get("after_unknown") or {}
        for change in plan.get("resource_changes", ())
    }
    values = plan.get("planned_values") or plan["values"]
    return [
        Planned(one["address"], one["type"], one["values"], unknown.get(one["address"], {}))
        for one in _resources(values["root_module"])
        if one["mode"] == "managed"
    ]


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", ())
    for inner in module.get("child_modules", ()):
        yield from _resources(inner)


def _walk(values: Any, unknown: Any, path: Sequence[str]) -> Iterator[Any]:
    if unknown is True:
        yield True
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from _walk(value, unknown[index] if isinstance(unknown, list) else {}, path)
    elif path:
        if isinstance(values, Mapping):
            rest = unknown.get(path[0], {}) if isinstance(unknown, Mapping) else {}
            yield from _walk(values.get(path[0]), rest, path[1:])
    elif values is not None:
        yield values


# One resource


@_rule("uniform-access", "storage_bucket")
def _uniform_access(bucket: Planned) -> Iterator[str]:
    if bucket.values.get("uniform_bucket_level_access") is not True:
        yield "objects may have access lists of their own"


@_rule("public-bucket", "storage_bucket")
def _public_bucket(bucket: Planned) -> Iterator[str]:
    if bucket.values.get("public_access_prevention") != "enforced":
        yield "public access is not prevented"


@_rule("bucket-lifecycle", "storage_bucket")
def _bucket_lifecycle(bucket: Planned) -> Iterator[str]:
    if not bucket.values.get("lifecycle_rule"):
        yield "nothing is ever deleted"
    if not any(bucket.get("soft_delete_policy", "retention_duration_seconds")):
        yield "what is deleted is gone at once"
    if bucket.values.get("force_destroy"):
        yield "it is destroyed with all that lies in it"


@_rule("deletion", "storage_bucket|artifact_registry_repository|bigquery_dataset|cloud_run_v2_service")
def _deletion(holder: Planned) -> Iterator[str]:
    if holder.values.get("deletion_policy") != "PREVENT" and not holder.values.get("deletion_protection"):
        yield "it may be destroyed with what it holds, though nobody asked for that"


@_rule("additive-iam", r"\w+_iam_(?:binding|policy)")
def _additive_iam(binding: Planned) -> Iterator[str]:
    yield "it takes away what others have granted: grant with _iam_member"


@_rule("public-member", r"\w+_iam_\w+")
def _public_member(grant: Planned) -> Iterator[str]:
    for member in (*grant.get("member"), *grant.get("members")):
        if member in PUBLIC:
            yield f"{member} is anybody"


@_rule("basic-role", r"\w+_iam_\w+")
def _basic_role(grant: Planned) -> Iterator[str]:
    if grant.values.get("role") in BASIC_ROLES:
        yield f"{grant.values['role']} is a basic role: it holds thousands of permissions"


@_rule("admin-role", r"\w+_iam_\w+")
def _admin_role(grant: Planned) -> Iterator[str]:
    role = str(grant.values.get("role"))
    if re.search(r"admin|owner", role, re.IGNORECASE) and role not in BASIC_ROLES:
        yield f"{role} also gives what nobody needs to tune"


@_rule("project-impersonation", "project_iam_member")
def _project_impersonation(grant: Planned) -> Iterator[str]:
    if grant.values.get("role") in IMPERSONATING:
        yield f"{grant.values['role']} on the project holds for every account in it: grant it on one account"


@_rule("account-key", "service_account_key")
def _account_key(key: Planned) -> Iterator[str]:
    yield "a key can be copied and never ends: impersonate the account"


@_rule("reward-service", "cloud_run_v2_service")
def _reward_service(service: Planned) -> Iterator[str]:
    if service.values.get("invoker_iam_disabled"):
        yield "anybody may call it"
    if not any(service.get("template", "service_account")):
        yield "it runs as the project's default account"
    if not any(service.get("template", "scaling", "max_instance_count")):
        yield "nothing bounds how many instances run"
    timeouts = [str(value) for value in service.get("template", "timeout")]
    if not timeouts or any(int(value.removesuffix("s")) > LONGEST_REWARD for value in timeouts):
        yield f"it may take longer than {LONGEST_REWARD} s, and nobody waits for it any more"


@_rule("key-rotation", "kms_crypto_key")
def _key_rotation(key: Planned) -> Iterator[str]:
    period = str(key.values.get("rotation_period") or "")
    if not period or float(period.removesuffix("s")) > ROTATION:
        yield f"it is used for longer than {ROTATION} s"


@_rule("service-stays", "project_service")
def _service_stays(service: Planned) -> Iterator[str]:
    if service.values.get("disable_on_destroy") is not False:
        yield "destroying would turn the API off for everybody else in the project"


@_rule("federation", "iam_workload_identity_pool_provider")
def _federation(provider: Planned) -> Iterator[str]:
    condition = str(provider.values.get("attribute_condition") or "")
    for claim, what in ((r"repository|project_path", "repository"), (r"ref|sub", "branch")):
        if not re.search(rf'assertion\.(?:{claim})\w* == "', condition):
            yield f"tokens of any {what} are taken"


@_rule("federated-account", "service_account_iam_member")
def _federated_account(grant: Planned) -> Iterator[str]:
    member = str(grant.values.get("member") or "")
    if member.startswith("principalSet://") and "/attribute.repository/" not in member:
        yield f"{member} is more than one repository"


@_rule("private-network", "compute_subnetwork")
def _private_network(subnet: Planned) -> Iterator[str]:
    if not subnet.values.get("private_ip_google_access"):
        yield "machines without an address of their own do not reach Google's APIs"
    if not subnet.values.get("log_config"):
        yield "its traffic is not logged"


# All of them

_MANY = ("labels", "cmek", "audit", "budget")


def rules() -> set[str]:
    """The name of every rule."""
    return {*_MANY, *(name for name, _, _ in _ONE)}


def faults(planned: Sequence[Planned], schema: Mapping[str, Any], asked: Asked) -> list[Fault]:
    """Everything that a plan does not keep to.

    Args:
        planned: Its resources.
        schema: `resource_schemas` of the provider.
        asked: What it was asked for.
    """
    found: list[Fault] = [
        (name, one, words)
        for one in planned
        for name, kinds, check in _ONE
        if kinds.fullmatch(one.kind) and (asked.protection or name != "deletion")
        for words in check(one)
    ]
    for one in planned:
        block = schema[one.kind]["block"]
        found += [("labels", one, words) for words in _labels(one, block)]
        found += [("cmek", one, words) for words in _encryption(one, block, asked.key)]
    found += [("audit", None, words) for words in _audit(planned)]
    if asked.budget:
        found += [("budget", None, words) for words in _budget(planned)]
    return found


def _labels(one: Planned, block: Mapping[str, Any]) -> Iterator[str]:
    for name in ("effective_labels", "user_labels"):
        attribute = "labels" if name == "effective_labels" else name
        if name in block["attributes"]:
            labels = one.values.get(attribute) or {}
            if missing := [label for label in LABELS if not labels.get(label)]:
                yield f"{attribute} lack {' and '.join(missing)}"


def _encryption(one: Planned, block: Mapping[str, Any], wanted: bool) -> Iterator[str]:
    paths = list(_key_paths(block))
    given = any(value for path in paths for value in one.get(*path))
    if wanted and paths and not given:
        yield "it is not encrypted with the key: " + " or ".join(".".join(path) for path in paths)
    if given and not wanted:
        yield "it is encrypted with a key that nobody asked for"


def _key_paths(block: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, attribute in block["attributes"].items():
        if name in _KEYS and attribute.get("optional", attribute.get("required")):
            yield (*at, name)
    for name, nested in block.get("block_types", {}).items():
        yield from _key_paths(nested["block"], (*at, name))


def _audit(planned: Sequence[Planned]) -> Iterator[str]:
    logged: dict[str, set[str]] = {}
    for one in planned:
        if one.kind == "google_project_iam_audit_config":
            logged.setdefault(str(one.values["service"]), set()).update(
                one.get("audit_log_config", "log_type")
            )
    for service in AUDITED:
        if missing := AUDIT_TYPES - logged.get(service, set()) - logged.get("allServices", set()):
            yield f"{service} does not log {', '.join(sorted(missing))}"


def _budget(planned: Sequence[Planned]) -> Iterator[str]:
    budgets = [one for one in planned if one.kind == "google_billing_budget"]
    if not budgets:
        yield "there is no budget"
    for one in budgets:
        rules = one.values.get("threshold_rules") or []
        forecast = [rule for rule in rules if rule.get("spend_basis") == "FORECASTED_SPEND"]
        reached = {rule["threshold_percent"] for rule in rules if rule not in forecast}
        if missing := THRESHOLDS - reached:
            yield f"{one.address} does not tell at {', '.join(f'{share:.0%}' for share in sorted(missing))}"
        if not forecast:
            yield f"{one.address} does not tell what is forecast"
