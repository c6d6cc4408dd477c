"""`mcli create secret`: keep something that runs need and nobody may read.

A value need not be on the command line, where others see it and the shell remembers it: it is asked for, or
read from a file or from stdin.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mcli.cli.output import note

if TYPE_CHECKING:
    from mcli.models.secret import Secret

EXAMPLES = """\
  mcli create secret env WANDB_API_KEY                 asks for the value, unseen
  mcli create secret hf < token.txt
  mcli create secret git-ssh ~/.ssh/id_ed25519
  mcli create secret mounted model.license --mount-path /licenses/model
  mcli create secret s3                                the files of ~/.aws
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the kinds of secrets, each with what it is made of."""
    things = parser.add_subparsers(dest="thing", required=True, metavar="secret")
    secret = things.add_parser("secret", aliases=["secrets"], help="keep a secret, for all later runs")
    kinds = secret.add_subparsers(dest="kind", required=True, metavar="|".join(_FORMS))
    for name, form in _FORMS.items():
        kind = kinds.add_parser(name, help=form.help)
        for flag, how in form.arguments.items():
            kind.add_argument(flag, **how)
        kind.add_argument("--name", help="what it is called (default: made from its kind)")
        kind.add_argument("--no-input", action="store_true", help="ask nothing")
        kind.set_defaults(make=form.make)


def run(args: argparse.Namespace) -> int:
    """Create the secret; print its name."""
    from mcli import create_secret

    created = create_secret(args.make(args))
    print(created.name)
    note("Every run that starts from now on gets it. `mcli delete secret NAME` takes it back")
    return 0


class _Form(NamedTuple):
    """What a kind of secret is made of on the command line."""

    help: str
    make: Callable[[argparse.Namespace], Secret]
    arguments: dict[str, dict[str, Any]]


def _environment(args: argparse.Namespace) -> Secret:
    from mcli.models.secret import MCLIEnvVarSecret

    key, given, value = args.variable.partition("=")
    return MCLIEnvVarSecret(
        _name(args, key, unique=True), key=key, value=value if given else _asked(args, f"value of {key}")
    )


def _hugging_face(args: argparse.Namespace) -> Secret:
    from mcli.models.secret import MCLIEnvVarSecret

    token = args.token or _asked(args, "token")
    return MCLIEnvVarSecret(_name(args, "hf-token"), key="HF_TOKEN", value=token)


def _of_file(class_name: str, base: str = "", argument: str = "file") -> Callable[..., Secret]:
    """A kind that is one file; `base`: what it is called, by default as the file and a few letters."""

    def make(args: argparse.Namespace) -> Secret:
        import mcli

        path = getattr(args, argument)
        name = _name(args, base or Path(path).name, unique=not base)
        secret: Secret = getattr(mcli, class_name)(name, mount_path=args.mount_path, value=_read(path))
        return secret

    return make


def _docker(args: argparse.Namespace) -> Secret:
    from mcli.models.secret import MCLIDockerSecret

    return MCLIDockerSecret(
        _name(args, "docker"),
        username=args.username,
        password=args.password or _asked(args, "password"),
        email=args.email,
        server=args.server,
    )


def _s3(args: argparse.Namespace) -> Secret:
    from mcli.models.secret import MCLIS3Secret

    return MCLIS3Secret(
        _name(args, "s3"),
        mount_directory=args.mount_directory,
        config=_read(args.config_file),
        credentials=_read(args.credentials_file),
        profile=args.profile,
    )


def _oci(args: argparse.Namespace) -> Secret:
    from mcli.api.exceptions import MCLIException
    from mcli.models.secret import MCLIOCISecret

    config = _read(args.config_file)
    named = re.search(r"(?m)^\s*key_file\s*=\s*(.+?)\s*$", config)
    key_file = args.key_file or (named and named[1])
    if not key_file:
        raise MCLIException(f"{args.config_file} names no key_file; give it with --key-file")
    return MCLIOCISecret(
        _name(args, "oci"), mount_directory=args.mount_directory, config=config, key_file=_read(key_file)
    )


def _databricks(args: argparse.Namespace) -> Secret:
    from mcli.models.secret import MCLIDatabricksSecret

    return MCLIDatabricksSecret(
        _name(args, "databricks"), host=args.host, token=args.token or _asked(args, "token")
    )


def _name(args: argparse.Namespace, base: str, *, unique: bool = False) -> str:
    if args.name:
        return str(args.name)
    name = re.sub(r"[^a-z0-9]+", "-", base.lower()).strip("-") or "secret"
    if not unique:
        return name
    import secrets
    import string

    return name + "-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(4))


def _read(path: str) -> str:
    from mcli.api.exceptions import MCLIException

    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise MCLIException(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise MCLIException(f"{path}: not a text file (byte {error.start} is not UTF-8)") from None


def _asked(args: argparse.Namespace, what: str) -> str:
    """Return what a person types, unseen, or what stdin has."""
    import getpass

    from mcli.api.exceptions import MCLIException

    if sys.stdin.isatty():
        if args.no_input:
            raise MCLIException(f"the {what} is missing, and --no-input says not to ask for it")
        return getpass.getpass(f"{what[0].upper()}{what[1:]}: ")
    given = sys.stdin.read().rstrip("\n")
    if not given:
        raise MCLIException(f"the {what} is missing: give it on stdin")
    return given


_MOUNT_PATH = {"--mount-path": {"help": "directory of the file in runs (default: /secrets/NAME)"}}
_MOUNT_DIRECTORY = {"--mount-directory": {"help": "directory of the files in runs (default: /secrets/NAME)"}}
_KEY_FILE = {"file": {"metavar": "KEYFILE", "help": "the private key"}, **_MOUNT_PATH}

_FORMS = {
    "env": _Form(
        "an environment variable",
        _environment,
        {"variable": {"metavar": "KEY[=VALUE]", "help": "without a value, it is asked for"}},
    ),
    "hf": _Form(
        "a Hugging Face token, as HF_TOKEN",
        _hugging_face,
        {"--token": {"help": "the token (default: asked for)"}},
    ),
    "mounted": _Form(
        "a file",
        _of_file("MCLIMountedSecret"),
        {"file": {"metavar": "FILE", "help": "the file"}, **_MOUNT_PATH},
    ),
    "ssh": _Form("a private key", _of_file("MCLISSHSecret"), _KEY_FILE),
    "git-ssh": _Form("the private key that git uses", _of_file("MCLIGitSSHSecret", "git-ssh"), _KEY_FILE),
    "sftp-ssh": _Form("the private key for SFTP", _of_file("MCLISFTPSSHSecret", "sftp-ssh"), _KEY_FILE),
    "docker": _Form(
        "credentials of an image registry",
        _docker,
        {
            "--username": {"required": True, "help": "the user"},
            "--password": {"help": "the password or token (default: asked for)"},
            "--email": {"help": "the user's e-mail address"},
            "--server": {"help": "URL of the registry"},
        },
    ),
    "s3": _Form(
        "the configuration and credentials of AWS",
        _s3,
        {
            "--config-file": {"default": "~/.aws/config", "help": "default: ~/.aws/config"},
            "--credentials-file": {"default": "~/.aws/credentials", "help": "default: ~/.aws/credentials"},
            "--profile": {"help": "profile that runs use"},
            **_MOUNT_DIRECTORY,
        },
    ),
    "gcp": _Form(
        "the credentials of a Google Cloud service account",
        _of_file("MCLIGCPSecret", "gcp", "credentials_file"),
        {"--credentials-file": {"required": True, "help": "the JSON file"}, **_MOUNT_PATH},
    ),
    "oci": _Form(
        "the configuration and key of Oracle Cloud",
        _oci,
        {
            "--config-file": {"default": "~/.oci/config", "help": "default: ~/.oci/config"},
            "--key-file": {"help": "the private key (default: the one the configuration names)"},
            **_MOUNT_DIRECTORY,
        },
    ),
    "databricks": _Form(
        "host and token of a Databricks workspace",
        _databricks,
        {
            "--host": {"required": True, "help": "URL of the workspace"},
            "--token": {"help": "the token (default: asked for)"},
        },
    ),
}
