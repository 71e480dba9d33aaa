"""The HTTP application: read a request, apply faults, run its endpoint and log it."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tiktok_assets.sandbox.control import control_routes
from tiktok_assets.sandbox.http.access import LoopbackGuard
from tiktok_assets.sandbox.http.broken_responses import (
    UNBOUNDED_KINDS,
    CutResponse,
    NoResponse,
    unbounded_response,
)
from tiktok_assets.sandbox.http.content import CONTENT_PATH, EXPIRY, SIGNATURE, content_of, is_valid
from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter, encode, error_envelope, success_envelope
from tiktok_assets.sandbox.http.faults import Fault, corrupt_data, insert_raw_value
from tiktok_assets.sandbox.http.params import Params
from tiktok_assets.sandbox.http.rate_limits import TIMEOUT_CODES
from tiktok_assets.sandbox.http.report_tasks import FILE_PATH
from tiktok_assets.sandbox.routes import Endpoint, find_endpoint, run_endpoint
from tiktok_assets.sandbox.state import State
from tiktok_assets.sandbox.writes.steps import objects_to_lock

SECRET_FIELDS = frozenset({"secret", "access_token", "auth_code", "client_secret", "code"})
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
FiredFaults = dict[str, Fault]
Outcome = tuple[Response, int | None]


def make_app(state: State) -> Starlette:
    """Create the ASGI application of a sandbox."""

    async def api(request: Request) -> Response:
        return await handle_request(state, request)

    async def content(request: Request) -> Response:
        return _content_response(state, request)

    async def report_file(request: Request) -> Response:
        return _report_file_response(state, request)

    methods = ["GET", "POST"]
    return Starlette(
        routes=[
            Route("/open_api/{version}/{path:path}", api, methods=methods),
            Route(CONTENT_PATH + "{name:path}", content),
            Route(FILE_PATH + "{name}", report_file),
            *control_routes(state),
        ],
        middleware=[Middleware(LoopbackGuard)],
    )


def _content_response(state: State, request: Request) -> Response:
    """Return the picture or video of a URL; 403 for one that has expired by the world's clock."""
    name, query = request.path_params["name"], request.query_params
    expires, signature = query.get(EXPIRY, ""), query.get(SIGNATURE, "")
    if not is_valid(name, expires, signature, seed=state.world.plan.seed, now=state.now):
        return Response("The URL has expired or its signature is wrong.", 403, media_type="text/plain")
    body, media_type = content_of(name)
    return Response(body, media_type=media_type)


def _report_file_response(state: State, request: Request) -> Response:
    """Return the file of a report task; 403 if its URL has expired by the world's clock, as for pictures."""
    body = state.tasks.open_file(request.path_params["name"], request.query_params, state.now)
    if body is None:
        return Response("The URL has expired or its signature is wrong.", 403, media_type="text/plain")
    return Response(body, media_type="text/csv")


async def handle_request(state: State, request: Request) -> Response:
    """Answer one request to the API, with or without the trailing slash (API notes 1.1)."""
    context = await _context(state, request)
    account = context.body.get("advertiser_id") or context.params.text("advertiser_id")
    fired = state.faults.select(context.path, str(account) if account else None)
    context.page_fault, context.fired = state.faults.page_fault(fired), fired
    response, code = await _respond(state, request, context, fired)
    # The Date header (RFC 9110 section 6.6.1) has the time of the world's clock.
    response.headers["date"] = format_datetime(state.clock.now().astimezone(UTC), usegmt=True)
    _log(state, request, context, fired, response=response, code=code)
    return response


async def _context(state: State, request: Request) -> Context:
    """Build the context of a request."""
    values = dict(request.query_params)
    body = await _read_body(request)
    if request.method == "GET" and not values:  # a GET may have a JSON body instead of a query (API notes 1.1)
        values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in body.items()}
    return Context(
        world=state.world,
        facts=state.facts,
        cache=state.cache,
        tasks=state.tasks,
        switches=state.switches,
        auth=state.auth,
        now=state.now,
        path=request.path_params["path"].strip("/"),
        params=Params(values),
        monotonic=state.monotonic,
        method=request.method,
        version=request.path_params["version"],
        body=body if request.method == "POST" else {},
        token=request.headers.get("access-token", ""),
        hidden_ids=state.hidden_ids(),
        base_url=str(request.base_url).rstrip("/"),
    )


async def _read_body(request: Request) -> dict[str, Any]:
    """Return the JSON object or form of a body; an empty object for anything else."""
    body = await request.body()
    if request.headers.get("content-type", "").startswith(FORM):  # oauth/token accepts both (API notes 2)
        return dict(parse_qsl(body.decode(errors="replace")))
    try:
        decoded = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


async def _respond(state: State, request: Request, context: Context, fired: FiredFaults) -> Outcome:
    """Return the response of a request and its business code, with latency, locks and faults applied."""
    try:
        endpoint = find_endpoint(context.version, context.path, context.method)
    except ApiError as error:
        return _fault_response(state, request, fired) or _error_response(state, error)
    if state.switches.slash_redirect and not request.path_params["path"].endswith("/"):
        return Response(status_code=307, headers={"Location": _with_slash(request)}), None
    objects = objects_to_lock(state.world, context.body) if endpoint.is_write else frozenset[str]()
    has_lock = not state.switches.optimistic_lock or state.locks.acquire(objects)
    try:
        if state.latency_seconds:
            await asyncio.sleep(state.latency_seconds)
        if "hang" in fired:
            await asyncio.sleep(fired["hang"].seconds)
        # The world may have changed during the delay.
        context.now, context.hidden_ids = state.now, state.hidden_ids()
        if "cut_before" in fired or "drip_headers" in fired:
            return await _cut_connection(state, request, fired.get("drip_headers"))
        if not has_lock:
            return _error_response(state, ApiError.from_code(40202))
        if "commit_late" in fired:
            state.run_in_background(_commit_late(state, endpoint, context, fired["commit_late"].seconds))
            return await _cut_connection(state, request)
        return await _run_or_replace(state, request, context, endpoint, fired)
    finally:
        if has_lock:
            state.locks.release(objects)


async def _run_or_replace(
    state: State, request: Request, context: Context, endpoint: Endpoint, fired: FiredFaults
) -> Outcome:
    """Run the endpoint, unless a fault replaces its response without a write."""
    replacement = _fault_response(state, request, fired)
    if replacement and not any(fault.commit for fault in fired.values()):
        if replacement[1] in TIMEOUT_CODES and context.path.endswith("integrated/get"):
            return _count_timeout(state, context, replacement)
        return replacement
    outcome = _endpoint_response(state, context, endpoint, fired)
    if "invisible" in fired:
        state.hide(context.created_ids, fired["invisible"].seconds, world=fired["invisible"].clock == "world")
    if "commit_then_cut" in fired:
        return await _cut_connection(state, request)
    return replacement or outcome


def _count_timeout(state: State, context: Context, replacement: Outcome) -> Outcome:
    """Record the time-out of a report query, unless the query is blocked already."""
    if not state.switches.timeout_penalties:
        return replacement
    query = context.params.values()
    try:
        state.penalties.check(query, state.switches.blocked_query_code)
    except ApiError as error:
        return _error_response(state, error)
    state.penalties.record_timeout(query)
    return replacement


async def _commit_late(state: State, endpoint: Endpoint, context: Context, seconds: float) -> None:
    """Run a write some seconds after its connection was closed, and log it."""
    await asyncio.sleep(seconds)
    late = replace(context, now=state.now)
    try:
        run_endpoint(late, endpoint, state.limiter, state.penalties)
    except ApiError as error:
        code = error.code
    else:
        code = late.response_code
    state.requests.append(
        _log_entry(state, late) | {"status": None, "code": code, "fault": "commit_late: committed"}
    )


async def _cut_connection(state: State, request: Request, drip: Fault | None = None) -> Outcome:
    """Close the connection of a request, or send endless headers on it."""
    if drip:
        await state.connections.drip_headers(_client_address(request), drip.seconds)
    else:
        await state.connections.cut(_client_address(request))
    return NoResponse(), None


def _client_address(request: Request) -> tuple[str, int] | None:
    return (request.client.host, request.client.port) if request.client else None


def _with_slash(request: Request) -> str:
    return str(request.url.replace(path=f"{request.url.path}/"))


def _fault_response(state: State, request: Request, fired: FiredFaults) -> Outcome | None:
    """Return the response of a fault that replaces the endpoint's, or None."""
    if "code" in fired:
        return _error_response(state, ApiError(fired["code"].code, fired["code"].message))
    if "redirect" in fired:
        fault = fired["redirect"]
        status = fault.status if 300 <= fault.status < 400 else 307
        return Response(status_code=status, headers={"Location": fault.location or str(request.url)}), None
    if response := _bad_body(fired):
        return response, None
    if "http_status" not in fired:
        return None
    fault = fired["http_status"]
    if fault.html is None:
        return _error_response(state, ApiError(50000, "System error.", http_status=fault.status))
    return Response(fault.html, fault.status, media_type="text/html"), None


def _bad_body(fired: FiredFaults) -> Response | None:
    """Return a body that is not JSON or never ends, if a fault requires it."""
    if "not_json" in fired:
        return Response(fired["not_json"].html or "<html><body>Bad gateway</body></html>", media_type=JSON)
    return next((unbounded_response(fired[kind]) for kind in UNBOUNDED_KINDS if kind in fired), None)


def _endpoint_response(state: State, context: Context, endpoint: Endpoint, fired: FiredFaults) -> Outcome:
    """Run the endpoint, and wrap its data in the envelope with the changes of the fired faults."""
    try:
        if context.method == "POST" and not context.body and not context.params.values():
            raise bad_parameter("body", "Not a valid JSON object.")
        data = run_endpoint(context, endpoint, state.limiter, state.penalties)
    except ApiError as error:
        return _error_response(state, error)
    if context.raw_body:
        content, media_type = context.raw_body
        return Response(content, media_type=media_type), context.response_code
    envelope = success_envelope(
        corrupt_data(fired, data), state.request_ids.next(state.clock.now()), code=context.response_code
    )
    if endpoint.is_flat:
        envelope |= envelope.pop("data")
    body = insert_raw_value(fired, encode(envelope))
    if "cut" in fired:
        return CutResponse(body, media_type=JSON, headers=context.headers), context.response_code
    if "truncated" in fired:
        body = body[: len(body) // 2]
    return Response(body, media_type=JSON, headers=context.headers), context.response_code


def _error_response(state: State, error: ApiError) -> tuple[Response, int]:
    body = encode(error_envelope(error, state.request_ids.next(state.clock.now())))
    return Response(body, error.http_status, media_type=JSON), error.code


def _log_entry(state: State, context: Context) -> dict[str, Any]:
    """Return the log entry of a request, without tokens, secrets and codes."""
    return {
        "time": state.clock.now().isoformat(),
        "method": context.method,
        "version": context.version,
        "path": context.path,
        "query": {key: value for key, value in context.params.values().items() if key not in SECRET_FIELDS},
        "body": {key: value for key, value in context.body.items() if key not in SECRET_FIELDS},
        "token": bool(context.token),
    }


def _log(
    state: State, request: Request, context: Context, fired: FiredFaults, *, response: Response, code: int | None
) -> None:
    """Append a request and its outcome to the log."""
    context.params = Params(dict(request.query_params) or context.params.values())
    status = None if isinstance(response, NoResponse) else response.status_code
    fault = "+".join(fired) or None
    state.requests.append(_log_entry(state, context) | {"status": status, "code": code, "fault": fault})
