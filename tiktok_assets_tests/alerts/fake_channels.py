"""Receivers on loopback that do as they are told: webhooks that answer, refuse, stall, hang up; a mail server."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

Behaviour = Callable[[BaseHTTPRequestHandler], None]


def respond_with(status: int) -> Behaviour:
    """Answer with a status."""

    def _answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", "2")
        request.end_headers()
        request.wfile.write(b"ok")

    _answer.__name__ = f"_answer_{status}"  # what a failing example shows
    return _answer


def stall(seconds: float) -> Behaviour:
    """Take the message, and answer 200 only after a while."""

    def _stall(request: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        respond_with(200)(request)

    return _stall


def hang_up(request: BaseHTTPRequestHandler) -> None:
    """Take the message and cut the connection."""
    request.connection.close()


class Webhook:
    """A webhook and what it got; `script` holds what it does with the next messages, and then it answers 200."""

    def __init__(self, *script: Behaviour) -> None:
        self.script = list(script)
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        outer = self

        class _Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.paths.append(self.path)
                outer.bodies.append(json.loads(body))
                behaviour = outer.script.pop(0) if outer.script else respond_with(200)
                behaviour(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client may be gone
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def run_webhook(*script: Behaviour) -> Iterator[Webhook]:
    """A running webhook."""
    hook = Webhook(*script)
    try:
        yield hook
    finally:
        hook.close()


class Mailbox:
    """What an SMTP server keeps; `refusals` holds the answers to the next messages instead of accepting them."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refusals: list[str] = []
        self.unknown: set[str] = set()
        self.cuts = False

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept a recipient, unless it is unknown here."""
        del server, session, options
        if address in self.unknown:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        """Keep a mail, or refuse it."""
        del session
        if self.cuts and server.transport:
            server.transport.close()
        if self.refusals:
            return self.refusals.pop(0)
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        mail = message_from_bytes(content, _class=EmailMessage, policy=policy.default)
        self.mails.append(mail)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 kept"


@contextmanager
def run_mail_server() -> Iterator[tuple[Mailbox, int]]:
    """A running SMTP server: its box and its port."""
    box, port = Mailbox(), find_free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def find_free_port() -> int:
    """A port nobody listens on."""
    with socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
