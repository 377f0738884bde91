"""The variables with which programs that nobody may touch find the emulator where they thought Google was."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from vertex_tuning.emulator.authority import Authority, write_private

# Each of these would lead a program round the door, or to Google with somebody's real credentials.
CLEARED = (
    "ALL_PROXY",
    "all_proxy",
    "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
    "CLOUDSDK_CONFIG",
    "CLOUDSDK_CORE_PROJECT",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_API_USE_CLIENT_CERTIFICATE",
    "GOOGLE_API_USE_MTLS_ENDPOINT",
    "GOOGLE_CLOUD_QUOTA_PROJECT",
    "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
    "GOOGLE_GEMINI_BASE_URL",
    "GOOGLE_VERTEX_BASE_URL",
    "HTTP_PROXY",
    "http_proxy",
    "STORAGE_EMULATOR_HOST",
)
_LOOPBACK = "localhost,127.0.0.1,::1"


def environment(record: dict[str, str], data_dir: Path) -> dict[str, str]:
    """What an unmodified Google program needs to talk to this emulator and to nothing else of Google's.

    Makes the certificate authority and the credentials file of the data folder where they are not there yet.

    Args:
        record: What the server wrote to `run.json`.
        data_dir: Its data folder.
    """
    folder = data_dir / "front-door"
    bundle = str(Authority(folder).bundle_path)
    address = record["address"]
    return {
        # httpx, requests and Go read the upper case, gRPC the lower.
        "HTTPS_PROXY": address,
        "https_proxy": address,
        "grpc_proxy": address,
        "NO_PROXY": _LOOPBACK,
        "no_proxy": _LOOPBACK,
        "no_grpc_proxy": _LOOPBACK,
        "SSL_CERT_FILE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "CURL_CA_BUNDLE": bundle,
        "HTTPLIB2_CA_CERTS": bundle,
        "NODE_EXTRA_CA_CERTS": bundle,
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": bundle,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": bundle,
        "GOOGLE_APPLICATION_CREDENTIALS": str(_credentials(folder, record["project"])),
        "GOOGLE_CLOUD_PROJECT": record["project"],
        "GCLOUD_PROJECT": record["project"],
        "GOOGLE_CLOUD_LOCATION": record["location"],
        "GOOGLE_CLOUD_REGION": record["location"],
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        # No metadata server is there to be asked.
        "NO_GCE_CHECK": "true",
        "VERTEX_TUNING_EMULATOR": address,
    }


def _credentials(folder: Path, project: str) -> Path:
    """A service account's key file in Google's form; the key is real, and opens nothing."""
    path = folder / "credentials.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")).get("project_id") == project:
        return path
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = f"emulator@{project}.iam.gserviceaccount.com"
    body = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": "emulator",
        "private_key": pem.decode("ascii"),
        "client_email": account,
        "client_id": "100000000000000000000",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    }
    write_private(path, json.dumps(body, indent=2).encode())
    return path


def render(variables: dict[str, str], form: str) -> str:
    """The variables for a shell to `eval`, as JSON, or as a dotenv file."""
    if form == "json":
        return json.dumps({"set": variables, "unset": list(CLEARED)}, indent=2)
    if form == "dotenv":
        lines = [f"{name}={json.dumps(value)}" for name, value in variables.items()]
        return "\n".join([*lines, *(f"{name}=" for name in CLEARED)])
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*lines, f"unset {' '.join(CLEARED)}"])
