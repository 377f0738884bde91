"""The variables with which programs that nobody may touch find the emulator where they thought Google was."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Each of these would lead a program round the door, or to Google with somebody's real credentials.
_CLEARED = (
    "ALL_PROXY",
    "API_ENDPOINT_OVERRIDE",
    "API_VERSION_OVERRIDE",
    "CLOUD_ML_PROJECT_ID",
    "CLOUD_ML_REGION",
    "GCE_METADATA_HOST",
    "GCE_METADATA_IP",
    "GCE_METADATA_ROOT",
    "GEMINI_API_KEY",
    "GOOGLE_API_CERTIFICATE_CONFIG",
    "GOOGLE_API_KEY",
    "GOOGLE_CLOUD_QUOTA_PROJECT",
    "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
    "GOOGLE_CREDENTIALS",
    "GOOGLE_GEMINI_BASE_URL",
    "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "GOOGLE_VERTEX_BASE_URL",
    "HTTP_PROXY",
    "STORAGE_EMULATOR_HOST",
    "VERTEX_TUNING_EMULATOR_TOKEN",
    "all_proxy",
    "http_proxy",
)
_BARE = re.compile(r"[\w./:@%+,=~-]+", re.ASCII)
_CLEARED_PREFIX = "CLOUDSDK_"
_LOOPBACK = "localhost,127.0.0.1,::1"


def proxy(record: Mapping[str, Any]) -> str:
    """The front door as a proxy's URL; a token, where the emulator wants one, is its password."""
    address = str(record["address"])
    return address.replace("://", f"://emulator:{record['token']}@", 1) if record["token"] else address


def variables(record: Mapping[str, Any], bundle: Path, credentials: Path) -> dict[str, str]:
    """What an unmodified Google program needs to talk to this emulator, and to nothing else of Google's.

    Args:
        record: What the server wrote to `run.json`.
        bundle: The CA bundle of its front door.
        credentials: The key file of its service account.
    """
    door = proxy(record)
    found = {
        # httpx, requests and Go read the upper case, gRPC the lower.
        "HTTPS_PROXY": door,
        "https_proxy": door,
        "grpc_proxy": door,
        "NO_PROXY": _LOOPBACK,
        "no_proxy": _LOOPBACK,
        "no_grpc_proxy": _LOOPBACK,
        "SSL_CERT_FILE": str(bundle),
        "REQUESTS_CA_BUNDLE": str(bundle),
        "CURL_CA_BUNDLE": str(bundle),
        "HTTPLIB2_CA_CERTS": str(bundle),
        "NODE_EXTRA_CA_CERTS": str(bundle),
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(bundle),
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": str(bundle),
        "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(credentials),
        "GOOGLE_CLOUD_PROJECT": record["project"],
        "GCLOUD_PROJECT": record["project"],
        "CLOUDSDK_CORE_PROJECT": record["project"],
        "GOOGLE_CLOUD_LOCATION": record["location"],
        "GOOGLE_CLOUD_REGION": record["location"],
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_GENAI_USE_ENTERPRISE": "true",
        # Client certificates belong to the real thing, and so does the metadata server.
        "GOOGLE_API_USE_CLIENT_CERTIFICATE": "false",
        "GOOGLE_API_USE_MTLS_ENDPOINT": "never",
        "NO_GCE_CHECK": "true",
        "VERTEX_TUNING_EMULATOR": record["address"],
        # Whatever a settings file says of where work goes: here it goes to the emulator.
        "VERTEX_TUNING_TARGET": "local",
    }
    if record["token"]:
        found["VERTEX_TUNING_EMULATOR_TOKEN"] = record["token"]
    if not record["forward"]:
        # Nothing is let through: plain HTTP has to come here too, to be told so.
        found["HTTP_PROXY"] = found["http_proxy"] = door
    return found


def cleared(found: Mapping[str, str], present: Iterable[str]) -> list[str]:
    """What must go: the ways round the door, and all that configures gcloud among the names `present`."""
    names = {*_CLEARED, *(name for name in present if name.startswith(_CLEARED_PREFIX))}
    return sorted(names - found.keys())


def applied(found: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """An environment with the variables set, and what must go gone."""
    gone = set(cleared(found, environment))
    return {**{key: value for key, value in environment.items() if key not in gone}, **found}


def render(found: Mapping[str, str], gone: list[str], form: str) -> str:
    """For a shell to `eval`, as JSON, or as a dotenv file, which cannot unset and so sets to nothing."""
    if form == "json":
        return json.dumps({"set": found, "unset": gone}, indent=2)
    if form == "dotenv":
        return "\n".join(
            [*(f"{key}={_quoted(value)}" for key, value in found.items()), *(f"{key}=" for key in gone)]
        )
    return "\n".join(
        [*(f"export {key}={shlex.quote(value)}" for key, value in found.items()), f"unset {' '.join(gone)}"]
    )


def _quoted(value: str) -> str:
    """A value of a dotenv file: bare where that will do, since Docker takes no quotes; else in such as others take."""
    if _BARE.fullmatch(value):
        return value
    return f"'{value}'" if not {"'", "\\"} & set(value) else json.dumps(value, ensure_ascii=False)
