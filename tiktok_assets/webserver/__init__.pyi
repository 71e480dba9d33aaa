from .guard import is_loopback as is_loopback
from .pages import serve_pages as serve_pages
from .server import DaemonStoppedError as DaemonStoppedError
from .server import run_dagster as run_dagster
from .signals import interrupt_on_signals as interrupt_on_signals
