"""Encrypted connections, and what to say when they do not come about."""

from dataclasses import dataclass
from pathlib import Path

import grpc

from hs.errors import UsageError


@dataclass(frozen=True)
class Tls:
    """Files, PEM, of an encrypted connection.

    Attributes:
        ca: the authority that signed the server's certificate.
        certificate, key: our own, where the server asks for one.
        name: in the server's certificate, where it is not that of the address.
    """

    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """The same for gRPC.

        Raises:
            UsageError: if a file cannot be read or is no PEM file.
        """
        return grpc.ssl_channel_credentials(_pem(self.ca), _pem(self.key), _pem(self.certificate))


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if b"-----BEGIN" not in content:  # gRPC would find out at the handshake, and not say which file it was
        raise UsageError(f"{path} is no PEM file: it has no line -----BEGIN …-----")
    return content


# Parts of gRPC's own messages: the status code is UNAVAILABLE for all of them.
_SENTENCE_FOR = {
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not one that {ca} signed, or has expired",
    "Hostname Verification": "its certificate is for another name",
    "WRONG_VERSION_NUMBER": "it does not encrypt, but server.tls is set",
    "security handshaker": "{ca}, or our own certificate and key, cannot be used",
}
_CLOSED_AT_ONCE = "Socket closed"


def handshake_trouble(details: str, tls: Tls | None) -> str | None:
    """What is wrong with the encryption, by gRPC's words for a connection that failed; None if it is something else.

    >>> handshake_trouble("Custom verification check failed with error: Hostname Verification Check failed.", None)
    'its certificate is for another name'
    """
    for words, sentence in _SENTENCE_FOR.items():
        if words in details:
            return sentence.format(ca=tls.ca if tls else "the authority")
    return None


def closed_trouble(details: str, tls: Tls | None) -> str | None:
    """What may be wrong if a server closes every new connection: a server that is just going does so too."""
    if _CLOSED_AT_ONCE not in details:
        return None
    if tls is None:
        return "it closes the connection at once: it may want encryption (server.tls)"
    ours = f"does not trust {tls.certificate}" if tls.certificate else "asks for a certificate of ours"
    return f"it closes the connection at once: it may be that it {ours} (server.tls.certificate and key)"
