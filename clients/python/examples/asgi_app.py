"""Login and logout without a framework."""

import json

from user_service import Client, UserServiceError
from user_service.asgi import AuthMiddleware, access_token, peer_address, user_id
from user_service.http import to_http
from user_service.verifier import Verifier

client = Client("127.0.0.1:3001")
verifier = Verifier(client)


async def login(scope, body):
    session = await client.login(
        login=body["login"], password=body["password"], client_address=peer_address(scope)
    )
    return {
        "access_token": session.access_token.reveal(),
        "refresh_token": session.refresh_token.reveal(),
    }


async def logout(scope, body):
    ended = await client.logout(token=access_token(scope))
    return {"sessions_ended": ended.sessions_ended}


async def me(scope, body):
    return {"user": str(user_id(scope))}


ROUTES = {("POST", "/login"): login, ("POST", "/logout"): logout, ("GET", "/me"): me}


async def router(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    status, headers, answer = 404, {}, {"error": "not_found"}
    route = ROUTES.get((scope["method"], scope["path"]))
    if route is not None:
        try:
            status, answer = 200, await route(scope, await read_json(receive))
        except UserServiceError as error:
            failed = to_http(error)
            status, headers, answer = failed.status, failed.headers, failed.body
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


async def read_json(receive):
    data = b""
    while len(data) <= 100_000:
        message = await receive()
        data += message.get("body", b"")
        if not message.get("more_body"):
            break
    try:
        return json.loads(data)
    except ValueError:
        return {}


async def lifespan(receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await verifier.close()
    await client.close()
    await send({"type": "lifespan.shutdown.complete"})


app = AuthMiddleware(router, verifier, public=["/login"])
