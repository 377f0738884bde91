"""The certificate authority of a data folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from vertex_tuning.emulator import authority
from vertex_tuning.emulator.authority import Authority


def domains(folder: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical
    return {name.value for name in found.value.permitted_subtrees or ()}


def test_it_is_kept_and_signs_for_googles_names_alone(tmp_path: Path) -> None:
    first = Authority(tmp_path).bundle().read_bytes()
    assert Authority(tmp_path).bundle().read_bytes() == first
    assert domains(tmp_path) == {"googleapis.com", "pkg.dev", "prediction.vertexai.goog"}


def test_one_that_an_earlier_version_made_for_fewer_hosts_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        fewer = x509.NameConstraints([x509.DNSName("googleapis.com")], None)
        earlier.setattr(authority, "_DOMAINS", fewer)
        Authority(tmp_path).bundle()
        assert domains(tmp_path) == {"googleapis.com"}
    Authority(tmp_path).bundle()
    assert "pkg.dev" in domains(tmp_path)
