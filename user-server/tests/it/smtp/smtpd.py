"""A real SMTP server for the tests: aiosmtpd on a free port, which it prints.

It writes every email to a file. Arguments: the mode (starttls, implicit, none, or injecting, which
is STARTTLS with an answer injected before TLS); the folder for emails; the certificate and its key.
The login is `ada` with the password `engine`.
"""

import asyncio
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

mode, folder, certificate, key = sys.argv[1:5]
received = 0


def secure(server):
    return server.transport.get_extra_info("sslcontext") is not None


class Handler:
    async def handle_DATA(self, server, session, envelope):
        global received
        received += 1
        facts = f"X-Login: {session.auth_data or ''}\r\nX-Tls: {secure(server)}\r\n"
        partial = os.path.join(folder, f".{received}.part")
        with open(partial, "wb") as file:
            file.write(facts.encode() + envelope.content)
        os.rename(partial, os.path.join(folder, f"{received:06}.eml"))
        return "250 accepted"


class Injecting(SMTP):
    """An attacker in the middle, who cannot read TLS but can send an answer before it."""

    async def push(self, status):
        if str(status).startswith("220 Ready"):
            status = "220 Ready\r\n250-injected\r\n250 AUTH PLAIN LOGIN"
        await super().push(status)


def login(server, session, envelope, mechanism, data):
    if isinstance(data, LoginPassword) and (data.login, data.password) == (b"ada", b"engine"):
        return AuthResult(success=True, handled=False, auth_data=data.login.decode())
    return AuthResult(success=False, handled=False, auth_data=None)


def protocol():
    over_tls = {} if mode == "none" else {"authenticator": login, "auth_required": True}
    if mode == "implicit":
        # aiosmtpd recognises only TLS that was started by STARTTLS.
        over_tls |= {"auth_require_tls": False}
    if mode in ("starttls", "injecting"):
        over_tls |= {"tls_context": context, "require_starttls": True}
    kind = Injecting if mode == "injecting" else SMTP
    return kind(Handler(), hostname="smtp.test", loop=loop, **over_tls)


async def serve():
    implicit = context if mode == "implicit" else None
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=implicit)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


context = None
if mode != "none":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(serve())
