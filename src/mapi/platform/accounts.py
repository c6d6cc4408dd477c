"""Who is asking: users, organizations, and the keys that stand for them.

A key is 256 random bits, so its SHA-256 digest is all that is kept, and all that is needed to know it again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

from mapi.domain.errors import BadRequest, Unauthorized
from mapi.domain.identity import IdSource
from mapi.domain.query import Scope
from mapi.domain.run import now_ms
from mapi.domain.user import Caller, Organization, User
from mapi.store import Store

DEFAULT_ORGANIZATION = "default"


def new_key() -> str:
    """Return a fresh API key."""
    return secrets.token_urlsafe(32)


def digest(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).digest()


class Accounts:
    """The users of a platform, in memory; one that another process adds is met when its key first comes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ids = IdSource()
        self._users: dict[str, User] = {}
        self._organizations: dict[str, Organization] = {}
        self._callers: dict[bytes, Caller] = {}

    async def open(self) -> None:
        """Read all users."""
        self._users = {user.id: user for user in await self._store.users()}
        self._organizations = {item.id: item for item in await self._store.organizations()}

    async def add(self, name: str, email: str, organization: str, key: str) -> User:
        """Add a user with a key.

        Raises:
            BadRequest: if the e-mail address is taken.
        """
        await self.open()
        if any(user.email == email for user in self._users.values()):
            raise BadRequest(f"a user with the e-mail address {email!r} exists already")
        at = now_ms()
        named = [item for item in self._organizations.values() if item.name == organization]
        home = named[0] if named else Organization(self._ids.next(at)[0], organization)
        user = User(self._ids.next(at)[0], name, email, home.id)
        await self._store.add_account(home, user, digest(key), at)
        await self.open()
        return user

    async def ensure_owner(self, name: str, email: str, key: str) -> None:
        """Make sure that a key is known: the first user's, who is added to a platform that has none yet."""
        if self._store.user_of(digest(key)) is not None:
            return
        if self._users:
            await self._store.add_key(next(iter(self._users)), digest(key), now_ms())
        else:
            await self.add(name, email, DEFAULT_ORGANIZATION, key)

    def caller(self, authorization: str) -> Caller:
        """Return whom an `Authorization` header stands for: a plain key, or `Bearer` and a token.

        Raises:
            Unauthorized: if it stands for nobody.
        """
        key = authorization.removeprefix("Bearer ").strip()
        if not key:
            raise Unauthorized("no API key was given: set MOSAICML_API_KEY")
        mark = digest(key)
        known = self._callers.get(mark)
        if known is None:
            user = self._store.user_of(mark)
            if user is None:
                raise Unauthorized("the API key is not known here: check MOSAICML_API_KEY")
            self._users[user.id] = user
            known = _caller(user)
            self._callers[mark] = known
        return known

    def owner(self, user_id: str) -> Caller:
        """A user as the one who asks, where something of theirs asks for them."""
        return _caller(self.user(user_id))

    def user(self, user_id: str) -> User:
        """A user by id; one that is gone keeps the id as its name."""
        return self._users.get(user_id) or User(user_id, user_id, "", "")

    def find(
        self, caller: Caller, ids: Iterable[str] | None = None, emails: Iterable[str] | None = None
    ) -> list[User]:
        """The users of the caller's organization that are meant; all of them where nobody is named."""
        wanted_ids = None if ids is None else set(ids)
        wanted_emails = None if emails is None else set(emails)
        return [
            user
            for user in self._users.values()
            if user.organization_id == caller.organization_id
            and (wanted_ids is None or user.id in wanted_ids)
            and (wanted_emails is None or user.email in wanted_emails)
        ]

    def organization(self, caller: Caller) -> Organization:
        """The caller's organization."""
        return self._organizations[caller.organization_id]

    def owner_ids(self, caller: Caller, scope: Scope | None) -> list[str]:
        """Whose runs a caller asks for: its own, unless others of its organization are named."""
        if scope is None or (
            scope.emails is None and scope.user_ids is None and scope.organization_ids is None
        ):
            return [caller.user_id]
        if scope.organization_ids is not None and caller.organization_id not in scope.organization_ids:
            return []
        return [user.id for user in self.find(caller, scope.user_ids, scope.emails)]

    def may_see(self, caller: Caller, owner_id: str) -> bool:
        """Runs are seen within an organization, and changed by their owner."""
        return self.user(owner_id).organization_id == caller.organization_id


def _caller(user: User) -> Caller:
    return Caller(user.id, user.name, user.email, user.organization_id)
