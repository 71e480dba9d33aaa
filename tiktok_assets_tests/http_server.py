"""Serve HTTP requests of a test on a free port of this machine."""

from http.server import ThreadingHTTPServer
from threading import Thread


class LocalServer:
    """A server that runs in a thread from `serve` until it is closed as a context manager.

    Attributes:
        url: the URL of the server.
    """

    url: str

    def serve(self, server: ThreadingHTTPServer) -> None:
        """Start a server in a thread."""
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_port}"
        self._thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
