"""What the machine itself needs for a run: spawn, a log file, three commits. Nothing can be faster."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path


def run_once(database: sqlite3.Connection, log: Path) -> None:
    """Do by hand what every trivial run costs at least."""

    def commit(status: str) -> None:
        database.execute("INSERT INTO events VALUES (?, ?)", (status, time.time()))
        database.commit()

    commit("PENDING")
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    process = os.posix_spawn(
        "/bin/bash",
        ["bash", "-c", "echo hello"],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, descriptor, 1)],
    )
    commit("RUNNING")
    os.waitpid(process, 0)
    os.close(descriptor)
    commit("COMPLETED")


def measure(directory: Path, runs: int) -> list[float]:
    """Return the seconds each of `runs` runs took."""
    database = sqlite3.connect(directory / "floor.db")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE events (status TEXT, at REAL)")
    taken = []
    for number in range(runs):
        began = time.perf_counter()
        run_once(database, directory / f"{number}.log")
        taken.append(time.perf_counter() - began)
    database.close()
    return taken
