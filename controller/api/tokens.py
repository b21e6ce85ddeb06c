"""Authorisation: one token of a viewer and one of an operator; the service keeps only their SHA-256.

| where (the first that exists) | what |
|---|---|
| ``$CREDENTIALS_DIRECTORY/token_ROLE`` | the token, provided by systemd (``LoadCredential=token:FOLDER``) |
| ``STATE/tokens/ROLE`` | the token, mode 0600; created at the first start |
| ``STATE/tokens/ROLE.sha256`` | its hash: the token itself may be moved to its user |
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from secrets import token_urlsafe

from core.errors import Fault, InputError

FOLDER, CREDENTIALS = "tokens", "CREDENTIALS_DIRECTORY"
SCHEME = "bearer"
_TOKEN, _DIGEST = re.compile(r"[!-~]{32,256}"), re.compile(r"[0-9a-f]{64}")


class Role(StrEnum):
    """A viewer reads; an operator may do everything."""

    VIEWER = "viewer"
    OPERATOR = "operator"

    def may(self, needed: "Role") -> bool:
        """Whether this role includes the rights of ``needed``."""
        return self in (needed, Role.OPERATOR)


@dataclass(frozen=True)
class Tokens:
    """Hashes of the tokens, by role."""

    digests: Mapping[Role, bytes]

    @classmethod
    def of(cls, state: Path) -> "Tokens":
        """The tokens of a state folder; missing ones are created.

        Raises:
            InputError: a token or hash is malformed, or readable by others.
        """
        return cls({role: _digest(state, role) for role in Role})

    def role_of(self, authorization: str | None) -> Role | None:
        """The role of the value of an ``Authorization`` header; every hash is compared, in constant time."""
        scheme, _, token = (authorization or "").partition(" ")
        given = sha256(token.strip().encode()).digest()
        found = [role for role, digest in self.digests.items() if compare_digest(given, digest)]
        return found[-1] if found and scheme.lower() == SCHEME else None


def token_of(state: Path, role: Role) -> str:
    """The token that a client of this state folder sends.

    Raises:
        InputError: it is missing or unreadable.
    """
    path = _credential_path(role) or _path(state, role)
    try:
        return _token(path)
    except OSError as error:
        allowed = f"the token of the {role}, or ${CREDENTIALS} with a file {_credential(role)}"
        raise InputError([Fault(str(path), "", error.strerror or str(error), allowed)]) from error


def _digest(state: Path, role: Role) -> bytes:
    path = _path(state, role)
    kept = path.with_suffix(".sha256")
    if provided := _credential_path(role):
        return _hashed(_token(provided))
    if not path.exists():
        if kept.exists():
            return _read_digest(kept)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, token_urlsafe(32))
    if (mode := path.stat().st_mode & 0o777) & 0o077:
        raise InputError([Fault(str(path), "", f"mode {mode:o}", "600")])
    digest = _hashed(_token(path))
    if not kept.exists() or _read_digest(kept) != digest:
        _write(kept, digest.hex())
    return digest


def _path(state: Path, role: Role) -> Path:
    return state / FOLDER / role


def _credential(role: Role) -> str:
    return f"token_{role}"


def _credential_path(role: Role) -> Path | None:
    folder = os.environ.get(CREDENTIALS)
    path = Path(folder, _credential(role)) if folder else None
    return path if path and path.exists() else None


def _token(path: Path) -> str:
    token = path.read_text(encoding="ascii", errors="replace").strip()
    if not _TOKEN.fullmatch(token):
        raise InputError([Fault(str(path), "", "no token", "32 … 256 visible ASCII characters without space")])
    return token


def _read_digest(path: Path) -> bytes:
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if not _DIGEST.fullmatch(text):
        raise InputError([Fault(str(path), "", "no hash", "64 hexadecimal digits; or no file, for a new token")])
    return bytes.fromhex(text)


def _hashed(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _write(path: Path, text: str) -> None:
    """Write a temporary file and rename it: the file appears complete, and is never readable by others."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
