"""Runs inside a published client's own virtual environment: executes what a test sends, answers in JSON.

One line in, one line out. `{"code": …, "names": {…}}` executes Python and answers with the value of its last
expression; names stay until a request is `fresh`. `{"argv": […]}` is a command line: a forked child becomes
what the installed `mcli` script is, so that a command costs no import.
"""

from __future__ import annotations

import ast
import datetime
import enum
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib.metadata import distribution
from typing import Any

sys.path.remove(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120


def plain(value: Any) -> Any:
    """What of a value JSON can carry."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "__iter__"):
        return [plain(item) for item in value]
    return repr(value)


def execute(code: str, names: dict[str, Any]) -> Any:
    """Execute statements; return the value of the last one if it is an expression."""
    tree = ast.parse(code)
    last = tree.body[-1]
    if not isinstance(last, ast.Expr):
        return exec(compile(tree, "<test>", "exec"), names)
    tree.body.pop()
    exec(compile(tree, "<test>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<test>", "eval"), names)


def answer(request: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """Execute what a test sends, and return the value or what was raised."""
    if request["fresh"]:
        names.clear()
    names.update(request["names"])
    try:
        return {"value": plain(execute(request["code"], names))}
    except BaseException as error:
        status = getattr(error, "status", None)
        return {
            "error": type(error).__name__,
            "kinds": [kind.__name__ for kind in type(error).__mro__],
            "message": str(error),
            "status": None if status is None else int(status),
            "traceback": traceback.format_exc(),
        }


def command(argv: list[str], program: Callable[[], Any]) -> dict[str, Any]:
    """Run a command line in a child; return its exit code and what it wrote."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.argv = ["mcli", *argv]
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            try:
                code = program() or 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                traceback.print_exc()
                code = 1
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return {"code": os.WEXITSTATUS(status), "out": out.read(), "err": err.read()}


def main() -> None:
    """Answer until there are no more requests."""
    requests = os.fdopen(os.dup(0), "r")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a client prints is no answer
    names: dict[str, Any] = {}
    program = None
    for line in requests:
        request = json.loads(line)
        if "argv" in request:
            if program is None:
                scripts = distribution("mosaicml-cli").entry_points
                program = next(each for each in scripts if each.name == "mcli").load()
            result = command(request["argv"], program)
        else:
            result = answer(request, names)
        answers.write(json.dumps(result) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
