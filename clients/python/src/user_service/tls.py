"""TLS: trusted authorities, the client's certificate, and the errors of a handshake."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from typing import Optional, Union

from ._checks import expect_type, known_options
from .errors import TlsError

ALPN = "user/1"
PathLike = Union[str, "os.PathLike[str]"]

# Alerts by which a server rejects the client's certificate. They arrive after the handshake.
_REJECTIONS = {
    "CERTIFICATE_REQUIRED": "the server requires a client certificate",
    "BAD_CERTIFICATE": "bad certificate",
    "UNSUPPORTED_CERTIFICATE": "unsupported certificate",
    "CERTIFICATE_REVOKED": "certificate revoked",
    "CERTIFICATE_EXPIRED": "certificate expired",
    "CERTIFICATE_UNKNOWN": "certificate unknown",
    "UNKNOWN_CA": "unknown authority",
    "ACCESS_DENIED": "access denied",
    # A signature that does not match the certificate.
    "DECRYPT_ERROR": "decrypt error",
}


@known_options
@dataclass(frozen=True)
class Tls:
    """Configuration of TLS 1.3 with the ALPN protocol `user/1`.

    `ca` is a PEM file with the trusted authorities; `None` trusts those of the system.
    `certificate` and `key` are PEM files of the client's certificate, for a service that requires
    one. They are read for every new connection, so renewed files are used without a restart.
    `server_name` is the name in the service's certificate, if it is not the host of the address.
    """

    ca: Optional[PathLike] = None
    certificate: Optional[PathLike] = None
    key: Optional[PathLike] = field(default=None, repr=False)
    server_name: Optional[str] = None

    def __post_init__(self) -> None:
        for name in ("ca", "certificate", "key"):
            expect_type("Tls", name, getattr(self, name), str, os.PathLike, type(None))
        expect_type("Tls", "server_name", self.server_name, str, type(None))
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; one of them is missing")
        self.context()

    def context(self) -> ssl.SSLContext:
        """Returns a new context. Raises OSError if a file cannot be read or is invalid."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([ALPN])
        if self.ca is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cafile=os.fspath(self.ca))
        if self.certificate is not None and self.key is not None:
            # Without a function, OpenSSL would ask for the password on the terminal.
            context.load_cert_chain(
                os.fspath(self.certificate), os.fspath(self.key), password=lambda: b""
            )
        return context


def handshake_error(error: ssl.SSLError) -> TlsError:
    """Describes why a handshake failed."""
    rejected = rejection(error)
    if rejected is not None:
        return rejected
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsError(f"the server's certificate is not valid: {error.verify_message}")
    if "WRONG_VERSION_NUMBER" in reason or "HTTP_REQUEST" in reason:
        return TlsError("the server does not use TLS")
    if "PROTOCOL_VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason:
        return TlsError("the server does not support TLS 1.3")
    if "NO_APPLICATION_PROTOCOL" in reason:
        return no_alpn()
    return TlsError(f"the TLS handshake failed: {_words(reason) or type(error).__name__}")


def no_alpn() -> TlsError:
    return TlsError(f"the server uses TLS but did not select the protocol `{ALPN}` (ALPN)")


def rejection(error: ssl.SSLError) -> Optional[TlsError]:
    """Returns the error if it is an alert by which the server rejects the certificate."""
    reason = error.reason or ""
    if "_ALERT_" not in reason:
        return None
    text = _REJECTIONS.get(reason.split("_ALERT_", 1)[1])
    if text is None:
        return None
    if text.startswith("the server"):
        return TlsError(text)
    return TlsError(f"the server rejected the client certificate ({text})")


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ")
