"""The first figures of the platform, measured through the Python API and the command line.

    make bench            prints a table, and writes benchmarks/RESULTS.md

The published client is measured beside ours, in the environment of its own that the tests keep for it.

Each figure stands beside the floor of the same run: what the machine needs to spawn a process, write a log
file and commit three times.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from benchmarks import floor
from tests.compat.install import install

RUNS = 200
BURST = 500
HISTORY = 100_000
#: The published client to compare with.
PUBLISHED = "0.8.3"
RESULTS = Path(__file__).with_name("RESULTS.md")


class Figure(NamedTuple):
    """One line of the table."""

    what: str
    value: str
    note: str = ""


def main() -> None:
    """Measure everything, print it, and keep it."""
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    for name in list(os.environ):
        if name.startswith(("MOSAICML_", "MCLI_", "MAPI_")):
            del os.environ[name]
    os.environ["MCLI_CONFIG_DIR"] = str(directory)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        figures = measure(directory)
    finally:
        from mcli import embedded

        embedded.stop()
        shutil.rmtree(directory, ignore_errors=True)
    text = report(figures)
    print(text)
    RESULTS.write_text(text)


def measure(directory: Path) -> list[Figure]:
    """Run every measurement, saying which on stderr."""
    steps: list[Callable[[Path], list[Figure]]] = [
        server_start,
        floor_figures,
        idle_memory,
        latency,
        throughput,
        log_line,
        history,
        command_line,
    ]
    figures = []
    for step in steps:
        print(f"… {step.__name__.replace('_', ' ')}", file=sys.stderr, flush=True)
        figures += step(directory)
    return figures


def server_start(_: Path) -> list[Figure]:
    """From nothing to answering: a new platform, and one that was there before."""
    from mcli import embedded

    first = timed(embedded.ensure_running)
    embedded.stop()
    again = timed(embedded.ensure_running)
    return [
        Figure("server start, new home", seconds(first)),
        Figure("server start, existing home", seconds(again)),
    ]


def floor_figures(directory: Path) -> list[Figure]:
    """The floor: one after the other."""
    taken = floor.measure(directory, RUNS)
    rate = len(taken) / sum(taken)
    return [
        Figure("floor: spawn, log file, three commits", spread(taken), "the machine's own cost"),
        Figure("floor: runs per second", f"{rate:.0f}/s"),
    ]


def idle_memory(_: Path) -> list[Figure]:
    """Resident memory of the platform's processes when nothing runs."""
    from mcli import embedded

    info = embedded.ensure_running()
    family = [info.pid, *children(info.pid)]
    resident = [proportional_kib(process) / 1024 for process in family]
    note = f"{len(family)} processes: " + " + ".join(f"{part:.0f}" for part in resident)
    return [Figure("idle memory (PSS)", f"{sum(resident):.0f} MiB", note)]


def latency(_: Path) -> list[Figure]:
    """One trivial run after the other, through the Python API."""
    from mcli import RunConfig, create_run, wait_for_run_status

    config = RunConfig(name="bench", image="bash", command="echo hello", gpu_type="none")

    def once() -> float:
        began = time.perf_counter()
        run = create_run(config)
        created.append(time.perf_counter() - began)
        wait_for_run_status(run, "COMPLETED", timeout=60)
        return time.perf_counter() - began

    created: list[float] = []
    warm_up = 20
    taken = [once() for _ in range(warm_up + RUNS)][warm_up:]
    del created[:warm_up]
    return [
        Figure("create_run", spread(created)),
        Figure("submit to COMPLETED, one at a time", spread(taken)),
    ]


def throughput(_: Path) -> list[Figure]:
    """Hundreds of runs submitted as fast as one program can, until the last has ended."""
    from mcli import Run, RunConfig, RunStatus, create_run, get_runs, wait_for_run_status

    config = RunConfig(name="burst", image="bash", command="true", gpu_type="none")
    began = time.perf_counter()
    futures: list[Future[Run]] = [create_run(config, future=True) for _ in range(BURST)]
    runs = [future.result(timeout=120) for future in futures]
    submitted = time.perf_counter() - began
    for run in runs:
        wait_for_run_status(run, "COMPLETED", timeout=120)
    taken = time.perf_counter() - began
    completed = get_runs(runs, statuses=[RunStatus.COMPLETED], timeout=60)
    assert len(completed) == BURST, f"only {len(completed)} of {BURST} completed"
    return [
        Figure(f"{BURST} runs, submitted", f"{BURST / submitted:.0f}/s"),
        Figure(f"{BURST} runs, submitted and COMPLETED", f"{BURST / taken:.0f}/s"),
    ]


def log_line(_: Path) -> list[Figure]:
    """From the moment a program writes a line to the moment a follower has it."""
    from mcli import RunConfig, create_run, follow_run_logs

    program = "import time\nfor _ in range(60): print(time.time(), flush=True); time.sleep(0.03)"
    command = f"exec {sys.executable} -c '{program}'"
    run = create_run(RunConfig(name="lines", image="bash", command=command, gpu_type="none"))
    taken = [time.time() - float(line) for line in follow_run_logs(run)]
    return [Figure("log line to follower", spread(taken[5:]))]


def history(directory: Path) -> list[Figure]:
    """The newest page of a long history."""
    from mcli import RunStatus, embedded, get_runs

    add_history(directory / "platform" / "platform.db", HISTORY)
    figures = []
    for what, call in (
        ("get_runs(limit=100)", lambda: get_runs(limit=100)),
        ("get_runs(limit=100, include_details=False)", lambda: get_runs(limit=100, include_details=False)),
        ("get_runs(statuses=[FAILED], limit=100)", lambda: get_runs(statuses=[RunStatus.FAILED], limit=100)),
    ):
        taken = [timed(call) for _ in range(30)]
        figures.append(Figure(f"{what} of {HISTORY:,} runs", spread(taken)))
    embedded.stop()
    figures.append(Figure(f"server start, {HISTORY:,} runs", seconds(timed(embedded.ensure_running))))
    return figures


def command_line(_: Path) -> list[Figure]:
    """The command line, beside the start of Python itself and, where it is at hand, the published client."""
    program = str(Path(sys.executable).with_name("mcli"))
    bare = [timed(lambda: run_program(sys.executable, "-c", "pass")) for _ in range(15)]
    figures = [Figure("python -c pass", spread(bare))]
    for arguments in (["version"], ["get", "runs"]):
        taken = [timed(lambda a=arguments: run_program(program, *a)) for _ in range(15)]  # type: ignore[misc]
        ratio = statistics.median(taken) / statistics.median(bare)
        figures.append(Figure(f"mcli {' '.join(arguments)}", spread(taken), f"{ratio:.1f} × python -c pass"))
    theirs = published_client()
    ratio = statistics.median(theirs) / statistics.median(taken)
    figures.append(
        Figure(f"mosaicml-cli {PUBLISHED}: get runs", spread(theirs), f"{ratio:.1f} × mcli get runs")
    )
    return figures


def published_client() -> list[float]:
    """The published client asking the same platform the same, without its look at a package index."""
    from mcli import embedded

    info = embedded.ensure_running()
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "MOSAICML_API_ENDPOINT": info.endpoint,
        "MOSAICML_API_KEY": info.api_key,
        "MCLI_DISABLE_UPGRADE_CHECK": "true",
    }
    programs = install(PUBLISHED) / "bin"
    command = [str(programs / "python"), str(programs / "mcli"), "get", "runs"]

    def once() -> None:
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        )

    return [timed(once) for _ in range(15)]


def add_history(database: Path, runs: int) -> None:
    """Copy one ended run, with its events, into a history of `runs` older ones."""
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    template = dict(connection.execute("SELECT * FROM runs WHERE status = 'COMPLETED' LIMIT 1").fetchone())
    events = [
        dict(row) for row in connection.execute("SELECT * FROM events WHERE run_id = ?", (template["id"],))
    ]

    def rows() -> list[dict[str, object]]:
        made = []
        for number in range(runs):
            at = 1_600_000_000_000 + number * 60_000
            made.append(
                {
                    **template,
                    "id": str(uuid.UUID(int=(at << 80) | (7 << 76) | (2 << 62) | number)),
                    "name": f"history-{number:06}",
                    "status": "FAILED" if number % 50 == 0 else "COMPLETED",
                    "created_at": at,
                    "idempotency_key": None,
                }
            )
        return made

    made = rows()
    insert(connection, "runs", made)
    for event in events:
        insert(connection, "events", [{**event, "run_id": run["id"]} for run in made])
    connection.commit()
    connection.execute("ANALYZE")
    connection.close()


def insert(connection: sqlite3.Connection, table: str, rows: list[dict[str, object]]) -> None:
    names = ", ".join(rows[0])
    values = ", ".join(f":{name}" for name in rows[0])
    connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({values})", rows)


def run_program(*arguments: str) -> None:
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)


def children(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in path.read_text().split()]


def proportional_kib(process: int) -> int:
    """Memory of a process, pages that it shares counted in part."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.1f} ms"


def spread(taken: list[float]) -> str:
    ordered = sorted(taken)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {seconds(statistics.median(ordered))}, p99 {seconds(p99)}"


def report(figures: list[Figure]) -> str:
    """Return the table as Markdown."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    lines = [
        "# Figures",
        "",
        f"{dt.date.today()}, {os.cpu_count()} CPUs ({cpu}), Linux {platform.release()}, "
        f"Python {platform.python_version()}. Written by `make bench`.",
        "",
        "| what | measured | |",
        "|---|---|---|",
        *(f"| {figure.what} | {figure.value} | {figure.note} |" for figure in figures),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
