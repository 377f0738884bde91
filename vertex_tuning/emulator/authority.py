"""What the front door shows and hands out: a certificate authority, and a service account.

The authority signs for names under `googleapis.com`, `pkg.dev` and `prediction.vertexai.goog` alone (name constraints say so
to every client), lives thirty days, belongs to one data folder, and is trusted only by programs that were handed its
bundle. It never enters a system store. The account's key is a real one, as Google's clients want it, and opens nothing.

Import this module when a program comes through the front door, not before: `cryptography` is a fifth of the
server.
"""

from __future__ import annotations

import datetime
import json
import ssl
import tempfile
import threading
from pathlib import Path
from typing import cast

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vertex_tuning.emulator.private import write_private

LIFETIME = datetime.timedelta(days=30)
_RENEW_BEFORE = datetime.timedelta(days=2)
_CLOCK_SKEW = datetime.timedelta(hours=1)
_DOMAINS = x509.NameConstraints(
    [
        x509.DNSName("googleapis.com"),
        x509.DNSName("pkg.dev"),  # registries
        x509.DNSName("prediction.vertexai.goog"),  # endpoints with a name of their own
    ],
    None,
)


class Authority:
    """The CA of one data folder: made, and renewed, when it is asked for. Safe to call from any thread."""

    def __init__(self, folder: Path) -> None:
        self._certificate_path = folder / "ca.pem"
        self._bundle_path = folder / "ca-bundle.pem"
        self._key_path = folder / "ca.key"
        self._lock = threading.Lock()
        self._pair: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None = None
        self._contexts: dict[str, ssl.SSLContext] = {}

    def bundle(self) -> Path:
        """The public CAs that Python trusts, and ours, for programs that also talk to the world."""
        with self._lock:
            self._ensure()
        return self._bundle_path

    def context(self, host: str) -> ssl.SSLContext:
        """A server's TLS context with a certificate for `host`; `http/1.1` is preferred to `h2`."""
        with self._lock:
            key, certificate = self._ensure()
            if host not in self._contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                # gRPC clients offer h2 alone; whoever offers both gets the protocol that needs no child.
                context.set_alpn_protocols(["http/1.1", "h2"])
                with tempfile.TemporaryDirectory() as folder:
                    chain = Path(folder) / "leaf.pem"
                    write_private(chain, _leaf(host, key, certificate))
                    context.load_cert_chain(chain)
                self._contexts[host] = context
            return self._contexts[host]

    def _ensure(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        if self._pair is None:
            self._pair = self._load()
        if self._pair is None or not _lasts(self._pair[1]):
            self._contexts.clear()
            self._pair = self._create()
        return self._pair

    def _load(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None:
        if not self._bundle_path.exists():
            return None
        try:
            certificate = x509.load_pem_x509_certificate(self._certificate_path.read_bytes())
            key = serialization.load_pem_private_key(self._key_path.read_bytes(), password=None)
        except (OSError, ValueError):
            return None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            return None
        # One that an earlier version made for fewer hosts is made anew.
        if not any(one.value == _DOMAINS for one in certificate.extensions):
            return None
        return key, certificate

    def _create(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("vertex-tuning emulator, this machine only")
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(sign_certificates=True), critical=True)
            .add_extension(_DOMAINS, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        # The bundle last: while it is not there, nothing of this counts.
        self._bundle_path.unlink(missing_ok=True)
        write_private(self._key_path, _pem(key))
        write_private(self._certificate_path, pem)
        write_private(self._bundle_path, Path(certifi.where()).read_bytes() + b"\n" + pem)
        return key, certificate


class ServiceAccount:
    """The account whose key file unmodified programs find as their default credentials."""

    def __init__(self, folder: Path, project: str) -> None:
        self.email = f"emulator@{project}.iam.gserviceaccount.com"
        self._path = folder / "credentials.json"
        self._project = project
        self._lock = threading.Lock()

    def key_file(self) -> Path:
        """The path of its key file, in Google's form."""
        with self._lock:
            self._ensure()
        return self._path

    def sign(self, data: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256, as `signBlob` signs."""
        with self._lock:
            pem = self._ensure()["private_key"].encode("ascii")
        key = cast("rsa.RSAPrivateKey", serialization.load_pem_private_key(pem, password=None))
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def _ensure(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._path.read_bytes())
            if found["project_id"] == self._project:
                return found
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there yet, or not to be used: a key that opens nothing is soon replaced
        body = {
            "type": "service_account",
            "project_id": self._project,
            "private_key_id": "emulator",
            "private_key": _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)).decode(
                "ascii"
            ),
            "client_email": self.email,
            "client_id": "100000000000000000000",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "universe_domain": "googleapis.com",
        }
        write_private(self._path, json.dumps(body, indent=2).encode())
        return body


def _lasts(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + _RENEW_BEFORE


def _leaf(host: str, issuer_key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate) -> bytes:
    """A certificate for one host and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(host[:64]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + _pem(key)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
