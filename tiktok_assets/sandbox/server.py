"""The HTTP face: routes, the order of checks, faults and the request log."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC
from email.utils import format_datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tiktok_assets.sandbox.context import Context
from tiktok_assets.sandbox.control import control_routes
from tiktok_assets.sandbox.envelope import encode, failed, ok
from tiktok_assets.sandbox.errors import ApiError
from tiktok_assets.sandbox.faults import Fault, page_trick, spoil
from tiktok_assets.sandbox.listing import ENDPOINTS as LISTS
from tiktok_assets.sandbox.params import Params
from tiktok_assets.sandbox.reports import report
from tiktok_assets.sandbox.state import State

VERSION = "v1.3"
ENDPOINTS: dict[str, Callable[[Context], dict[str, Any]]] = {**LISTS, "report/integrated/get": report}
UNLOGGED = frozenset({"secret", "access_token"})
JSON = "application/json"


class CutResponse(Response):
    """Sends half of its body and leaves the rest out, so that the connection breaks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's shape
        """Send the headers of the whole and the first half of the body."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await asyncio.sleep(0.05)  # let the half arrive before the connection goes


def make_app(state: State) -> Starlette:
    """Return the ASGI application over a state."""

    async def api(request: Request) -> Response:
        return await answer(state, request)

    methods = ["GET", "POST"]
    return Starlette(
        routes=[Route("/open_api/{version}/{path:path}", api, methods=methods), *control_routes(state)]
    )


async def answer(state: State, request: Request) -> Response:
    """Answer one API request, with or without the trailing slash (dossier 1.1)."""
    path = request.path_params["path"].strip("/")
    values = await _values(request)
    if state.latency_seconds:
        await asyncio.sleep(state.latency_seconds)
    fault = state.faults.pick(path, values.get("advertiser_id"))
    if fault and fault.kind == "hang":
        await asyncio.sleep(fault.seconds)
    response, code = _instead(state, request, fault) or _ordinary(state, request, path, values, fault)
    # Every HTTP server tells its clock (RFC 9110 section 6.6.1); the sandbox's clock is its world's.
    response.headers["date"] = format_datetime(state.clock.now().astimezone(UTC), usegmt=True)
    state.requests.append(
        {
            "time": state.clock.now().isoformat(),
            "method": request.method,
            "path": path,
            "query": {key: value for key, value in values.items() if key not in UNLOGGED},
            "status": response.status_code,
            "code": code,
            "fault": fault.kind if fault else None,
            "token": "access-token" in request.headers,
        }
    )
    return response


async def _values(request: Request) -> dict[str, str]:
    """Return the parameters: of the query, or of a GET's JSON body (dossier 1.1)."""
    values = dict(request.query_params)
    body = await request.body()
    if not body or values:
        return values
    try:
        found = json.loads(body)
    except ValueError:
        return values
    if not isinstance(found, dict):
        return values
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}


def _instead(state: State, request: Request, fault: Fault | None) -> tuple[Response, int | None] | None:
    """Return the answer a fault gives in place of the ordinary one."""
    kind = fault.kind if fault else None
    if fault is None or kind not in ("code", "http_status", "not_json", "redirect"):
        return None
    if kind == "code":
        return _failed(state, ApiError(fault.code, fault.message))
    if kind == "redirect":
        status = fault.status if 300 <= fault.status < 400 else 307
        return Response(status_code=status, headers={"Location": fault.location or str(request.url)}), None
    if kind == "not_json":
        return Response(fault.html or "<html><body>Bad gateway</body></html>", media_type=JSON), None
    if fault.html is None:
        return _failed(state, ApiError(50000, "System error.", http_status=fault.status))
    return Response(fault.html, fault.status, media_type="text/html"), None


def _ordinary(
    state: State, request: Request, path: str, values: dict[str, str], fault: Fault | None
) -> tuple[Response, int | None]:
    context = Context(
        world=state.world,
        facts=state.facts,
        cache=state.cache,
        switches=state.switches,
        now=state.now,
        path=path,
        params=Params(values),
        trick=page_trick(fault),
    )
    try:
        data = _data(state, request, context)
    except ApiError as error:
        return _failed(state, error)
    body = encode(ok(spoil(fault, data), state.request_ids.next(state.clock.now())))
    if fault and fault.kind == "cut":
        return CutResponse(body, media_type=JSON, headers=context.headers), 0
    if fault and fault.kind == "truncated":
        body = body[: len(body) // 2]
    return Response(body, media_type=JSON, headers=context.headers), 0


def _data(state: State, request: Request, context: Context) -> dict[str, Any]:
    if request.path_params["version"] != VERSION:  # dossier 1.2, 3.1
        raise ApiError.of(40006, http_status=403)
    if context.path not in ENDPOINTS or request.method != "GET":  # dossier 3.2; the status is uncertain
        raise ApiError.of(40400, http_status=404)
    # The order of checks (dossier 10 #3, 3.3): token, then (ours) limits, shape, grants, data.
    token = request.headers.get("access-token")
    if not token:
        raise ApiError.of(40104)
    if token != state.world.token:
        raise ApiError.of(40105)
    state.limiter.admit(context.path, context.params.text("advertiser_id"))
    return ENDPOINTS[context.path](context)


def _failed(state: State, error: ApiError) -> tuple[Response, int]:
    body = encode(failed(error, state.request_ids.next(state.clock.now())))
    return Response(body, error.http_status, media_type=JSON), error.code
