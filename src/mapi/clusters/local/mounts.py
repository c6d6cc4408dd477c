"""Directories shown at other paths, to one process and its children only; nothing changes for anyone else.

Part of the launcher: only what is small is imported.
"""
# ruff: noqa: PTH103, PTH102, PTH112, PTH115, PTH118, PTH120, PTH123, PTH211

from __future__ import annotations

import ctypes
import os

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_MOVE, _MS_REC, _MS_SLAVE = 1, 32, 4096, 8192, 16384, 1 << 19
_LIBC = ctypes.CDLL(None, use_errno=True)


def isolate() -> None:
    """Let nobody else see what this process mounts from now on."""
    if _LIBC.unshare(_CLONE_NEWNS):
        user, group = os.getuid(), os.getgid()
        _check(_LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare")
        for name, value in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(value)
    _mount(None, "/", None, _MS_REC | _MS_SLAVE)


def memory(directory: str, mode: int) -> None:
    """Cover a directory with one that is in memory only, and gone when the last process that sees it is."""
    os.makedirs(directory, exist_ok=True)
    _mount("tmpfs", directory, "tmpfs", 0, f"mode={mode:o}")


def show(mounts: list[tuple[str, str]], scratch: str) -> None:
    """Show each directory (`source`, `target`) at its target.

    Where a target does not exist, the nearest parent that does is replaced by a read-only directory with the
    same entries and the new ones. Each takes its place in one step.

    Args:
        mounts: what is shown where.
        scratch: a directory where the replacements are made.
    """
    missing: dict[str, list[tuple[str, str]]] = {}
    for source, target in mounts:
        if os.path.isdir(target):
            _mount(source, target, None, _MS_BIND)
        else:
            missing.setdefault(_nearest(target), []).append((source, target))
    deepest_first = sorted(missing, key=len, reverse=True)
    for number, parent in enumerate(deepest_first):
        _extend(parent, missing[parent], os.path.join(scratch, str(number)))


def _nearest(target: str) -> str:
    while not os.path.isdir(target):
        target = os.path.dirname(target)
    return target


def _extend(parent: str, mounts: list[tuple[str, str]], scratch: str) -> None:
    """Replace `parent` by a directory, made at `scratch`, that has all it has and the targets of `mounts`."""
    places = [(source, os.path.relpath(target, parent)) for source, target in mounts]
    new = {place.split("/")[0] for _, place in places}
    entries = [entry for entry in os.scandir(parent) if entry.name not in new]
    memory(scratch, 0o755)
    # The entry that holds `scratch` comes first, so that its copy holds no copies of the others
    for entry in sorted(entries, key=lambda entry: not scratch.startswith(f"{entry.path}/")):
        copy = os.path.join(scratch, entry.name)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), copy)
            continue
        if entry.is_dir():
            os.mkdir(copy)
        else:
            os.close(os.open(copy, os.O_CREAT | os.O_WRONLY))
        _mount(entry.path, copy, None, _MS_BIND | _MS_REC)
    for source, place in places:
        os.makedirs(os.path.join(scratch, place), exist_ok=True)
        _mount(source, os.path.join(scratch, place), None, _MS_BIND)
    _mount(None, scratch, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
    os.chdir(scratch)
    _mount(scratch, parent, None, _MS_MOVE)
    if parent == "/":
        os.chroot(".")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    source_, target_, kind_, data_ = (
        os.fsencode(text) if text else None for text in (source, target, kind, data)
    )
    _check(_LIBC.mount(source_, target_, kind_, ctypes.c_ulong(flags), data_), f"mount {target}")


def _check(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)
