"""A published client, as a test talks to it: Python that it executes, and command lines."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import subprocess
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import yaml

from mcli.embedded import PlatformInfo

#: Seconds one request may take; anything this slow is a hang.
DEADLINE = 60

_DRIVER = Path(__file__).parent / "driver.py"

#: Proxies that refuse at once: a client must not ask the internet whether there is a newer one.
_OFFLINE = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")

#: What the first client wants to find before it does anything.
_FIRST_CONFIG: dict[str, Any] = {
    "MOSAICML_API_KEY": "",
    "feature_flags": {"USE_MCLOUD": True},
    "last_update_check": "2030-01-01T00:00:00",
    "environment_variables": [],
    "clusters": [],
    "mcloud_envs": {},
    "_user_id": None,
}

_IMPORTS = {
    "0.3.0": "import mcli.sdk as mcli\nfrom mcli.sdk import *\nfrom mcli.models import *",
    "0.5.34": "import mcli\nfrom mcli import *\nfrom mcli.api.runs import *",
}
_IMPORTS["0.6.42"] = _IMPORTS["0.8.3"] = _IMPORTS["0.5.34"]


class ClientError(Exception):
    """What the client raised. `kinds`: its class and all above it, by name."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__(f"{answer['error']}: {answer['message']}\n{answer['traceback']}")
        self.kind: str = answer["error"]
        self.kinds: list[str] = answer["kinds"]
        self.message: str = answer["message"]
        self.status: int | None = answer["status"]


class Output(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything it wrote, without colours and with lines that were wrapped joined."""
        return re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", self.out + self.err))


class Published:
    """One published client in a process of its own, pointed at a platform."""

    def __init__(self, version: str, venv: Path, home: Path, platform: PlatformInfo) -> None:
        self.version = version
        self._venv = venv
        self._home = home
        home.mkdir()
        if version == "0.3.0":
            (home / "mcli_config").write_text(yaml.safe_dump(_FIRST_CONFIG))
        self._env = {
            "PATH": f"{venv}/bin:/usr/bin:/bin",
            "HOME": str(home),
            "MCLI_CONFIG_DIR": str(home),
            "MCLI_DISABLE_UPGRADE_CHECK": "true",
            "COLUMNS": "250",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            **_OFFLINE,
            "MOSAICML_API_ENDPOINT": platform.endpoint,
            "MOSAICML_API_KEY": platform.api_key,
            "MOSAICML_MINT_ENDPOINT": platform.mint_endpoint,
        }
        self._python: subprocess.Popen[str] | None = None
        self._commands: subprocess.Popen[str] | None = None

    @property
    def path(self) -> str:
        """Where its programs are looked for."""
        return self._env["PATH"]

    def __call__(self, code: str, **names: Any) -> Any:
        """Execute Python and return the value of its last expression.

        Raises:
            ClientError: with what the client raised.
        """
        if self._python is None:
            self.forget()
        return self._execute({"code": dedent(code), "names": names, "fresh": False})

    def forget(self) -> None:
        """Let go of every name that was used, and import what a user would."""
        if self._python is None:
            self._python = self._start()
        self._execute({"code": _IMPORTS[self.version], "names": {}, "fresh": True})

    def create(self, command: str, **fields: Any) -> str:
        """Create a run, `run` in what is executed next, and return its name."""
        fields = {"name": "published", "image": "bash", "command": command, **fields}
        name: str = self("run = create_run(RunConfig(**fields)); run.name", fields=fields)
        return name

    def finished(self, command: str, **fields: Any) -> str:
        """Create a run and wait until it has ended."""
        name = self.create(command, **fields)
        self("ended = [r.status for r in watch_run_status(run, timeout=30)]")
        return name

    def cli(self, *argv: str) -> Output:
        """Run a command line."""
        if self._commands is None:
            self._commands = self._start()
        answer = _ask(self._commands, {"argv": list(argv)})
        return Output(answer["code"], answer["out"], answer["err"])

    def on_terminal(self, *argv: str, typed: str, until: str) -> tuple[int, str]:
        """Run a command line at a terminal, and type when it has shown `until`; return code and screen."""
        terminal, its_end = os.openpty()
        process = subprocess.Popen(
            [self._venv / "bin" / "python", "-W", "ignore", self._venv / "bin" / "mcli", *argv],
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
            env={**self._env, "TERM": "xterm"},
            cwd=self._home,
            start_new_session=True,
        )
        os.close(its_end)
        seen = ""
        with contextlib.suppress(OSError):  # EIO: the program has ended
            while select.select([terminal], [], [], DEADLINE)[0]:
                seen += os.read(terminal, 65536).decode(errors="replace")
                if typed and until in seen:
                    os.write(terminal, typed.encode())
                    typed = ""
        os.close(terminal)
        return process.wait(timeout=DEADLINE), seen

    def file(self, name: str, content: Any) -> str:
        """Write a YAML file and return its path."""
        path = self._home / name
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return str(path)

    def with_environment(self, home: Path, **env: str) -> Published:
        """The same client in a fresh process, with some of its environment changed."""
        other = Published.__new__(Published)
        other.__dict__ = {**self.__dict__, "_python": None, "_commands": None, "_home": home}
        other._env = {**self._env, **env}
        return other

    def close(self) -> None:
        """End the client's processes."""
        for process in (self._python, self._commands):
            if process is not None:
                process.kill()
                process.communicate()

    def _execute(self, request: Mapping[str, Any]) -> Any:
        assert self._python is not None
        answer = _ask(self._python, request)
        if "error" in answer:
            raise ClientError(answer)
        return answer["value"]

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._venv / "bin" / "python", "-W", "ignore", _DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self._env,
            cwd=self._home,
        )


def _ask(process: subprocess.Popen[str], request: Mapping[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    assert select.select([process.stdout], [], [], DEADLINE)[0], f"no answer in {DEADLINE} s to {request}"
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer
