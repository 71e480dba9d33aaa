"""The control routes under /sandbox/, which show and change the world and its behavior; loopback only."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tiktok_assets.sandbox.http.access import control_refusal_of
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.state import State, tiktok_sandbox_limits
from tiktok_assets.sandbox.world.clock import ClockError
from tiktok_assets.sandbox.world.facts import Facts
from tiktok_assets.sandbox.world.gmv_max import convert_amounts
from tiktok_assets.sandbox.world.ground_truth import ID_AT_LEVEL
from tiktok_assets.sandbox.world.model import VIDEO_STATES, Advertiser, World
from tiktok_assets.sandbox.world.seed_data import CURRENCIES


def change_account(
    world: World, facts: Facts, advertiser: Advertiser, *, timezone: str | None, currency: str | None
) -> None:
    """Change the time zone or currency of an account, for its past days too.

    Days are split by the new time zone; budgets, bids and spend are converted at the rates of `CURRENCIES`. That
    past days change is our assumption; what TikTok does is not documented.

    Raises:
        ValueError: The time zone or currency is unknown; the account is unchanged.
    """
    account = advertiser.account
    if timezone is not None:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, OSError) as error:
            raise ValueError(f"There is no time zone {timezone!r}.") from error
        account = replace(account, timezone=timezone, display_timezone=timezone)
    if currency is not None:
        if currency not in CURRENCIES:
            raise ValueError(f"currency must be one of {', '.join(CURRENCIES)}.")
        account = replace(account, currency=currency)
    old, advertiser.account = advertiser.currency, account
    new = advertiser.currency
    _convert_amounts(
        advertiser, new.units_per_dollar * new.minor_per_unit / (old.units_per_dollar * old.minor_per_unit)
    )
    facts.clear()
    world.version += 1


def _convert_amounts(advertiser: Advertiser, rate: float) -> None:
    """Multiply all budgets, bids and spend of an account by a rate."""

    def convert(minor: int) -> int:
        return round(minor * rate)

    for shop in advertiser.shops:
        convert_amounts(shop, rate)
    for campaign in advertiser.campaigns:
        campaign.budget = convert(campaign.budget)
    for ad_group in advertiser.ad_groups:
        ad_group.budget, ad_group.bid = convert(ad_group.budget), convert(ad_group.bid)
        if ad_group.scheduled:
            instant, budget = ad_group.scheduled
            ad_group.scheduled = instant, convert(budget)
    for ad in advertiser.ads:
        ad.daily_target, ad.daily_cap = convert(ad.daily_target), convert(ad.daily_cap)
        ad.spend_script = tuple((since, until, convert(minor)) for since, until, minor in ad.spend_script)


Values = dict[str, Any]
Handler = Callable[[State, Values], Any]


def show_info(state: State, _: Values) -> Values:
    """Return the world's plan, credentials, accounts, scenario, limits and switches."""
    world = state.world
    return {
        "seed": world.plan.seed,
        "now": state.clock.now().isoformat(),
        "anchor": world.plan.anchor.isoformat(),
        "token": world.token,
        "app_id": world.app_id,
        "secret": world.secret,
        "other_token": world.other_token,
        "other_app_id": world.other_app_id,
        "advertisers": [
            {
                "advertiser_id": one.id,
                "name": one.account.name,
                "granted": one.granted,
                "timezone": one.account.timezone,
                "display_timezone": one.account.display_timezone,
                "currency": one.account.currency,
                "campaigns": len(one.campaigns),
            }
            for one in world.advertisers.values()
        ],
        "story": asdict(world.scenario) if world.scenario else None,
        "smart_plus_story": asdict(world.smart_plus_scenario) if world.smart_plus_scenario else None,
        "limits": asdict(state.limiter.limits),
        "latency_seconds": state.latency_seconds,
        "switches": asdict(state.switches),
    }


def set_clock(state: State, values: Values) -> Values:
    """Set the world's clock: {"now": iso}, {"advance_seconds": n} and/or {"running": bool}."""
    if "running" in values:
        state.clock.set(state.clock.now())
        state.clock.running = bool(values["running"])
    if "now" in values:
        state.clock.set(datetime.fromisoformat(values["now"]))
    if "advance_seconds" in values:
        state.clock.advance(values["advance_seconds"])
    return {"now": state.clock.now().isoformat(), "running": state.clock.running}


def show_faults(state: State, _: Values) -> list[Values]:
    """Return the declared faults, with how often they matched and fired."""
    return [msgspec.to_builtins(fault) for fault in state.faults.declared]


def add_fault(state: State, values: Values) -> list[Values]:
    """Declare a fault: {"kind": ..., ...} with the fields of `Fault`."""
    state.faults.declared.append(msgspec.convert(values, Fault))
    return show_faults(state, values)


def clear_faults(state: State, _: Values) -> list[Values]:
    """Remove all faults."""
    state.faults.clear()
    return []


def set_latency(state: State, values: Values) -> Values:
    """Delay every response of the API: {"seconds": x}."""
    state.latency_seconds = float(values["seconds"])
    return {"seconds": state.latency_seconds}


def set_limits(state: State, values: Values) -> Values:
    """Change any fields of `Limits`, and reset all counts."""
    _assign(state.limiter.limits, values)
    state.limiter.reset()
    return asdict(state.limiter.limits)


def set_switches(state: State, values: Values) -> Values:
    """Change any fields of `Switches`."""
    _assign(state.switches, values)
    if "tiktok_sandbox" in values:  # it has limits of its own (API notes 4.1)
        state.limiter.limits = tiktok_sandbox_limits() if state.switches.tiktok_sandbox else Limits()
        state.limiter.reset()
    return asdict(state.switches)


def _assign(target: object, values: Values) -> None:
    for name, value in values.items():
        if not hasattr(target, name):
            raise ValueError(f"There is no {name!r} here.")
        setattr(target, name, value)


def set_grant(state: State, values: Values) -> Values:
    """Grant or revoke an account: {"advertiser_id": ..., "granted": bool}."""
    advertiser = state.world.advertisers[values["advertiser_id"]]
    advertiser.granted = bool(values["granted"])
    return {"advertiser_id": advertiser.id, "granted": advertiser.granted}


def set_account(state: State, values: Values) -> Values:
    """Change the time zone or currency of an account: {"advertiser_id": ..., "timezone": ..., "currency": ...}."""
    advertiser = state.world.advertisers[values["advertiser_id"]]
    changes = {name: values.get(name) for name in ("timezone", "currency")}
    change_account(state.world, state.facts, advertiser, **changes)
    account = advertiser.account
    return {"advertiser_id": advertiser.id, "timezone": account.timezone, "currency": account.currency}


def issue_auth_code(state: State, values: Values) -> Values:
    """Issue an auth_code as a browser's authorization does: {"app_id": ..., "state": ...}, both optional."""
    app_id = values.get("app_id", state.world.app_id)
    if app_id not in state.auth.apps:
        raise LookupError(f"No app {app_id} in this world.")
    code = state.auth.issue_code(app_id, state.now)
    query = f"auth_code={code}&code={code}&state={values.get('state', '')}"
    redirect = values.get("redirect_uri", "https://agency.example/callback/")
    return {"auth_code": code, "redirected_url": f"{redirect}?{query}"}


def set_video(state: State, values: Values) -> Values:
    """Set the state of a video: {"video_id": ..., "state": "ready", "transcoding" or "deleted"}."""
    if values["state"] not in VIDEO_STATES:
        raise ValueError(f"state must be one of {', '.join(VIDEO_STATES)}.")
    state.world.video_states[values["video_id"]] = values["state"]
    return {"video_id": values["video_id"], "state": values["state"]}


def set_tasks(state: State, values: Values) -> Values:
    """Set how long report tasks take: {"queue_seconds": x, "processing_seconds": y}, in real seconds."""
    _assign(state.tasks, {name: float(value) for name, value in values.items()})
    return {"queue_seconds": state.tasks.queue_seconds, "processing_seconds": state.tasks.processing_seconds}


def clear_penalties(state: State, _: Values) -> Values:
    """Reset the penalties for time-outs of report queries."""
    state.penalties.reset()
    return {}


def show_requests(state: State, _: Values) -> list[Values]:
    """Return the logged requests to the API, oldest first."""
    return list(state.requests)


def clear_requests(state: State, _: Values) -> list[Values]:
    """Clear the log of requests."""
    state.requests.clear()
    return []


def show_true_entities(state: State, values: Values) -> list[Values]:
    """Return all entities of a kind, deleted and hidden ones included."""
    return state.truth.entities(values["kind"], state.now, values.get("advertiser_id"))


def show_true_report(state: State, values: Values) -> list[Values]:
    """Return the facts of a level, by day from start_date to end_date, or with lifetime=true in total."""
    level = values.get("level", "ad")
    if level not in ID_AT_LEVEL:
        raise ValueError(f"level must be one of {', '.join(ID_AT_LEVEL)}.")
    window = None
    if values.get("lifetime") != "true":
        window = date.fromisoformat(values["start_date"]), date.fromisoformat(values["end_date"])
    return state.truth.report(level, state.now, values["advertiser_id"], window)


ROUTES: dict[str, dict[str, Handler]] = {
    "info": {"GET": show_info},
    "clock": {"GET": lambda state, _: set_clock(state, {}), "POST": set_clock},
    "faults": {"GET": show_faults, "POST": add_fault, "DELETE": clear_faults},
    "latency": {"POST": set_latency},
    "limits": {"POST": set_limits},
    "switches": {"POST": set_switches},
    "grants": {"POST": set_grant},
    "accounts": {"POST": set_account},
    "auth_codes": {"POST": issue_auth_code},
    "videos": {"POST": set_video},
    "tasks": {"POST": set_tasks},
    "penalties": {"DELETE": clear_penalties},
    "requests": {"GET": show_requests, "DELETE": clear_requests},
    "truth/report": {"GET": show_true_report},
    "truth/{kind:str}": {"GET": show_true_entities},
}
BAD_REQUEST_ERRORS = (ClockError, ValueError, LookupError, TypeError, msgspec.ValidationError, RecursionError)


def control_routes(state: State) -> list[Route]:
    """Return the routes under /sandbox/."""
    return [
        Route(f"/sandbox/{path}", _endpoint(state, handlers), methods=list(handlers))
        for path, handlers in ROUTES.items()
    ]


def _endpoint(state: State, handlers: dict[str, Handler]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        if refusal := control_refusal_of(request, body):
            return _json_response({"error": refusal[0]}, refusal[1])
        try:
            decoded = json.loads(body) if body else {}
            if not isinstance(decoded, dict):
                raise TypeError("The body must be a JSON object.")
            values = {**request.path_params, **request.query_params, **decoded}
            return _json_response(handlers[request.method](state, values), 200)
        except BAD_REQUEST_ERRORS as error:
            message = f"{error} is missing or unknown." if isinstance(error, KeyError) else str(error)
            return _json_response({"error": message}, 400)

    return endpoint


def _json_response(value: object, status: int) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
