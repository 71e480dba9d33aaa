"""Apps, access tokens and authorization codes: who may call, and for how long (dossier 2)."""

from dataclasses import dataclass, field
from hashlib import sha256

from tiktok_assets.sandbox.errors import TEXTS, ApiError

CODE_SECONDS = 3600  # an auth_code is good for one hour, once (dossier 2)
# Bare numbers, one of them past 2^53: the trap of dossier 1.5, 2.1, 10 #4.
SCOPE = (4, 20, 7_543_056_879_933_489_153)


@dataclass
class Code:
    """One authorization code; `issued` is an instant of the world's clock."""

    app_id: str
    issued: int
    used: bool = False


@dataclass
class Auth:
    """The apps with their secrets, the live tokens with their apps, and the codes handed out."""

    seed: int
    apps: dict[str, str]
    tokens: dict[str, str]
    codes: dict[str, Code] = field(default_factory=dict)
    _made: int = 0

    def app_of(self, token: str) -> str:
        """Return the app a token belongs to; a wrong or revoked one is 40105."""
        if token not in self.tokens:
            raise ApiError.of(40105)
        return self.tokens[token]

    def check_app(self, app_id: str, secret: str, code: int) -> None:
        """Refuse an unknown app or a wrong secret."""
        if self.apps.get(app_id) != secret:
            raise ApiError(code, "The app_id or the secret is incorrect.")

    def issue_code(self, app_id: str, now: int) -> str:
        """Return a fresh auth_code, as the browser would bring it back."""
        code = self._secret("code")[:40]
        self.codes[code] = Code(app_id, now)
        return code

    def exchange(self, app_id: str, auth_code: str, now: int, refusal: int) -> str:
        """Return a token for a code: once, within the hour, for its own app; else the code of the refusal."""
        code = self.codes.get(auth_code)
        if code is None or code.used or code.app_id != app_id or not 0 <= now - code.issued < CODE_SECONDS:
            raise ApiError(refusal, TEXTS[40110])
        code.used = True
        token = f"sandbox-token-{self._secret('token')[:26]}"
        self.tokens[token] = app_id
        return token

    def revoke(self, token: str) -> None:
        """End a token for good."""
        self.tokens.pop(token, None)

    def _secret(self, kind: str) -> str:
        self._made += 1
        return sha256(f"{self.seed}:{kind}:{self._made}".encode()).hexdigest()
