"""What Google's clients ask about who they are: tokens, IAM credentials, projects. Everybody is welcome."""

from __future__ import annotations

import base64
import binascii
import json
import time
from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.status import ApiError, Code

routes = Routes()

TOKEN = "emulator"
"""The access token that everybody gets; any other, or none, is as good."""

_LIFETIME = 3600
_CREATED = "2020-01-01T00:00:00Z"
_ACCOUNT = "projects/-/serviceAccounts/{account}"


@routes.post("token")
async def token(_: Call) -> dict[str, Any]:
    """`oauth2.googleapis.com/token`: the grant of a service account is taken as it is."""
    return {
        "access_token": TOKEN,
        "id_token": _identity_token("emulator"),
        "expires_in": _LIFETIME - 1,
        "token_type": "Bearer",
    }


@routes.get(f"{_ACCOUNT}/allowedLocations")
async def allowed_locations(_: Call) -> dict[str, Any]:
    """The trust boundary that google-auth looks up: none."""
    return {"locations": [], "encodedLocations": "0x0"}


@routes.post(f"{_ACCOUNT}:generateAccessToken")
async def generate_access_token(_: Call) -> dict[str, Any]:
    """Impersonation."""
    expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _LIFETIME))
    return {"accessToken": TOKEN, "expireTime": expiry}


@routes.post(f"{_ACCOUNT}:generateIdToken")
async def generate_id_token(call: Call) -> dict[str, Any]:
    """Impersonation, for an audience."""
    return {"token": _identity_token(str((await _body(call)).get("audience", "")))}


@routes.post(f"{_ACCOUNT}:signBlob")
async def sign_blob(call: Call) -> dict[str, Any]:
    """A signature, as clients without a key of their own ask for a signed URL's."""
    try:
        payload = base64.b64decode(str((await _body(call)).get("payload", "")), validate=True)
    except binascii.Error as error:
        raise ApiError(Code.INVALID_ARGUMENT, "payload is not base64.") from error
    signature = await call.emulator.keys.sign(payload)
    return {"keyId": "emulator", "signedBlob": base64.b64encode(signature).decode("ascii")}


@routes.get("projects/{project}", versions=("v1", "v3"))
async def project(call: Call) -> dict[str, Any]:
    """Resource Manager: any project exists; v1 tells its number apart, v3 in its name."""
    settings = call.emulator.settings
    given = call.path["project"]
    number = settings.number_of(given)
    project_id = settings.project if number == settings.project_number else given
    common = {"projectId": project_id, "createTime": _CREATED}
    if call.version == "v1":
        return {"projectNumber": number, "name": project_id, "lifecycleState": "ACTIVE", **common}
    return {"name": f"projects/{number}", "displayName": project_id, "state": "ACTIVE", **common}


async def _body(call: Call) -> dict[str, Any]:
    try:
        body = json.loads(await call.request.body() or b"{}")
    except ValueError as error:
        raise ApiError(Code.INVALID_ARGUMENT, "The request is not JSON.") from error
    if not isinstance(body, dict):
        raise ApiError(Code.INVALID_ARGUMENT, "The request is not a JSON object.")
    return body


def _identity_token(audience: str) -> str:
    """An unsigned JWT in the form of an identity token: clients look into it for its expiry."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    issued = int(time.time())
    claims = {"iss": "https://accounts.google.com", "aud": audience, "iat": issued, "exp": issued + _LIFETIME}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."
