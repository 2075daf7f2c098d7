"""The same with Starlette, and a login. FastAPI works in the same way."""

from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from user_service import Client, UserServiceError
from user_service.asgi import AuthMiddleware, user_id
from user_service.http import to_http
from user_service.verifier import Verifier

client = Client(["127.0.0.1:3001"])
verifier = Verifier(client)


async def me(request):
    return JSONResponse({"user": str(user_id(request.scope))})


async def login(request):
    form = await request.json()
    session = await client.login(
        login=form["login"],
        password=form["password"],
        client_address=request.client.host,
    )
    return JSONResponse({"access_token": session.access_token.reveal()})


async def refused(request, error):
    answer = to_http(error)
    return JSONResponse(answer.body, answer.status, answer.headers)


@asynccontextmanager
async def lifespan(app):
    yield
    await verifier.close()
    await client.close()


app = Starlette(
    routes=[Route("/me", me), Route("/login", login, methods=["POST"])],
    middleware=[Middleware(AuthMiddleware, verifier=verifier, public=["/login"])],
    exception_handlers={UserServiceError: refused},
    lifespan=lifespan,
)
