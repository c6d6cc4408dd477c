"""Lists of what the platform returned: real lists, with pages where there are more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class ObjectList(list[T], Generic[T]):
    """A list of runs, clusters …"""

    def to_pandas(self) -> Any:
        """Return a `DataFrame`: a row for each object, a column for each of its simple attributes.

        Raises:
            ImportError: pandas is not installed.
        """
        import importlib

        pandas = importlib.import_module("pandas")
        return pandas.DataFrame([_row(item) for item in self])


class PaginatedObjectList(ObjectList[T]):
    """One page of a longer list.

    Attributes:
        cursor: where the next page begins; None on the last page.
        has_next_page: whether there is more.
    """

    def __init__(
        self,
        items: Iterable[T] = (),
        *,
        cursor: str | None = None,
        has_next_page: bool = False,
        fetch: Callable[[str, int | None], PaginatedObjectList[T]] | None = None,
    ) -> None:
        super().__init__(items)
        self.cursor = cursor
        self.has_next_page = has_next_page
        self._fetch = fetch

    def next_page(self, limit: int | None = None) -> PaginatedObjectList[T]:
        """Return the page after this one, asked for with the same filters.

        Args:
            limit: how many objects it should hold; as many as this page was asked for by default.

        Raises:
            StopIteration: this is the last page.
        """
        if not self.has_next_page or self.cursor is None or self._fetch is None:
            raise StopIteration("this is the last page")
        return self._fetch(self.cursor, limit)


def _row(item: object) -> dict[str, Any]:
    return {
        name: getattr(value, "value", value)
        for name, value in vars(item).items()
        if not name.startswith("_") and not isinstance(value, list | dict) and not hasattr(value, "to_wire")
    }
