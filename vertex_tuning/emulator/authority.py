"""The front door's certificate authority.

It signs for names under `googleapis.com` alone (a name constraint says so to every client), lives thirty days, belongs to one
data folder, and is trusted only by programs that were handed its bundle. It never enters a system store.
"""

from __future__ import annotations

import datetime
import os
import ssl
import tempfile
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=30)
_RENEW_BEFORE = datetime.timedelta(days=2)
_CLOCK_SKEW = datetime.timedelta(hours=1)
_DOMAIN = "googleapis.com"


def write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone may read; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # mkstemp files are 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    Path(temporary).replace(path)


class Authority:
    """The CA of one data folder; made, and renewed, when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.certificate_path = folder / "ca.pem"
        self.bundle_path = folder / "ca-bundle.pem"
        """The public CAs that Python trusts, and ours: for programs that also talk to the world."""
        self._key_path = folder / "ca.key"
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._key, self._certificate = self._load() or self._create()

    def context(self, host: str) -> ssl.SSLContext:
        """A server context with a certificate for `host`; `http/1.1` is preferred to `h2`."""
        if host not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            # gRPC clients offer h2 alone; whoever offers both gets the protocol that needs no child.
            context.set_alpn_protocols(["http/1.1", "h2"])
            with tempfile.TemporaryDirectory() as folder:
                chain = Path(folder) / "leaf.pem"
                write_private(chain, self._issue(host))
                context.load_cert_chain(chain)
            self._contexts[host] = context
        return self._contexts[host]

    def _load(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None:
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
            key = serialization.load_pem_private_key(self._key_path.read_bytes(), password=None)
        except (OSError, ValueError):
            return None
        soon = datetime.datetime.now(datetime.UTC) + _RENEW_BEFORE
        if certificate.not_valid_after_utc < soon or not self.bundle_path.exists():
            return None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            return None
        return key, certificate

    def _create(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vertex-tuning emulator, this machine only")])
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
            .add_extension(x509.NameConstraints([x509.DNSName(_DOMAIN)], None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        write_private(self._key_path, _pem(key))
        write_private(self.certificate_path, pem)
        write_private(self.bundle_path, Path(certifi.where()).read_bytes() + b"\n" + pem)
        return key, certificate

    def _issue(self, host: str) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(self._certificate.not_valid_after_utc)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM) + _pem(key)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
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
