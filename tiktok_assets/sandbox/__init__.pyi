from .http.rate_limits import Limits as Limits
from .running import RunningSandbox as RunningSandbox
from .running import SandboxError as SandboxError
from .running import build_demo_plan as build_demo_plan
from .running import serve as serve
