"""Answer the token endpoints: both exchanges, the user's info and the revocation (API notes 2)."""

from tiktok_assets.sandbox.http.access import TOKEN_SCOPE
from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import WRONG_APP, ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING


def _credential(context: Context, name: str) -> str:
    """Return a credential from the body or else the query (API notes 2, airbytehq/airbyte)."""
    value = context.body.get(name) or context.params.text(name)
    if not value:
        raise bad_parameter(name, MISSING)
    return str(value)


def _granted_ids(context: Context) -> list[str]:
    return [one.id for one in context.world.advertisers.values() if one.granted]


def access_token(context: Context) -> ResponseData:
    """Answer oauth2/access_token: a token and the accounts that are granted now."""
    app_id, secret, code = (_credential(context, name) for name in ("app_id", "secret", "auth_code"))
    context.auth.check_app(app_id, secret, context.switches.wrong_secret_code)
    token = context.auth.exchange_code(app_id, code, context.now, context.switches.bad_code_code)
    ids = _granted_ids(context)
    return {
        "access_token": token,
        # Numbers in v1.2 (API notes 2).
        "advertiser_ids": [int(one) for one in ids] if context.version == "v1.2" else ids,
        "scope": list(TOKEN_SCOPE),
    }


def token(context: Context) -> ResponseData:
    """Answer oauth/token, the form of RFC 6749, whose response has no `data`."""
    grant_type = _credential(context, "grant_type")
    if grant_type == "refresh_token":  # long-term tokens have none (API notes 2)
        raise ApiError(40107, "Refresh token is invalid.")
    if grant_type != "authorization_code":
        raise ApiError(40108, "Grant type is invalid.")
    app_id, secret, code = (_credential(context, name) for name in ("client_id", "client_secret", "code"))
    context.auth.check_app(app_id, secret, context.switches.wrong_secret_code)
    return {
        "access_token": context.auth.exchange_code(app_id, code, context.now, context.switches.bad_code_code),
        "token_type": "Bearer",
        "advertiser_ids": _granted_ids(context),
        "scope": list(TOKEN_SCOPE),
    }


def user_info(context: Context) -> ResponseData:
    """Answer user/info, with which other programs test a token."""
    created = min(one.created for one in context.world.advertisers.values())
    return {
        "core_user_id": str(min(context.world.advertisers)),
        "display_name": "Sandbox Agency",
        "email": "s*****@sandbox.example",
        "avatar_url": "",
        "create_time": created,
    }


def revoke_token(context: Context) -> ResponseData:
    """Answer oauth2/revoke_token; afterwards the token fails with 40105."""
    app_id, secret, revoked = (_credential(context, name) for name in ("app_id", "secret", "access_token"))
    context.auth.check_app(app_id, secret, context.switches.wrong_secret_code)
    if context.auth.app_id_of(revoked) != app_id:
        raise ApiError(40001, WRONG_APP)
    context.auth.revoke(revoked)
    return {"app_id": app_id, "advertiser_ids": _granted_ids(context)}
