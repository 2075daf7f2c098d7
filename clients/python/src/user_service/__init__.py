"""A client of the user service.

    from user_service import Client

    async with Client("127.0.0.1:3001") as client:
        session = await client.login(login="ada", password="...")

`user_service.asgi` protects an ASGI application, and `user_service.verifier` checks access tokens
without a call for each token.
"""

from . import _messages as messages
from ._messages import ErrorCode
from ._node import NodeStatus
from ._options import AUTO
from .client import Client
from .config import Config
from .errors import (
    BadReply,
    ClientClosed,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    InvalidRequest,
    PlaintextRefused,
    ServerError,
    TlsError,
    TooManyCalls,
    UserServiceError,
)
from .secret import Secret
from .tls import Tls

__version__ = "0.1.0"

__all__ = [
    "AUTO",
    "BadReply",
    "Client",
    "ClientClosed",
    "Config",
    "ConnectError",
    "ConnectionLost",
    "DeadlineExceeded",
    "ErrorCode",
    "InvalidRequest",
    "NodeStatus",
    "PlaintextRefused",
    "Secret",
    "ServerError",
    "Tls",
    "TlsError",
    "TooManyCalls",
    "UserServiceError",
    "messages",
]
