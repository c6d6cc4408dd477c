"""Users' secrets: kept sealed, opened for their owners' runs and for nothing else."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection

import msgspec

from mapi.domain.errors import BadRequest, Conflict, NotFound
from mapi.domain.identity import IdSource
from mapi.domain.run import now_ms
from mapi.domain.secret_input import NewSecret
from mapi.domain.secrets import OpenSecret, Secret, Value
from mapi.platform.keyring import Keyring, KeyringError
from mapi.store import SealedSecret, Store
from mcli.models.secret import SecretType

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Value).decode


class Vault:
    """The secrets of all users, sealed, in memory: every run that starts asks for its owner's."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring
        self._ids = IdSource()
        self._sealed: defaultdict[str, dict[str, SealedSecret]] = defaultdict(dict)
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Read all secrets, sealed as they are."""
        for item in await self._store.secrets():
            self._sealed[item.secret.owner_id][item.secret.name] = item

    async def add(self, owner_id: str, new: NewSecret) -> Secret:
        """Keep a secret; it cannot be changed, only deleted.

        Raises:
            Conflict: if its owner has one of this name, one in its place, or the only one of its kind.
        """
        async with self._changing:
            self._refuse_conflicts(owner_id, new)
            id_, at = self._ids.next(now_ms())
            secret = Secret(id_, owner_id, new.name, new.kind.type, new.metadata, at)
            sealed = await asyncio.to_thread(self._seal, secret, new.value)
            await self._store.add_secret(sealed)
            self._sealed[owner_id][new.name] = sealed
            return secret

    def find(
        self,
        owner_id: str,
        names: Collection[str] | None = None,
        types: Collection[SecretType] | None = None,
    ) -> list[Secret]:
        """The secrets of a user that are meant, oldest first; all of them where nothing is said."""
        return [
            item.secret
            for item in self._sealed[owner_id].values()
            if (names is None or item.secret.name in names) and (types is None or item.secret.type in types)
        ]

    async def delete(
        self, owner_id: str, names: Collection[str] | None, types: Collection[SecretType] | None
    ) -> list[Secret]:
        """Forget secrets. Runs that have them keep them.

        Raises:
            BadRequest: if nothing was named, which would mean every secret.
            NotFound: naming those that are not there; then none is deleted.
        """
        if names is None and types is None:
            raise BadRequest("deleteSecrets: filters selects no secret in particular; give name or type")
        async with self._changing:
            missing = [name for name in names or () if name not in self._sealed[owner_id]]
            if missing:
                raise NotFound(f"Secret {', '.join(missing)} not found")
            deleted = self.find(owner_id, names, types)
            await self._store.delete_secrets([secret.id for secret in deleted])
            for secret in deleted:
                del self._sealed[owner_id][secret.name]
            return deleted

    async def unseal(self, owner_id: str) -> tuple[OpenSecret, ...]:
        """Return a user's secrets with their values, oldest first.

        Raises:
            KeyringError: naming the secret that cannot be opened.
        """
        sealed = tuple(self._sealed[owner_id].values())
        if not sealed:
            return ()
        return await asyncio.to_thread(lambda: tuple(map(self._unseal, sealed)))

    def _refuse_conflicts(self, owner_id: str, new: NewSecret) -> None:
        kind, location = new.kind, new.kind.location or ""
        path = new.metadata.get(location, "") if kind.type is not SecretType.ENV_VAR else ""
        if new.name in self._sealed[owner_id]:
            raise Conflict(
                f"a secret named {new.name!r} exists already; delete it first, or choose another name"
            )
        for other in self.find(owner_id):
            if kind.single and other.type is kind.type:
                raise Conflict(f"only one {kind.type.value} secret is accepted, and there is {other.name!r}")
            if path and path in other.metadata.values():
                raise Conflict(f"{kind.input}.metadata.{location}: {path} is taken by secret {other.name!r}")

    def _seal(self, secret: Secret, value: Value) -> SealedSecret:
        return SealedSecret(secret, *self._keyring.seal(_encode(value), _about(secret)))

    def _unseal(self, item: SealedSecret) -> OpenSecret:
        try:
            value = self._keyring.unseal(item.key_id, item.sealed, _about(item.secret))
        except KeyringError as error:
            raise KeyringError(f"secret {item.secret.name!r} cannot be opened: {error}") from None
        return OpenSecret(item.secret, _decode(value))


def _about(secret: Secret) -> str:
    return f"{secret.owner_id}\0{secret.name}"
