"""The server's command line: `mapi serve`, `mapi config`, `mapi user`, `mapi cluster`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from mapi.config import ConfigError, Loaded, load
from mcli.version import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 done, 1 it could not be, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except ConfigError as error:
        print(f"mapi: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mapi", description="The server of the run platform.")
    parser.add_argument("--version", action="version", version=f"mapi {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    settings = argparse.ArgumentParser(add_help=False)
    settings.add_argument("--config", metavar="FILE", help="configuration file (default: HOME/mapi.yaml)")
    settings.add_argument(
        "--home", metavar="DIR", help="where all state is kept (default: ~/.mosaic/platform)"
    )
    settings.add_argument("--host", metavar="H", help="address to listen on (default: 127.0.0.1)")
    settings.add_argument("--port", metavar="N", help="port (default: a free one, kept over restarts)")
    settings.add_argument("--database", metavar="URL", help="run database (default: SQLite in HOME)")

    serve = commands.add_parser(
        "serve",
        parents=[settings],
        help="run the platform in the foreground",
        epilog="example: mapi serve --home /srv/mapi --host 0.0.0.0 --port 3001",
    )
    serve.add_argument("--ready-fd", type=int, metavar="FD", help="where to say that requests are answered")
    serve.set_defaults(command=_serve)

    config = commands.add_parser(
        "config",
        parents=[settings],
        help="print the configuration in force, and where each value comes from",
        epilog="example: mapi config --port 3001",
    )
    config.set_defaults(command=_config)

    user = commands.add_parser("user", help="users and their keys")
    actions = user.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser(
        "add",
        parents=[settings],
        help="add a user and print their API key, once",
        epilog="example: mapi user add ada --email ada@example.org",
    )
    add.add_argument("name")
    add.add_argument("--email", required=True)
    add.add_argument("--organization", default="default")
    add.set_defaults(command=_add_user)
    listing = actions.add_parser("list", parents=[settings], help="list the users")
    listing.set_defaults(command=_list_users)

    cluster = commands.add_parser("cluster", help="the clusters of the configuration")
    questions = cluster.add_subparsers(required=True, metavar="ACTION")
    check = questions.add_parser(
        "check",
        parents=[settings],
        help="print what works on a cluster, and what is missing",
        epilog="example: mapi cluster check gpus --config mapi.yaml",
    )
    check.add_argument("name", metavar="NAME", help="of the cluster")
    check.set_defaults(command=_check_cluster)
    return parser


def _load(arguments: argparse.Namespace) -> Loaded:
    flags = {name: getattr(arguments, name) for name in ("home", "host", "port", "database")}
    return load(flags, file=arguments.config)


def _serve(arguments: argparse.Namespace) -> int:
    config = _load(arguments).config
    from mapi.server import ServerError, serve

    try:
        serve(config, ready_fd=arguments.ready_fd)
    except (ServerError, RuntimeError) as error:
        print(f"mapi: {error}", file=sys.stderr)
        return 1
    return 0


def _config(arguments: argparse.Namespace) -> int:
    import msgspec

    loaded = _load(arguments)
    values = msgspec.to_builtins(loaded.config)
    values["database"] = loaded.config.database_url
    width = max(len(name) for name in values)
    for name, value in values.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        print(f"{name:<{width}}  {text or '-'}  ({loaded.origins[name]})")
    return 0


def _add_user(arguments: argparse.Namespace) -> int:
    config = _load(arguments).config
    from mapi.domain.errors import MAPIError
    from mapi.platform.accounts import Accounts, new_key
    from mapi.store import Store

    async def add() -> str:
        store = await Store.open(config.database_url)
        try:
            key = new_key()
            await Accounts(store).add(arguments.name, arguments.email, arguments.organization, key)
            return key
        finally:
            await store.close()

    try:
        print(asyncio.run(add()))
    except MAPIError as error:
        print(f"mapi: {error.message}", file=sys.stderr)
        return 1
    return 0


def _list_users(arguments: argparse.Namespace) -> int:
    config = _load(arguments).config
    from mapi.store import Store

    async def show() -> None:
        store = await Store.open(config.database_url)
        try:
            for user in await store.users():
                print(f"{user.name}\t{user.email}")
        finally:
            await store.close()

    asyncio.run(show())
    return 0


def _check_cluster(arguments: argparse.Namespace) -> int:
    config = _load(arguments).config
    from mapi.cluster_check import check_cluster

    return check_cluster(config, arguments.name)
