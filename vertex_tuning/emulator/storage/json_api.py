"""The JSON API: `/storage/v1/...`.

Source: Cloud Storage JSON API, discovery document `storage` v1 (google-api-python-client, 2026-10).
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from vertex_tuning.emulator.project.policies import shown
from vertex_tuning.emulator.status import ApiError
from vertex_tuning.emulator.storage import listing, resources
from vertex_tuning.emulator.storage.call import Call, as_generation, refuse_customer_keys
from vertex_tuning.emulator.storage.errors import StorageError, invalid, not_emulated
from vertex_tuning.emulator.storage.media import media
from vertex_tuning.emulator.storage.names import check_object
from vertex_tuning.emulator.storage.objects import Version
from vertex_tuning.emulator.storage.preconditions import Preconditions
from vertex_tuning.emulator.storage.resources import Json
from vertex_tuning.emulator.storage.upload_api import object_members

_MAX_SOURCES = 32


def _page_size(call: Call) -> int:
    text = call.query.get("maxResults", "")
    if not text:
        return listing.MAX_RESULTS
    if not (text.isascii() and text.isdecimal()):
        raise invalid(f"Invalid value for maxResults: {text!r}", location="maxResults")
    return max(1, min(int(text[:9]), listing.MAX_RESULTS))


def _flag(call: Call, name: str) -> bool:
    return call.query.get(name, "").lower() == "true"


# Buckets


async def insert_bucket(call: Call) -> Response:
    """Make a bucket."""
    given = await call.json()
    if "project" not in call.query:
        raise invalid("Required parameter: project", location="project")
    project = call.storage.settings.number_of(call.query["project"])
    if isinstance(given, dict) and _flag(call, "enableObjectRetention"):
        raise not_emulated("object retention")
    return call.reply(call.storage.buckets.insert(project, given).to_json(call.base))


async def list_buckets(call: Call) -> Response:
    """The buckets of a project."""
    if "project" not in call.query:
        raise invalid("Required parameter: project", location="project")
    limit = _page_size(call)
    project = call.storage.settings.number_of(call.query["project"])
    found = call.storage.buckets.list(
        project, call.query.get("prefix", ""), call.query.get("pageToken", ""), limit + 1
    )
    answer: Json = {
        "kind": "storage#buckets",
        "items": [bucket.to_json(call.base) for bucket in found[:limit]],
    }
    if len(found) > limit:
        answer["nextPageToken"] = found[limit - 1].name
    return call.reply(answer)


async def get_bucket(call: Call) -> Response:
    """One bucket."""
    (name,) = call.names
    return call.reply(call.storage.buckets.get(name, call.conditions).to_json(call.base))


async def patch_bucket(call: Call) -> Response:
    """Change some members."""
    patch = resources.written(await call.json(), resources.BUCKET_MEMBERS, nulls=True)
    return _change_bucket(call, patch, replace=False)


async def update_bucket(call: Call) -> Response:
    """Replace all members."""
    return _change_bucket(call, resources.written(await call.json(), resources.BUCKET_MEMBERS), replace=True)


def _change_bucket(call: Call, members: Json, *, replace: bool) -> Response:
    (name,) = call.names
    changed = call.storage.buckets.change(
        name, lambda old: members if replace else resources.merged(old, members), call.conditions
    )
    return call.reply(changed.to_json(call.base))


async def delete_bucket(call: Call) -> Response:
    """Delete an empty bucket."""
    (name,) = call.names
    call.storage.buckets.delete(name, call.conditions)
    return call.reply(None)


async def get_policy(call: Call) -> Response:
    """The IAM policy."""
    (name,) = call.names
    version = call.query.get("optionsRequestedPolicyVersion", "1")
    return call.reply(shown(call.storage.buckets.policy(name), int(version) if version.isdecimal() else 1))


async def set_policy(call: Call) -> Response:
    """Replace the IAM policy."""
    (name,) = call.names
    policies = call.storage.project.policies

    def check(given: object) -> list[Json]:
        try:
            return policies.checked(given)
        except ApiError as error:
            raise invalid(error.message, location="bindings") from error

    return call.reply(call.storage.buckets.set_policy(name, await call.json(), check))


async def storage_layout(call: Call) -> Response:
    """Where a bucket's data lies."""
    (name,) = call.names
    bucket = call.storage.buckets.get(name)
    return call.reply(
        {
            "kind": "storage#storageLayout",
            "bucket": name,
            "location": bucket.body["location"],
            "locationType": bucket.body["locationType"],
            "hierarchicalNamespace": bucket.body.get("hierarchicalNamespace", {"enabled": False}),
        }
    )


async def service_account(call: Call) -> Response:
    """The account that Cloud Storage itself uses in a project."""
    number = call.storage.settings.number_of(call.names[0])
    return call.reply(
        {
            "kind": "storage#serviceAccount",
            "email_address": f"service-{number}@gs-project-accounts.iam.gserviceaccount.com",
        }
    )


# Objects


async def list_objects(call: Call) -> Response:
    """A page of objects."""
    (bucket,) = call.names
    call.storage.buckets.get(bucket)
    query = call.query
    if _flag(call, "softDeleted"):
        raise not_emulated("soft delete")
    page = listing.page(
        call.storage.db,
        bucket,
        listing.Query(
            prefix=query.get("prefix", ""),
            delimiter=query.get("delimiter", ""),
            start=query.get("startOffset", ""),
            end=query.get("endOffset", ""),
            glob=query.get("matchGlob", ""),
            versions=_flag(call, "versions"),
            trailing_delimiter=_flag(call, "includeTrailingDelimiter"),
            limit=_page_size(call),
            token=query.get("pageToken", ""),
        ),
    )
    answer: Json = {"kind": "storage#objects"}
    if page.items:
        answer["items"] = [version.to_json(call.base) for version in page.items]
    if page.prefixes:
        answer["prefixes"] = page.prefixes
    if page.next_token:
        answer["nextPageToken"] = page.next_token
    return call.reply(answer)


async def get_object(call: Call) -> Response:
    """An object's resource, or with `alt=media` its content."""
    if call.query.get("alt") == "media":
        return await download(call)
    bucket, name = call.names
    refuse_customer_keys(call.headers)
    return call.reply(
        call.storage.objects.get(bucket, name, call.generation, call.conditions).to_json(call.base)
    )


async def download(call: Call) -> Response:
    """An object's content."""
    bucket, name = call.names
    refuse_customer_keys(call.headers)
    version = call.storage.objects.get(bucket, name, call.generation, call.conditions)
    return media(call, version, version.etag)


async def patch_object(call: Call) -> Response:
    """Change some members."""
    patch = resources.written(await call.json(), resources.OBJECT_MEMBERS, nulls=True)
    return _change_object(call, patch, replace=False)


async def update_object(call: Call) -> Response:
    """Replace all members."""
    return _change_object(call, resources.written(await call.json(), resources.OBJECT_MEMBERS), replace=True)


def _change_object(call: Call, members: Json, *, replace: bool) -> Response:
    bucket, name = call.names
    changed = call.storage.objects.change(
        bucket,
        name,
        lambda old: members if replace else resources.merged(old, members),
        call.generation,
        call.conditions,
    )
    return call.reply(changed.to_json(call.base))


async def delete_object(call: Call) -> Response:
    """Delete an object, or one generation of it."""
    bucket, name = call.names
    call.storage.objects.delete(bucket, name, call.generation, call.conditions)
    return call.reply(None)


async def copy_object(call: Call) -> Response:
    """Copy in one step."""
    return call.reply((await _copy(call)).to_json(call.base))


async def rewrite_object(call: Call) -> Response:
    """Copy in as many steps as it takes: here always one, as no byte is moved."""
    version = await _copy(call)
    return call.reply(
        {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": str(version.digest.size),
            "objectSize": str(version.digest.size),
            "done": True,
            "resource": version.to_json(call.base),
        }
    )


async def _copy(call: Call) -> Version:
    source_bucket, source_name, bucket, name = call.names
    refuse_customer_keys(call.headers)
    given = await call.json()
    source = _source(call, source_bucket, source_name)
    check_object(name)
    return call.storage.objects.copy(source, bucket, name, _copied(call, source, given), call.conditions)


async def move_object(call: Call) -> Response:
    """Rename within a bucket, in one transaction."""
    bucket, source_name, name = call.names
    source = _source(call, bucket, source_name)
    check_object(name)
    if name == source_name:
        raise invalid("The source and destination of a move must differ.")
    moved = call.storage.objects.move(source, name, _copied(call, source, {}), call.conditions)
    return call.reply(moved.to_json(call.base))


def _source(call: Call, bucket: str, name: str) -> Version:
    text = call.query.get("sourceGeneration")
    generation = None if text is None else as_generation(text, "sourceGeneration")
    conditions = Preconditions.of_query(call.query, "Source")
    return call.storage.objects.get(bucket, name, generation, conditions)


def _copied(call: Call, source: Version, given: Any) -> Json:
    """Members of a copy: the caller's where it gave any, else the source's."""
    members = object_members(given)
    if not members or set(members) == {"storageClass"}:
        members |= {key: value for key, value in source.body.items() if key in resources.COPIED_MEMBERS}
    members.setdefault("contentType", source.content_type)
    if "componentCount" in source.body:
        members["componentCount"] = source.body["componentCount"]
    if "destinationKmsKeyName" in call.query:
        members["kmsKeyName"] = call.query["destinationKmsKeyName"]
    return members


async def compose_object(call: Call) -> Response:
    """Up to 32 objects in a row become one."""
    bucket, name = call.names
    refuse_customer_keys(call.headers)
    given = await call.json()
    if not isinstance(given, dict):
        raise invalid("The body must be a JSON object.")
    listed = given.get("sourceObjects")
    if not isinstance(listed, list) or not listed:
        raise StorageError(400, "required", "You must provide at least one source component.")
    if len(listed) > _MAX_SOURCES:
        raise invalid(
            f"The number of source components provided ({len(listed)}) exceeds the maximum ({_MAX_SOURCES})."
        )
    call.storage.objects.check_write(bucket, name, call.conditions)
    sources = [_component(call, bucket, item) for item in listed]
    destination = given.get("destination") or {}
    members = object_members(destination)
    members.setdefault("contentType", sources[0].content_type)
    members["componentCount"] = sum(source.body.get("componentCount", 1) for source in sources)
    blob, digest = await call.storage.in_thread(call.storage.blobs.join, [source.blob for source in sources])
    composed = call.storage.objects.insert(bucket, name, blob, digest, members, call.conditions)
    if given.get("deleteSourceObjects") is True:
        for source in sources:
            call.storage.objects.delete(bucket, source.name, source.generation)
    return call.reply(composed.to_json(call.base))


def _component(call: Call, bucket: str, item: object) -> Version:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise invalid("A source component needs a name.")
    wanted = item.get("objectPreconditions") or {}
    if not isinstance(wanted, dict):
        raise invalid("Invalid value for objectPreconditions")
    match = wanted.get("ifGenerationMatch")
    conditions = Preconditions.of_query({} if match is None else {"ifGenerationMatch": str(match)})
    generation = item.get("generation")
    number = None if generation is None else as_generation(str(generation), "generation")
    return call.storage.objects.get(bucket, item["name"], number, conditions)


async def test_permissions(call: Call) -> Response:
    """What whoever calls may do of what they ask about."""
    (name,) = call.names
    project, bucket = call.storage.project, call.storage.buckets.get(name)
    own, above = call.storage.buckets.policy(name), project.policies.get(project.name_of(bucket.project))
    allowed = project.policies.allowed(call.query_all("permissions"), own, above)
    answer: Json = {"kind": "storage#testIamPermissionsResponse"}
    return call.reply({**answer, "permissions": allowed} if allowed else answer)
