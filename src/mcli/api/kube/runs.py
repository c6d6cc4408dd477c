"""Managing runs, at the import path of the first versions of the API;

The calls are those of `mcli.api.runs`.
"""

from mcli.api.runs import *  # noqa: F403 - the same names, by their __all__
from mcli.api.runs import __all__ as _runs
from mcli.models.job_type import MCLIJobType

__all__ = [*_runs, "MCLIJobType"]  # noqa: PLE0604 - names, all of them
