"""Send the tests' requests to a sandbox through TikTok's SDK instead of plain HTTP."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import business_api_client as sdk
from business_api_client.tiktok_business.tiktok_exceptions import TiktokSDKError

from tiktok_assets_tests.official_sdk.models import Json
from tiktok_assets_tests.official_sdk.operations import load_operations
from tiktok_assets_tests.sandbox.conftest import Api

_FAILURE = re.compile(
    r"Error Code: (?P<code>\d+), message: (?P<message>.*), request_id: (?P<id>\S+?)(, data: .*)?", re.DOTALL
)


@dataclass
class SdkApi(Api):
    """The same interface as `Api`; operations that the SDK does not have are sent by plain HTTP.

    The SDK raises for every code but 0, so 20001, partial success, is an error for it. `responses` has the
    operation and envelope of each of its calls.
    """

    responses: list[tuple[str, dict[str, Json]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Configure the SDK for the sandbox."""
        configuration = sdk.Configuration()
        configuration.host = self.sandbox.base_url
        self.client = sdk.ApiClient(configuration)

    def get(self, path: str, *, token: str | None = None, **params: object) -> dict[str, Any]:
        """Return the envelope of a GET."""
        if path not in load_operations():
            return super().get(path, token=token, **params)
        return self._call(path, token, params)

    def post(self, path: str, *, token: str | None = None, **body: object) -> dict[str, Any]:
        """Return the envelope of a POST."""
        if path not in load_operations():
            return super().post(path, token=token, **body)
        return self._call(path, token, body)

    def _call(self, path: str, token: str | None, sent: Mapping[str, Json]) -> dict[str, Any]:
        token = self.sandbox.token if token is None else token
        try:
            read = load_operations()[path].call(self.client, token, sent)
            envelope = {"code": 0, "message": "OK", **read}
        except TiktokSDKError as error:
            envelope = _read_failure(str(error))
        self.responses.append((path, envelope))
        return envelope


def _read_failure(text: str) -> dict[str, Json]:
    """Return the envelope of a failure; the SDK's error has its parts in its text only."""
    found = _FAILURE.fullmatch(text)
    assert found, text
    return {"code": int(found["code"]), "message": found["message"], "request_id": found["id"], "data": {}}
