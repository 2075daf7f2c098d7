"""An HTTP service that only end users with a valid access token can use."""

from user_service import Client
from user_service.asgi import AuthMiddleware, user_id
from user_service.verifier import Verifier


async def hello(scope, receive, send):
    body = f"hello {user_id(scope)}\n".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


app = AuthMiddleware(hello, Verifier(Client("127.0.0.1:3001")))
