"""The first exception of a log, cut out of all around it."""

import pytest

from mapi.logs import Chunk
from mapi.logs.traceback import first_traceback

ONE = """Traceback (most recent call last):
  File "train.py", line 3, in <module>
    main()
    ~~~~^^
ValueError: no such tokenizer
"""
CHAIN = f"""{ONE}
During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "train.py", line 5, in <module>
    raise RuntimeError from error
RuntimeError
"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "train.py", line 1, in <module>
  | ExceptionGroup: several (1 sub-exception)
  +-+---------------- 1 ----------------
    | ValueError: a
    +------------------------------------
"""


def found(log: str, piece: int = 7) -> str | None:
    data = log.encode()
    chunks = [Chunk(data[at : at + piece], min(at + piece, len(data))) for at in range(0, len(data), piece)]
    chunk = first_traceback(chunks)
    if chunk is None:
        return None
    assert data[: chunk.end_offset].endswith(chunk.data)
    return chunk.data.decode()


@pytest.mark.parametrize("piece", [1, 64, 10_000])
@pytest.mark.parametrize("exception", [ONE, CHAIN])
def test_the_exception_is_found_whole_wherever_the_log_was_cut(exception: str, piece: int) -> None:
    assert found(f"step 1\nstep 2\n{exception}done\n{ONE}", piece) == exception
    assert found(exception, piece) == exception


def test_every_line_of_a_rank_has_its_mark() -> None:
    marked = "".join(f"[rank3]: {line}\n" for line in ONE.splitlines())
    assert found(f"a\n{marked}[rank3]: bye\n") == marked


def test_a_group_of_exceptions_is_one() -> None:
    assert found(f"a\n{GROUP}bye\n") == f"{GROUP}bye\n"


def test_a_traceback_that_was_cut_short_is_as_long_as_it_is() -> None:
    assert found(ONE[:60]) == ONE[:60]


def test_bars_and_lines_without_end_do_not_hide_it() -> None:
    assert found(f"10%\r20%\r{'x' * 200_000}\n{ONE}", 50_000) == ONE


def test_a_log_without_a_traceback_has_none() -> None:
    assert found("all is well\n") is None
    assert found("") is None
