from .http.rate_limits import Limits as Limits
from .running import RunningSandbox as RunningSandbox
from .running import SandboxError as SandboxError
from .running import serve as serve
from .world.model import WorldPlan as WorldPlan
