"""Whether a port of this machine is free."""

import socket

from tiktok_assets.commands.problems import Problem


def require_free(port: int) -> None:
    """Do nothing if the port is free.

    Raises:
        Problem: naming the port and the mend.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Problem(f"port {port} is in use; choose another with --port.") from error
