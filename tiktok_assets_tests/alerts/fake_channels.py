"""Local HTTP and SMTP servers that play alert channels: webhooks that respond, fail, stall or hang up."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tiktok_assets_tests.processes import find_free_port

Behaviour = Callable[[BaseHTTPRequestHandler], None]


def respond_with(status: int) -> Behaviour:
    """Respond with a status."""

    def _respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", "2")
        request.end_headers()
        request.wfile.write(b"ok")

    _respond.__name__ = f"_respond_{status}"  # shown in failing examples
    return _respond


def stall(seconds: float) -> Behaviour:
    """Read the message, and respond with 200 only after a while."""

    def _stall(request: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        respond_with(200)(request)

    return _stall


def hang_up(request: BaseHTTPRequestHandler) -> None:
    """Read the message and close the connection."""
    request.connection.close()


class Webhook:
    """A webhook that records its messages; `script` holds its next behaviours, then it responds with 200.

    A body that is not JSON is recorded as `{"raw": bytes}`.
    """

    def __init__(self, *script: Behaviour) -> None:
        self.script = list(script)
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        outer = self

        class _Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.paths.append(self.path)
                is_json = "json" in self.headers.get("Content-Type", "")
                outer.bodies.append(json.loads(body) if is_json else {"raw": body})
                behaviour = outer.script.pop(0) if outer.script else respond_with(200)
                behaviour(self)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client may have disconnected
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def run_webhook(*script: Behaviour) -> Iterator[Webhook]:
    """Run a webhook."""
    hook = Webhook(*script)
    try:
        yield hook
    finally:
        hook.close()


class Mailbox:
    """The messages of an SMTP server; `refusals` holds replies that refuse the next messages."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refusals: list[str] = []
        self.unknown: set[str] = set()
        self.closes_connection = False

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept a recipient unless it is listed as unknown."""
        del server, session, options
        if address in self.unknown:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        """Store a mail, or refuse it."""
        del session
        if self.closes_connection and server.transport:
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
    """Run an SMTP server; yield its mailbox and port."""
    mailbox, port = Mailbox(), find_free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()
