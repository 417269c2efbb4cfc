# SPDX-License-Identifier: Apache-2.0
"""The API over TLS, as a process: with a certificate of its own, and another one after SIGHUP."""

import datetime
import ipaddress
import signal
import socket
import ssl
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kilonova.base.clock import SystemClock
from kilonova.base.errors import KilonovaError
from kilonova.cmd.cloud_api import log_in
from kilonova.doctor import service as doctor
from kilonova.doctor.finding import Level
from tests.live.box import wait_for
from tests.service.process import Process, running
from tests.unit.cmd.test_one_box import one_sentence, up
from tests.unit.doctor.arranged import subject


def certify(directory: Path, name: str) -> str:
    """Write a certificate of 127.0.0.1 and its key; the certificate in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name_of = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = SystemClock().now()
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name_of)
        .issuer_name(name_of)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    text = certificate.public_bytes(serialization.Encoding.PEM).decode()
    (directory / "cert.pem").write_text(text)
    return text


def shown_by(process: Process) -> str:
    """The certificate that a new connection is given."""
    url = httpx.URL(process.url)
    return ssl.get_server_certificate((url.host, url.port or 0)).replace("\r", "")


def test_a_service_with_a_certificate(tmp_path: Path) -> None:
    first = certify(tmp_path, "first")
    config = f"[api]\nssl_cert_file = {tmp_path}/cert.pem\nssl_key_file = {tmp_path}/key.pem\n"
    trust = ssl.create_default_context(cadata=first)
    log = tmp_path / "log"
    with log.open("wb") as said, running(tmp_path, config, scheme="https", verify=trust, stderr=said) as process:
        headers = process.log_in()
        found = process.http.get("/compute/v2.1", headers=headers).json()["version"]["links"][0]["href"]
        assert found.startswith(process.url)
        assert f"auth_url: {process.url}/identity/v3" in (tmp_path / "clouds.yaml").read_text()
        assert shown_by(process) == first

        port = httpx.URL(process.url).port or 0
        clouds = (tmp_path / "clouds.yaml").read_text()
        with pytest.raises(KilonovaError, match="certificate verify failed"):
            log_in(tmp_path / "clouds.yaml", "kilonova")
        (tmp_path / "clouds.yaml").write_text(f"{clouds}    cacert: {tmp_path}/cert.pem\n")
        assert log_in(tmp_path / "clouds.yaml", "kilonova").call("GET", "/servers") == {"servers": []}
        looked_at = subject(tmp_path, api__port=port, api__ssl_cert_file=str(tmp_path / "cert.pem"))
        assert doctor.readiness(looked_at).level is doctor.api_port(looked_at).level is Level.OK

        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: box\r\n\r\n")
            assert not plain.recv(4096).startswith(b"HTTP/1.1 200")

        second = certify(tmp_path, "second")
        process.popen.send_signal(signal.SIGHUP)
        wait_for(lambda: shown_by(process) == second, why=log.read_text)
        assert process.http.get("/healthz").status_code == 200  # the connection that was open goes on

        (tmp_path / "cert.pem").write_text("no certificate")
        process.popen.send_signal(signal.SIGHUP)
        wait_for(lambda: "was not read again" in log.read_text(), why=log.read_text)
        assert shown_by(process) == second


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_plain_http_beyond_this_machine_is_refused(tmp_path: Path, listen: str) -> None:
    said = one_sentence(up("--state-path", str(tmp_path / "s"), "--listen", listen))
    assert "ssl_cert_file" in said
    assert "allow_plain_http" in said
    assert not (tmp_path / "s").exists()
