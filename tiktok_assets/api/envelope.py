"""What every JSON answer is wrapped in, and how an answer without one is judged."""

from decimal import Decimal
from typing import Any

import httpx
import msgspec

from tiktok_assets.api.errors import ContractError, RetryLaterError
from tiktok_assets.spec.endpoints import Endpoint


class Envelope(msgspec.Struct):
    """Code, message, id and data (tiktok_api.md section 3.1)."""

    code: int
    message: str = ""
    request_id: str = ""
    data: Any = None


# Numbers with a fraction are money or bids: they are read from their text, never through a float.
_DECODER = msgspec.json.Decoder(Envelope, float_hook=Decimal)


def envelope_of(endpoint: Endpoint, response: httpx.Response) -> Envelope | None:
    """The envelope of an answer; None where the HTTP status alone says what is wrong.

    Raises:
        ContractError: if there is JSON that is no envelope.
        RetryLaterError: if there is no JSON; a cut body or a proxy's page, and the next answer may be whole.
    """
    status = response.status_code
    explained = status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS
    try:
        return _DECODER.decode(response.content)
    except msgspec.ValidationError as error:
        if not explained:
            raise ContractError(f"the envelope is not one: {error}", endpoint=endpoint.path) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if not explained:
            raise RetryLaterError(f"HTTP {status} without JSON: {error}", endpoint=endpoint.path) from error
    return None
