"""Shells as any client meets them: a real server, a real run, a real terminal."""

import time
from pathlib import Path

import pytest

from mcli import get_run, stop_run, wait_for_run_status
from mcli.models.mint_message import TerminalSize
from tests.clusters.local_stage import processes_of
from tests.conftest import PlatformOfTests, wait_until
from tests.shell.terminal import Connection, running


def processes(run_id: str) -> int:
    from mapi.domain.run import ExecutionId

    return len(processes_of(ExecutionId(run_id, 0)))


def test_it_is_a_terminal_to_type_at(machine: PlatformOfTests) -> None:
    with Connection(machine.running(), running()) as shell:
        shell.type("tty; echo $((6 * 7))\n")
        shell.until("\r\n42\r\n")
        assert "/dev/pts/" in shell.seen
        shell.type("ps -o sid=,tpgid=,pid= -p $$ | awk '{print ($1 == $3) \"leads\"}'\n")
        shell.until("1leads\r\n")


def test_its_size_is_that_of_the_client_from_the_start_and_after_every_change(
    machine: PlatformOfTests,
) -> None:
    command = "trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.01; done"
    with Connection(machine.running(), running(), command=command, size=TerminalSize(132, 43)) as shell:
        shell.until("43 132")
        shell.resize(TerminalSize(100, 50))
        shell.until("50 100")
        assert shell.closed() == (1000, "exit code 0")


@pytest.mark.parametrize("size", [TerminalSize(0, 0), TerminalSize(-5, 2**31 - 1)])
def test_a_size_that_no_terminal_has_does_no_harm(machine: PlatformOfTests, size: TerminalSize) -> None:
    with Connection(machine.running(), running(), command="stty size", size=size) as shell:
        assert shell.closed() == (1000, "exit code 0")


def test_ctrl_c_interrupts_what_runs_and_not_the_shell(machine: PlatformOfTests) -> None:
    with Connection(machine.running(), running()) as shell:
        shell.type("bash -c 'echo be\"\"gin; exec sleep 1000'; echo never\n")
        shell.until("begin\r\n")
        shell.type("\x03")
        shell.until("^C")
        shell.type("echo al''ive\n")
        shell.until("alive\r\n")
        assert "\r\nnever" not in shell.seen


def test_characters_survive_wherever_frames_are_cut(machine: PlatformOfTests) -> None:
    text = "".join(map(chr, (0xE4, 0x20AC, 0x1F680, 0x5B57))) * 3000
    run = running(env_variables={"TEXT": text})
    with Connection(machine.running(), run, command='echo "$TEXT"') as shell:
        assert shell.closed()[0] == 1000
    assert shell.seen == f"{text}\r\n"
    assert len(shell.frames) > 1


def test_what_is_typed_may_be_any_character(machine: PlatformOfTests) -> None:
    with Connection(machine.running(), running(), command="read line; echo got $line") as shell:
        shell.type("äß€🚀\n")
        shell.until("got äß€🚀\r\n")


def test_it_is_where_the_command_of_its_rank_is(machine: PlatformOfTests) -> None:
    command = "pwd > here; echo $CUDA_VISIBLE_DEVICES > devices; taskset -pc $$ > cpus; touch up; sleep 1000"
    run = running(command, parameters={"lr": 0.1}, env_variables={"OWN": "mine"}, cpus=1)
    look = (
        "until [ -e up ]; do sleep 0.01; done; echo $RUN_NAME $NODE_RANK $OWN $PARAMETERS; "
        "cat /mnt/config/parameters.yaml; [ $(pwd) = $(cat here) ] && echo same place; "
        "[ $(taskset -pc $$ | cut -d: -f2) = $(cut -d: -f2 cpus) ] && echo same cpus; echo term $TERM"
    )
    with Connection(machine.running(), run, command=look) as shell:
        assert shell.closed() == (1000, "exit code 0")
    lines = shell.seen.split("\r\n")
    assert lines[0] == f"{run.name} 0 mine /mnt/config/parameters.yaml"
    assert lines[1:5] == ["lr: 0.1", "same place", "same cpus", "term xterm-256color"]


def test_each_rank_has_its_own(lab: PlatformOfTests) -> None:
    run = running(compute={"nodes": 2, "gpus": 16, "gpu_type": "a100_80gb"})
    for rank in (0, 1):
        with Connection(lab.running(), run, rank=rank, command="echo rank $NODE_RANK of $NUM_NODES") as shell:
            shell.until(f"rank {rank} of 2")


def test_its_end_is_said_with_its_exit_code(machine: PlatformOfTests) -> None:
    run = running()
    for command, code in (("exit 3", 3), ("kill -9 $$", 137), ("true", 0)):
        with Connection(machine.running(), run, command=command) as shell:
            assert shell.closed() == (1000, f"exit code {code}")
    with Connection(machine.running(), run) as shell:
        shell.type("exit 5\n")
        assert shell.closed() == (1000, "exit code 5")


def test_what_it_leaves_in_the_background_does_not_keep_it(machine: PlatformOfTests) -> None:
    with Connection(machine.running(), running(), command="sleep 1000 & echo on") as shell:
        assert shell.closed() == (1000, "exit code 0")
        assert shell.seen == "on\r\n"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"run": "nobody-Ab12Cd"}, "Run nobody-Ab12Cd not found"),
        ({"rank": 1}, "has no node of rank 1; it has 0 to 0"),
        ({"rank": "first"}, "node rank 'first' is not a whole number"),
        ({"key": "wrong"}, "the API key is not known here: check MOSAICML_API_KEY"),
        ({"key": ""}, "no API key was given: set MOSAICML_API_KEY"),
        ({"headers": {"Container": "MODEL"}}, "no container 'MODEL'; there is MAIN"),
        ({"headers": {"Commands": "ls"}}, "Commands: 'ls' is not a JSON list of one string"),
        ({"headers": {"Commands": '["ls", "pwd"]'}}, "is not a JSON list of one string"),
    ],
)
def test_what_cannot_be_connected_is_told_with_the_reason(
    machine: PlatformOfTests, how: dict[str, object], reason: str
) -> None:
    with Connection(machine.running(), **{"run": running(), **how}) as shell:  # type: ignore[arg-type]
        code, said = shell.closed()
        assert code == 1002
        assert reason in said


def test_a_run_that_does_not_run_is_told_as_such(machine: PlatformOfTests) -> None:
    run = running("true")
    wait_for_run_status(run, "COMPLETED", timeout=20)
    with Connection(machine.running(), run) as shell:
        assert shell.closed() == (1002, f"run {run.name} is COMPLETED: only one that is RUNNING takes shells")


def test_a_rank_that_has_ended_is_told_as_such(lab: PlatformOfTests) -> None:
    run = running(
        "[ $NODE_RANK = 1 ] || sleep 1000", compute={"nodes": 2, "gpus": 16, "gpu_type": "a100_80gb"}
    )
    wait_until(lambda: str(get_run(run).nodes[1].status) == "COMPLETED", "rank 1 has ended")
    with Connection(lab.running(), run, rank=1) as shell:
        assert shell.closed() == (1002, "rank 1 does not run: it has ended, or has not started yet")


def test_a_frame_that_cannot_be_understood_is_told(machine: PlatformOfTests) -> None:
    with Connection(machine.running(), running()) as shell:
        shell.socket.send(b"\xff\xff\xff")
        assert shell.closed()[0] == 1002


def test_a_bearer_token_is_a_key(machine: PlatformOfTests) -> None:
    platform = machine.running()
    with Connection(platform, running(), command="echo in", key=f"Bearer {platform.api_key}") as shell:
        assert shell.closed()[0] == 1000


def test_it_ends_with_the_run_at_once_and_leaves_nothing(machine: PlatformOfTests) -> None:
    run = running("until [ -e end ]; do sleep 0.01; done")
    with Connection(machine.running(), run) as shell, Connection(machine.running(), run) as other:
        for each in (shell, other):
            each.type("echo rea''dy; (trap '' HUP; sleep 1000) & sleep 1000\n")
            each.until("ready\r\n")
        began = time.monotonic()
        with Connection(machine.running(), run, command="touch end") as third:
            third.closed()
        assert shell.closed()[0] == 1000
        assert other.closed()[0] == 1000
        ended = wait_for_run_status(run, "COMPLETED", timeout=20)
        assert time.monotonic() - began < 2
        assert processes(ended.run_uid) == 0


def test_a_run_is_stopped_whatever_runs_in_its_shells(machine: PlatformOfTests) -> None:
    run = running()
    command = "trap '' HUP TERM INT; echo deaf; while :; do sleep 0.1; done"
    with Connection(machine.running(), run, command=command) as shell:
        shell.until("deaf")
        stop_run(run)
        wait_for_run_status(run, "STOPPED", timeout=20)
        assert processes(run.run_uid) == 0


@pytest.mark.parametrize("deaf", [False, True])
def test_a_client_that_vanishes_leaves_nothing(machine: PlatformOfTests, deaf: bool) -> None:
    run = running("exec sleep 1000")
    wait_until(lambda: processes(run.run_uid) == 1, "only the command runs")
    ignore = "trap '' HUP; " if deaf else ""
    command = f"{ignore}echo up; sleep 1000; sleep 1000"
    shell = Connection(machine.running(), run, command=command)
    shell.until("up")
    wait_until(lambda: processes(run.run_uid) == 3, "the command, the shell and what it runs")
    shell.socket.socket.close()
    wait_until(lambda: processes(run.run_uid) == 1, "its shell has ended")
    assert str(get_run(run).status) == "RUNNING"


def test_no_descriptor_is_left_of_a_shell(machine: PlatformOfTests) -> None:
    platform, run = machine.running(), running()
    server = Path(f"/proc/{platform.pid}/fd")

    def terminals() -> int:
        return sum("ptmx" in str(link.readlink()) for link in server.iterdir() if link.is_symlink())

    for _ in range(3):
        with Connection(platform, run, command="true") as shell:
            shell.closed()
        with Connection(platform, run) as shell:
            shell.type("echo on''ce\n")
            shell.until("once\r\n")
    wait_until(lambda: terminals() == 0, "no terminal is open")


def test_a_reader_that_is_slow_slows_down_the_shell_and_nothing_is_piled_up(
    machine: PlatformOfTests,
) -> None:
    platform, run = machine.running(), running()

    def memory() -> int:
        status = Path(f"/proc/{platform.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def progress() -> int:
        return progress_file.stat().st_size if progress_file.exists() else 0

    (work,) = machine.home.glob(f"clusters/*/runs/{run.run_uid}/0/0/work")
    progress_file = work / "progress"
    command = "for n in $(seq 400); do head -c 262144 /dev/zero | tr '\\0' x; echo -n . >> progress; done"
    before = memory()
    with Connection(platform, run, command=command) as shell:
        wait_until(lambda: progress() > 0, "it prints")
        still, at = progress(), time.monotonic()
        while time.monotonic() - at < 0.5:  # it has come to a halt when nothing changes for a while
            time.sleep(0.05)
            if progress() != still:
                still, at = progress(), time.monotonic()
        assert still < 200
        assert memory() - before < 30_000
        received = 0
        while received < 10_000_000:
            received += len(shell.socket.recv(timeout=20))
        wait_until(lambda: progress() > still, "it goes on")


def test_input_that_nobody_reads_does_not_hide_that_the_client_left(machine: PlatformOfTests) -> None:
    run = running("exec sleep 1000")
    shell = Connection(machine.running(), run, command="stty raw -echo; echo up; exec sleep 1000")
    shell.until("up")
    for _ in range(40):
        shell.type("x" * 5000)
    shell.socket.socket.close()
    wait_until(lambda: processes(run.run_uid) == 1, "its shell has ended")


def test_the_first_clients_speak_text(machine: PlatformOfTests) -> None:
    with Connection(machine.running(), running(), plain=True) as shell:
        shell.type("e")
        for character in "cho ä€🚀 $((1 + 1))\n":
            shell.type(character)
        shell.until("ä€🚀 2\r\n")
        shell.type("exit\n")
        assert shell.closed() == (1000, "exit code 0")
        assert {type(frame) for frame in shell.frames} == {str}


def test_a_client_that_waits_for_the_prompt_in_silence_gets_it_as_text(machine: PlatformOfTests) -> None:
    with Connection(machine.running(), running(), plain=True) as shell:
        shell.receive()
        assert isinstance(shell.frames[0], str)


def test_a_client_with_a_command_and_without_a_terminal_gets_bytes(machine: PlatformOfTests) -> None:
    with Connection(machine.running(), running(), command="echo in", size=None) as shell:
        assert shell.closed() == (1000, "exit code 0")
        assert b"".join(frame for frame in shell.frames if isinstance(frame, bytes)) == b"in\r\n"


def test_text_that_is_none_is_shown_as_such_to_the_first_clients(machine: PlatformOfTests) -> None:
    with Connection(machine.running(), running(), plain=True) as shell:
        shell.type("printf '\\303\\050 \\377 o''k'\n")
        shell.until("� ok")


def test_a_shell_can_be_had_after_the_server_was_killed_and_none_is_left_of_before(
    machine: PlatformOfTests,
) -> None:
    run = running("exec sleep 1000")
    lost = Connection(machine.running(), run, command="echo up; sleep 1000; sleep 1000")
    lost.until("up")
    machine.kill()
    wait_until(lambda: processes(run.run_uid) == 1, "its shell has ended")
    with Connection(machine.running(), get_run(run), command="echo again") as shell:
        shell.until("again")
