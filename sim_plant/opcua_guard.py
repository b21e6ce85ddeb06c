"""Access control of the OPC UA server: SignAndEncrypt, one pinned client certificate, no anonymous user.

asyncua by itself accepts a session over a channel without security even if no such endpoint is offered, any client
certificate, and any user; this module refuses them when a session is activated.
"""

# asyncua re-exports without saying so, and its NewTypes of numbers and texts take plain ones.
# mypy: disable-error-code="attr-defined, arg-type"

from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto import uacrypto
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from core.config_devices import OpcUaSecurity
from core.errors import GridlabError

_NOBODY = User(UserRole.Anonymous)


class GuardError(GridlabError):
    """Security that cannot be set up."""


@dataclass(frozen=True)
class OpcUaGuard:
    """The pinned certificate (DER) of the only client, its user if there is one, and the server's own identity."""

    policy: str
    client: bytes
    user: tuple[str, str] | None
    certificate: Path
    key: Path

    @classmethod
    async def load(cls, security: OpcUaSecurity, folder: Path, key: Path) -> "OpcUaGuard":
        """The guard that admits a client with this configuration. ``key`` belongs to the server's certificate.

        Raises:
            GuardError: a file cannot be read or has the wrong content.
        """
        try:
            client = await uacrypto.load_certificate(folder / security.certificate)
            text = (folder / security.user_file).read_text() if security.user_file else None
            user = None if text is None else tuple(text.splitlines()[:2])
            if user is not None and len(user) != 2:
                raise ValueError("no user name and password, one a line")
        except (OSError, ValueError) as error:
            raise GuardError(f"OPC UA: {security.certificate}, {security.user_file}: {error}") from error
        certificate = folder / security.server_certificate
        return cls(security.policy, client.public_bytes(Encoding.DER), user, certificate, key)

    async def protect(self, server: Server) -> None:
        """Give the server its identity, one security policy and one kind of user.

        Raises:
            GuardError: certificate or key of the server cannot be read.
        """
        try:
            await server.load_certificate(self.certificate)
            await server.load_private_key(self.key)
        except (OSError, ValueError) as error:
            raise GuardError(f"OPC UA: {self.certificate}, {self.key}: {error}") from error
        await server.set_application_uri(_application_uri(server.iserver.certificate) or server.get_application_uri())
        server.set_security_policy([ua.SecurityPolicyType[f"{self.policy}_SignAndEncrypt"]])
        server.set_identity_tokens([ua.UserNameIdentityToken if self.user else ua.X509IdentityToken])

    def get_user(
        self,
        iserver: InternalServer,  # noqa: ARG002
        username: str | None = None,
        password: str | None = None,
        certificate: bytes | None = None,
    ) -> User | None:
        """The user if certificate, name and password match, else None. asyncua calls it with the content of the
        identity token.
        """
        if certificate is None or not compare_digest(certificate, self.client):
            return None
        if self.user is None:
            return User(UserRole.User)
        given = f"{username}\n{password}".encode()
        return User(UserRole.User, username) if compare_digest(given, "\n".join(self.user).encode()) else None


class GuardedServer(InternalServer):
    """Creates sessions that check the certificate of the channel, not only the identity token.

    Its endpoints have the address that the client asked for, path included: some clients require that.
    """

    def __init__(self, guard: OpcUaGuard | None) -> None:
        super().__init__(user_manager=guard)
        self._guard = guard

    def create_session(
        self,
        name: str,
        user: User = _NOBODY,
        external: bool = False,
    ) -> InternalSession:
        """Called by asyncua for each client."""
        session = _GuardedSession(self, self.aspace, self.subscription_service, name, user, external)
        session.guard = self._guard
        return session

    async def get_endpoints(
        self, params: ua.GetEndpointsParameters | None = None, sockname: tuple[str, int] | None = None
    ) -> list[ua.EndpointDescription]:
        """The endpoints at the address that the client asked for; asyncua would leave the path out."""
        endpoints = await super().get_endpoints(params, sockname)
        if params and params.EndpointUrl:
            for endpoint in endpoints:
                endpoint.EndpointUrl = params.EndpointUrl
        return endpoints


class _GuardedSession(InternalSession):
    guard: OpcUaGuard | None = None

    def activate_session(
        self, params: ua.ActivateSessionParameters, peer_certificate: bytes | None
    ) -> ua.ActivateSessionResult:
        """Activate the session only on a channel of the pinned client."""
        if self.guard and (peer_certificate is None or not compare_digest(peer_certificate, self.guard.client)):
            raise ServiceError(ua.StatusCodes.BadSecurityChecksFailed)
        return super().activate_session(params, peer_certificate)


def _application_uri(certificate: x509.Certificate) -> str | None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), None)
