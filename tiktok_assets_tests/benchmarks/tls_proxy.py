"""A TLS proxy that serves a sandbox under the name of TikTok's host, for programs with a fixed base URL."""

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HOST = "business-api.tiktok.com"
_MAX_BYTES = 1 << 18


@contextmanager
def run_tls_proxy(base_url: str, folder: Path) -> Iterator[dict[str, str]]:
    """Run the proxy; yield the environment variables with its address and its certificate authority.

    Args:
        base_url: of the sandbox.
        folder: where key and certificate are made.
    """
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True)  # noqa: S603
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    host, _, port = base_url.removeprefix("http://").partition(":")
    ready: list[int] = []
    loop, begun = asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _enter(reader, writer, context, (host, int(port)))

        server = await asyncio.start_server(enter, "127.0.0.1", 0)
        ready.append(server.sockets[0].getsockname()[1])
        begun.set()
        await asyncio.Event().wait()

    def run() -> None:
        asyncio.set_event_loop(loop)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    begun.wait(10)
    try:
        yield {"HTTPS_PROXY": f"http://127.0.0.1:{ready[0]}", "SSL_CERT_FILE": str(certificate)}
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join(10)


async def _enter(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    context: ssl.SSLContext,
    sandbox: tuple[str, int],
) -> None:
    """Serve one connection: CONNECT, then TLS, then forward both directions."""
    request = await reader.readuntil(b"\r\n\r\n")
    if not request.startswith(f"CONNECT {HOST}:443 ".encode()):
        writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        writer.close()
        return
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await writer.drain()
    await writer.start_tls(context)
    answers, questions = await asyncio.open_connection(*sandbox)
    await asyncio.gather(_pass(reader, questions), _pass(answers, writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while received := await reader.read(_MAX_BYTES):
            writer.write(received)
            await writer.drain()
    writer.close()
