"""The page of the command line is what the program says, and every example in it works."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from mcli.cli.docs import document
from mcli.cli.main import COMMANDS
from mcli.models.run_status import RunStatus
from tests.cli.conftest import PROGRAM, Mcli, Terminal

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"

#: A command at the start of an example, without what is said about it behind two spaces.
EXAMPLE = re.compile(r"^  ((?:eval |[A-Z_]+=\S+ )?\"?\$?\(?mcli (?:\S| \S)*)", re.MULTILINE)
EXAMPLES = [
    found
    for module, _ in COMMANDS.values()
    for found in EXAMPLE.findall(import_module(f"mcli.cli.{module}").EXAMPLES)
]

LAB = {
    "grace_seconds": 2,
    "clusters": {
        "lab": {
            "kind": "local",
            "pretend": [
                {"name": "a", "gpu_type": "a100_80gb", "gpus": 8, "cpus": 64, "count": 2},
                {"name": "c", "cpus": 64, "count": 4},
            ],
        }
    },
}
FILES = {
    "hello.yaml": {"name": "hello", "image": "bash", "command": "echo hello", "gpu_type": "none"},
    "train.yaml": {"name": "train", "image": "bash", "command": "true", "parameters": {"lr": 0.1}},
    "base.yaml": {"name": "base", "image": "bash", "gpu_type": "none"},
    "more.yaml": {"command": "true"},
}

#: Files of a person's, as they stand.
TEXTS = {
    "key.txt": "0123456789abcdef",
    "token.txt": "hf_0123456789",
    "model.license": "granted",
    ".ssh/id_ed25519": "a private key",
    ".aws/config": "[default]",
    ".aws/credentials": "[default]",
}

#: What a person types when asked; at the prompt of a shell in a run, that it was enough.
ANSWERS = {
    r"\[y/N\] $": "y\n",
    r"(API key|[Vv]alue.*): $": "0123456789abcdef\n",
    r"/work[#$] ": "exit\n",
}

#: Commands that mean a run that has not ended.
ON_ACTIVE = ("stop", "update", "watchdog", "delete", "connect")

#: What has to be there for an example that names no run.
BEFORE = {
    "mcli connect": ("interactive", "1", "--gpu-type", "none", "--no-connect"),
    "mcli delete secret wandb": ("create", "secret", "env", "WANDB_API_KEY=1", "--name", "wandb"),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mcli]:
    program = Mcli(tmp_path_factory.mktemp("docs"))
    for name, content in FILES.items():
        (program.directory / name).write_text(yaml.safe_dump(content))
    for name, text in TEXTS.items():
        (program.directory / name).parent.mkdir(exist_ok=True)
        (program.directory / name).write_text(text)
    platform = program.directory / "config" / "platform"
    platform.mkdir(parents=True)
    (platform / "mapi.yaml").write_text(yaml.safe_dump(LAB))
    (program.directory / ".config" / "fish" / "completions").mkdir(parents=True)
    program.environment |= {
        "HOME": str(program.directory),
        "PATH": f"{Path(PROGRAM).parent}:{os.environ['PATH']}",
    }
    program("set", "api-key", stdin="0123456789abcdef\n")
    yield program
    active = "pending,scheduled,queued,starting,running,terminating,stopping"
    names = program("get", "runs", "-s", active, "--limit", "none", "-o", "name").stdout.split()
    if names:
        program("stop", "runs", *names, "-y")
        for name in names:
            program.wait(name)
    program("platform", "stop")


def meant_run(lab: Mcli, command: str, name: str) -> str:
    """Submit the run that an example is about."""
    if command.split()[1] in ON_ACTIVE and "failed" not in command:
        nodes = 4 if "--rank" in command else 1
        run = lab.submit("sleep 60", name, compute={"gpu_type": "none", "nodes": nodes})
        lab.wait(run, RunStatus.RUNNING)
    else:
        compute = {"gpu_type": "none", "nodes": 4}
        run = lab.submit("echo loss=1; exit 1", name, compute=compute, scheduling={"max_retries": 1})
        lab.wait(run)
    return run


def test_the_page_is_what_the_program_says() -> None:
    assert PAGE.read_text() == document(), "python -m mcli.cli.docs > docs/cli.md"


def test_every_command_has_examples_in_the_page() -> None:
    assert {re.search(r"mcli (\w+)", example)[1] for example in EXAMPLES} == set(COMMANDS)  # type: ignore[index]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_works(lab: Mcli, example: str) -> None:
    command = example
    for name in dict.fromkeys(re.findall(r"llama-\w{6}", example)):
        command = command.replace(name, meant_run(lab, example, "llama"))
    if "tmux" in example and shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    if example in BEFORE:
        lab(*BEFORE[example])
    if "sweep-*" in example:
        for _ in range(2):
            meant_run(lab, example, "sweep-a")
    if "mcli logs" in example and "llama" not in example:
        meant_run(lab, example, "latest")
    with Terminal(["bash", "-c", command], lab.directory, lab.environment, 100, 40) as terminal:
        if "--watch" in example:
            terminal.wait_for(r"\x1b\[J")
            os.killpg(terminal.process.pid, signal.SIGINT)
        code = terminal.ended(answers=ANSWERS)
    assert "Traceback" not in terminal.seen
    assert code == 0 or "There are no runs to" in terminal.seen, terminal.seen
