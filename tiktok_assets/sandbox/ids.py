"""Identifiers that carry their creation time (dossier 1.5)."""


class Ids:
    """Hands out identifiers, each once."""

    def __init__(self) -> None:
        self._count = 0

    def entity(self, created: int) -> str:
        """Return 16 digits: unix seconds x 2^20 + low bits."""
        self._count += 1
        return str((created << 20) | (self._count * 1031 % (1 << 20)))

    @staticmethod
    def account(created: int, low: int) -> str:
        """Return 19 digits: unix seconds x 2^32 + low bits."""
        return str((created << 32) | low)
