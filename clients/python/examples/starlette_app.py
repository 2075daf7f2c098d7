"""Registration, login, refresh and logout with Starlette. FastAPI works in the same way."""

from contextlib import asynccontextmanager
from uuid import UUID

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from user_service import Client, UserServiceError
from user_service.asgi import AuthMiddleware, access_token, peer_address, user_id
from user_service.http import to_http
from user_service.verifier import Verifier

client = Client("127.0.0.1:3001")
verifier = Verifier(client)


def tokens(session):
    # The tokens do not print, so a log or an error cannot contain them. Here they are revealed.
    return JSONResponse(
        {
            "access_token": session.access_token.reveal(),
            "refresh_token": session.refresh_token.reveal(),
            "expires_in": session.access_expires_in,
        }
    )


async def register(request):
    form = await request.json()
    registered = await client.register(
        username=form["username"],
        email=form["email"],
        password=form["password"],
        client_address=peer_address(request.scope),
    )
    return JSONResponse({"verification_id": str(registered.verification_id)}, 201)


async def verify_email(request):
    form = await request.json()
    return tokens(
        await client.verify_email(
            verification_id=UUID(form["verification_id"]),
            code=form["code"],
            client_address=peer_address(request.scope),
        )
    )


async def login(request):
    form = await request.json()
    return tokens(
        await client.login(
            login=form["login"],
            password=form["password"],
            client_address=peer_address(request.scope),
        )
    )


async def refresh(request):
    form = await request.json()
    return tokens(
        await client.refresh_token(
            refresh_token=form["refresh_token"], client_address=peer_address(request.scope)
        )
    )


async def logout(request):
    await client.logout(token=access_token(request.scope))
    return JSONResponse({})


async def me(request):
    return JSONResponse({"user": str(user_id(request.scope))})


async def failed(request, error):
    answer = to_http(error)
    return JSONResponse(answer.body, answer.status, answer.headers)


@asynccontextmanager
async def lifespan(app):
    yield
    await verifier.close()
    await client.close()


public = ["/register", "/verify-email", "/login", "/refresh"]
app = Starlette(
    routes=[
        Route("/register", register, methods=["POST"]),
        Route("/verify-email", verify_email, methods=["POST"]),
        Route("/login", login, methods=["POST"]),
        Route("/refresh", refresh, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/me", me),
    ],
    middleware=[Middleware(AuthMiddleware, verifier=verifier, public=public)],
    exception_handlers={UserServiceError: failed},
    lifespan=lifespan,
)
