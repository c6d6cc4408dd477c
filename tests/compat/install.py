"""The published clients, each in a virtual environment of its own: made once, kept for every later run.

Exact versions of a client and of all it needs are in `clients/<version>.txt`; an environment is named after
the content of that file, so that a change of a pin makes a new one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

#: Each published client, and the Python it was made for.
PYTHON = {"0.3.0": "3.9", "0.5.34": "3.11", "0.6.42": "3.11", "0.8.3": "3.11"}

#: A program that brings a published client of its own.
COMPOSER = "composer"

_PINS = Path(__file__).parent / "clients"
_AT_ONCE = 2


class NoPython(Exception):
    """There is no Python of the version a client needs."""


def directory(version: str) -> Path:
    """Where the environment of a client is, or will be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    mark = hashlib.sha256((_PINS / f"{version}.txt").read_bytes()).hexdigest()[:12]
    return cache / "mcli-platform" / "clients" / f"{version}-{mark}"


def install(version: str) -> Path:
    """Return the environment of a client, made if it is not there yet.

    Raises:
        NoPython: if its Python is not on this machine.
    """
    place = directory(version)
    if place.exists():
        return place
    python = _find_python(PYTHON.get(version, "3.11"))
    name = version if version == COMPOSER else f"mosaicml-cli {version}"
    print(f"\ninstalling {name} into {place} (once)", file=sys.stderr, flush=True)
    unfinished = place.with_name(f"{place.name}.{os.getpid()}")
    subprocess.run([python, "-m", "venv", unfinished], check=True)
    pip: list[str | Path] = [unfinished / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--requirement", _PINS / f"{version}.txt"], check=True)
    try:
        unfinished.rename(place)
    except OSError:  # another process was as far
        shutil.rmtree(unfinished)
    print(f"installed {name}", file=sys.stderr, flush=True)
    return place


def install_all() -> dict[str, Path | NoPython]:
    """Return the environment of every client, or why there is none."""

    def attempt(version: str) -> Path | NoPython:
        try:
            return install(version)
        except NoPython as error:
            return error

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(PYTHON, pool.map(attempt, PYTHON), strict=True))


def _find_python(wanted: str) -> str:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = sorted((pyenv / "versions").glob(f"{wanted}.*/bin/python"))
    for candidate in (sys.executable, shutil.which(f"python{wanted}"), *map(str, installed)):
        if candidate and _version_of(candidate) == wanted:
            return candidate
    raise NoPython(f"this client needs Python {wanted}, which was not found on PATH or in {pyenv}")


def _version_of(python: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return answer.stdout.strip()
