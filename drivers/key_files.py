"""Reads files of certificates and keys once at the start, and names each that cannot be used."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from core.errors import Fault, shown

_PEM = b"-----BEGIN"
T = TypeVar("T")


class KeyFiles:
    """Reads files and collects their faults."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[Fault] = []

    def read(self, file: Path | None, allowed: str, parse: Callable[[bytes], T]) -> T | None:
        """The parsed file; None if there is none, or a fault."""
        if file is None:
            return None
        path = self.folder / file
        try:
            return parse(path.read_bytes())
        except OSError as error:
            self.faults.append(Fault(str(path), "", shown(error.strerror), "a readable file"))
        except (ValueError, TypeError, x509.ExtensionNotFound):
            self.faults.append(Fault(str(path), "", "something else", allowed))
        return None


def certificate(content: bytes) -> x509.Certificate:
    """Parse a certificate in PEM or DER, distinguished by its content.

    Raises:
        ValueError: it is no certificate.
    """
    pem = content.startswith(_PEM)
    return x509.load_pem_x509_certificate(content) if pem else x509.load_der_x509_certificate(content)


def private_key(content: bytes) -> bytes:
    """A private key without a password, in DER.

    Raises:
        ValueError, TypeError: it is no private key, or has a password.
    """
    load = load_pem_private_key if content.startswith(_PEM) else load_der_private_key
    return load(content, password=None).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
