"""Certificates, key and user of an OPC UA session, read once at the start."""

from dataclasses import dataclass, field
from pathlib import Path

from asyncua.client.client import Client
from asyncua.crypto.security_policies import (
    SecurityPolicyAes128Sha256RsaOaep,
    SecurityPolicyAes256Sha256RsaPss,
    SecurityPolicyBasic256Sha256,
)
from asyncua.crypto.uacrypto import CertProperties
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key

from core.config_devices import OpcUaSecurity
from core.errors import InputError
from drivers.key_files import KeyFiles, certificate, private_key

Policy = (
    type[SecurityPolicyBasic256Sha256]
    | type[SecurityPolicyAes128Sha256RsaOaep]
    | type[SecurityPolicyAes256Sha256RsaPss]
)
_POLICIES: dict[str, Policy] = {
    "Basic256Sha256": SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": SecurityPolicyAes256Sha256RsaPss,
}


@dataclass(frozen=True)
class User:
    """User name and password of the session."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Credentials:
    """SignAndEncrypt with our certificate and key and the server's pinned certificate (all DER).

    Without a ``user`` the certificate identifies us; sessions are never anonymous.
    """

    policy: str
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    server_certificate: bytes = field(repr=False)
    application_uri: str
    user: User | None = None

    async def apply(self, client: Client) -> None:
        """Set up a client before it connects. Servers compare the application's URI with that in the certificate."""
        client.application_uri = self.application_uri
        await client.set_security(
            _POLICIES[self.policy],
            certificate=CertProperties(self.certificate, "der"),
            private_key=CertProperties(self.key, "der"),
            server_certificate=CertProperties(self.server_certificate, "der"),
        )
        if self.user:
            client.set_user(self.user.name)
            client.set_password(self.user.password)
        else:
            client.user_certificate = x509.load_der_x509_certificate(self.certificate)
            client.user_private_key = load_der_private_key(self.key, password=None)


def load_credentials(security: OpcUaSecurity, folder: Path) -> Credentials:
    """Load the files named in ``security``, relative to ``folder``; PEM or DER, whatever their suffix.

    Raises:
        InputError: with every file that cannot be used.
    """
    files = KeyFiles(folder)
    own = files.read(security.certificate, "our certificate, PEM or DER, with an application URI", _own)
    key = files.read(security.key, "its private key without a password, PEM or DER", private_key)
    server = files.read(security.server_certificate, "the server's certificate, PEM or DER", certificate)
    user = files.read(security.user_file, "a user name and a password, one a line", _user)
    if files.faults or own is None or key is None or server is None:
        raise InputError(files.faults)
    ours, uri = own
    return Credentials(security.policy, ours, key, server.public_bytes(Encoding.DER), uri, user)


def _own(content: bytes) -> tuple[bytes, str]:
    """The certificate in DER, and the application's URI in it."""
    own = certificate(content)
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uri, *_ = names.get_values_for_type(x509.UniformResourceIdentifier)
    return own.public_bytes(Encoding.DER), uri


def _user(content: bytes) -> User:
    name, password = content.decode().splitlines()
    return User(name, password)
