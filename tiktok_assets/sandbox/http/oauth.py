"""Answer the token endpoints: both exchanges, the user's info and the revocation (API notes 2)."""

from typing import Any

from tiktok_assets.sandbox.http.access import TOKEN_SCOPE
from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.errors import WRONG_APP, ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING

Answer = dict[str, Any]


def _credential(context: Context, name: str) -> str:
    """Return a credential: of the body, or of the query, which works too (dossier 2, AB)."""
    value = context.body.get(name) or context.params.text(name)
    if not value:
        raise bad_parameter(name, MISSING)
    return str(value)


def _granted_ids(context: Context) -> list[str]:
    return [one.id for one in context.world.advertisers.values() if one.granted]


def access_token(context: Context) -> Answer:
    """Answer oauth2/access_token: a token, and which accounts are granted at this moment."""
    app_id, secret, code = (_credential(context, name) for name in ("app_id", "secret", "auth_code"))
    context.auth.check_app(app_id, secret, context.switches.wrong_secret_code)
    token = context.auth.exchange(app_id, code, context.now, context.switches.bad_code_code)
    ids = _granted_ids(context)
    return {
        "access_token": token,
        # v1.2 has them as numbers (dossier 2).
        "advertiser_ids": [int(one) for one in ids] if context.version == "v1.2" else ids,
        "scope": list(TOKEN_SCOPE),
    }


def token(context: Context) -> Answer:
    """Answer oauth/token, the RFC form, which is flat."""
    grant_type = _credential(context, "grant_type")
    if grant_type == "refresh_token":  # long-term tokens have none (dossier 2)
        raise ApiError(40107, "Refresh token is invalid.")
    if grant_type != "authorization_code":
        raise ApiError(40108, "Grant type is invalid.")
    app_id, secret, code = (_credential(context, name) for name in ("client_id", "client_secret", "code"))
    context.auth.check_app(app_id, secret, context.switches.wrong_secret_code)
    return {
        "access_token": context.auth.exchange(app_id, code, context.now, context.switches.bad_code_code),
        "token_type": "Bearer",
        "advertiser_ids": _granted_ids(context),
        "scope": list(TOKEN_SCOPE),
    }


def user_info(context: Context) -> Answer:
    """Answer user/info: whose token it is, which other programs try a token with."""
    made = min(one.created for one in context.world.advertisers.values())
    return {
        "core_user_id": str(min(context.world.advertisers)),
        "display_name": "Sandbox Agency",
        "email": "s*****@sandbox.example",
        "avatar_url": "",
        "create_time": made,
    }


def revoke_token(context: Context) -> Answer:
    """Answer oauth2/revoke_token: from then on the token is 40105."""
    app_id, secret, gone = (_credential(context, name) for name in ("app_id", "secret", "access_token"))
    context.auth.check_app(app_id, secret, context.switches.wrong_secret_code)
    if context.auth.app_of(gone) != app_id:
        raise ApiError(40001, WRONG_APP)
    context.auth.revoke(gone)
    return {"app_id": app_id, "advertiser_ids": _granted_ids(context)}
