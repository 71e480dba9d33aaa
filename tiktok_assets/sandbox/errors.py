"""The business errors the server answers with: codes of dossier 3.2, texts of dossier 3.3."""

TEXTS = {
    40001: "The advertiser does not grant you /{path}/:GET permission. Advertiser: {advertiser_id}.",
    40006: "no schema found",  # dossier 1.2, with HTTP 403
    40011: "{path}: The number of ids exceeds the limit of {limit}.",
    40100: "Too many requests. Please retry in some time.",
    40104: "Access token is empty.",
    40105: "Access token is incorrect or has been revoked.",
    40133: (
        "Advertiser ({advertiser_id})'s QPS ({seen}) reaches QPS limit {limit} for current path, "
        "request is temporarily restricted."
    ),
    40400: "Route not found.",
}


class ApiError(Exception):
    """An answer other than OK.

    Attributes:
        code: The business code.
        message: The text beside it.
        http_status: Almost always 200 (dossier 3.1).
    """

    def __init__(self, code: int, message: str, *, http_status: int = 200) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status

    @classmethod
    def of(cls, code: int, *, http_status: int = 200, **values: object) -> "ApiError":
        """Return the error of a code with its usual text."""
        return cls(code, TEXTS[code].format(**values), http_status=http_status)


def bad_parameter(path: str, problem: str) -> ApiError:
    """Return a 40002 whose text begins with the dotted path (dossier 3.3)."""
    return ApiError(40002, f"{path}: {problem}")


def invalid_metrics(names: list[str]) -> ApiError:
    """Return the 40002 that names the metrics (dossier 3.3, AB #11375)."""
    return ApiError(40002, f"Please remove invalid metric fields and try again. Invalid metric fields: {names!r}.")


def conflict() -> ApiError:
    """Return the 40002 for dimensions and metrics that do not go together (dossier 3.3)."""
    return ApiError(40002, "Conflict occurs. The input params including metrics and dimensions have no relation.")
