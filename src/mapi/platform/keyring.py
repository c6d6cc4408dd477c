"""The platform's keys: what seals secrets at rest, and signs the tokens of runs.

The first key seals and signs; every key opens and checks. So a key is replaced by putting a new one before
it, and thrown away when nothing is sealed with it any more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence

_KEY = 32
_NONCE = 12


class KeyringError(RuntimeError):
    """A key is no key, or not there; the message says which."""


def new_key_text() -> str:
    """Return a fresh key, as `Keyring.parse` reads it."""
    return base64.urlsafe_b64encode(os.urandom(_KEY)).decode()


class Keyring:
    """Keys of 256 random bits. Each is used for one purpose only: what is used is derived from it."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {hmac.digest(key, b"id", hashlib.sha256).hex()[:16]: key for key in keys}

    @classmethod
    def parse(cls, text: str, source: str) -> Keyring:
        """Read keys from text: one a line, each 32 bytes in URL-safe base64.

        Args:
            text: the keys.
            source: where they are from, for messages.

        Raises:
            KeyringError: if there is none, or one is not what it should be.
        """
        try:
            keys = [base64.b64decode(word, altchars=b"-_", validate=True) for word in text.split()]
        except (binascii.Error, ValueError):
            keys = []
        if not keys or any(len(key) != _KEY for key in keys):
            raise KeyringError(f"{source} must hold keys, one a line: {_KEY} random bytes in URL-safe base64")
        return cls(keys)

    def seal(self, value: bytes, about: str) -> tuple[str, bytes]:
        """Encrypt a value (AES-256-GCM); returns the id of the key and what to keep.

        Args:
            value: what nobody may read.
            about: whose it is and what it is called: needed again to open it, so that it cannot be moved.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key_id = next(iter(self._keys))
        nonce = os.urandom(_NONCE)
        return key_id, nonce + AESGCM(self._derived(key_id, b"seal")).encrypt(nonce, value, about.encode())

    def unseal(self, key_id: str, sealed: bytes, about: str) -> bytes:
        """Return what was sealed.

        Raises:
            KeyringError: its key is not here, or it was changed, or it belongs to something else.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if key_id not in self._keys:
            raise KeyringError(f"it was sealed with the key {key_id}, which is not in the keyring")
        try:
            return AESGCM(self._derived(key_id, b"seal")).decrypt(
                sealed[:_NONCE], sealed[_NONCE:], about.encode()
            )
        except InvalidTag:
            raise KeyringError("it is not what was sealed: the database was changed") from None

    def sign(self, message: str) -> str:
        """Return the signature of a message."""
        return self._signature(next(iter(self._keys)), message)

    def is_signed(self, message: str, signature: str) -> bool:
        """True if `signature` was made by `sign` for this message, with any of the keys."""
        return any(
            hmac.compare_digest(self._signature(key_id, message).encode(), signature.encode())
            for key_id in self._keys
        )

    def _signature(self, key_id: str, message: str) -> str:
        digest = hmac.digest(self._derived(key_id, b"sign"), message.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _derived(self, key_id: str, purpose: bytes) -> bytes:
        return hmac.digest(self._keys[key_id], purpose, hashlib.sha256)
