"""How a run reaches the platform: as its owner, for as long as its execution goes on, with no set-up."""

from __future__ import annotations

import msgspec

from mapi.domain.runtime import File, Injection

#: Where a run finds its token, on every cluster that allows a mount.
TOKEN_PATH = "/mnt/access/token"


class Endpoints(msgspec.Struct, frozen=True):
    """Where the platform answers: its GraphQL API, and its shells."""

    api: str
    mint: str

    @classmethod
    def at(cls, url: str) -> Endpoints:
        """The endpoints of the platform that answers at a URL."""
        base = url.rstrip("/")
        return cls(f"{base}/graphql", f"{base.replace('http', 'ws', 1)}/v1/shell")


class Access(msgspec.Struct, frozen=True):
    """The platform's endpoints, and the token of one execution."""

    endpoints: Endpoints
    token: str

    def __repr__(self) -> str:
        return f"Access({self.endpoints!r})"


def access_injection(access: Access, root: str = "") -> Injection:
    """Return what lets a program in a run call the platform.

    Args:
        access: the execution's.
        root: a directory that stands for `/`, where files cannot be shown at the paths they are meant for.
    """
    token = File(root + TOKEN_PATH, access.token, 0o400)
    env = {
        "MOSAICML_API_ENDPOINT": access.endpoints.api,
        "MOSAICML_MINT_ENDPOINT": access.endpoints.mint,
        "MOSAICML_ACCESS_TOKEN_FILE": token.path,
        # A key in a configuration file that happens to be here would win, and is perhaps another platform's
        "MOSAICML_API_KEY": "",
    }
    return Injection((token,), env)
