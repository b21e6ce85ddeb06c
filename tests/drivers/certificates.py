"""Certificates for tests, and the files that a configuration names."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def issue(folder: Path, name: str, days: float = 1, by: str | None = None, *, authority: bool = False) -> None:
    """NAME.pem and NAME_key.pem, valid from yesterday for ``days`` from now, signed by itself or ``by`` another."""
    key = rsa.generate_private_key(65537, 2048)
    subject = _named(name)
    signer = load_pem_private_key((folder / f"{by}_key.pem").read_bytes(), None) if by else key
    assert isinstance(signer, rsa.RSAPrivateKey)
    now = datetime.now(UTC)
    names = [x509.UniformResourceIdentifier(f"urn:gridlab:test:{name}"), x509.DNSName("localhost")]
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_named(by or name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .sign(signer, SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{name}_key.pem").write_bytes(private)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
