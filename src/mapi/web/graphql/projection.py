"""What a selection asks of a value, compiled once and applied many times.

A resolver returns plain dicts in the full shape of the schema; a projection picks from them what the
document names. It does what a GraphQL executor does for data that is already there, at a twentieth of the
cost: the types are walked when the document is compiled, not once for each value.

The schema has no interfaces and no unions, and only root fields have arguments: a type condition that
passed validation always holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
)

Convert = Callable[[Any], Any]
Included = Callable[[SelectionNode], bool]

#: The name of a type's own name, in every selection.
TYPENAME = "__typename"


class IncompleteValue(Exception):
    """A resolver left out what the schema promises: a bug of this program, never of a caller."""


class Field:
    """One name of a selection: where it is found, and how its value becomes part of the answer."""

    __slots__ = ("convert", "key", "name", "nodes", "required", "selection")

    def __init__(self, key: str, nodes: list[FieldNode], required: bool, selection: Selection | None) -> None:
        self.key = key
        self.name = nodes[0].name.value
        self.nodes = nodes
        self.required = required
        self.selection = selection
        self.convert: Convert | None = None

    def project(self, value: Any) -> Any:
        """Return what the answer holds for a value of this field."""
        if value is None:
            if self.required:
                raise IncompleteValue(f"{self.name} is null")
            return None
        return self.convert(value) if self.convert else value


class Selection:
    """What is asked of one object."""

    def __init__(self, type_name: str, fields: list[Field]) -> None:
        self.type_name = type_name
        self.fields = fields
        self._picks = [(field.key, field.name, field.required, field.convert) for field in fields]

    def __call__(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the selected part of an object."""
        answer = {}
        for key, name, required, convert in self._picks:
            if name == TYPENAME:
                answer[key] = self.type_name
                continue
            item = value[name]
            if item is None:
                if required:
                    raise IncompleteValue(f"{self.type_name}.{name} is null")
            elif convert is not None:
                item = convert(item)
            answer[key] = item
        return answer

    def selects(self, *path: str) -> bool:
        """Return True if the field at `path` below this object is asked for."""
        head, *rest = path
        return any(
            not rest or (field.selection is not None and field.selection.selects(*rest))
            for field in self.fields
            if field.name == head
        )


def compile_selection(
    type_: GraphQLObjectType,
    sets: Iterable[SelectionSetNode],
    fragments: Mapping[str, FragmentDefinitionNode],
    included: Included,
) -> Selection:
    """Compile the selection sets that ask for one object of a validated document.

    Args:
        type_: the object's type.
        sets: its selection sets; several where one key is asked for several times.
        fragments: the document's fragments, by name.
        included: whether a node is part of this execution (`@skip`, `@include`).
    """
    by_key: dict[str, list[FieldNode]] = {}
    for node in _field_nodes(sets, fragments, included):
        by_key.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
    return Selection(
        type_.name,
        [_compile_field(type_, key, nodes, fragments, included) for key, nodes in by_key.items()],
    )


def _field_nodes(
    sets: Iterable[SelectionSetNode],
    fragments: Mapping[str, FragmentDefinitionNode],
    included: Included,
) -> Iterator[FieldNode]:
    for selection_set in sets:
        for node in selection_set.selections:
            if not included(node):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                yield from _field_nodes([node.selection_set], fragments, included)
            elif isinstance(node, FragmentSpreadNode):
                fragment = fragments[node.name.value]
                yield from _field_nodes([fragment.selection_set], fragments, included)


def _compile_field(
    parent: GraphQLObjectType,
    key: str,
    nodes: list[FieldNode],
    fragments: Mapping[str, FragmentDefinitionNode],
    included: Included,
) -> Field:
    definition = parent.fields.get(nodes[0].name.value)
    if definition is None:  # __typename, __schema, __type: the names every type or every root has
        return Field(key, nodes, True, None)
    named = _named(definition.type)
    selection = None
    if isinstance(named, GraphQLObjectType):
        sets = [node.selection_set for node in nodes if node.selection_set]
        selection = compile_selection(named, sets, fragments, included)
    field = Field(key, nodes, isinstance(definition.type, GraphQLNonNull), selection)
    field.convert = _converter(definition.type, selection)
    return field


def _named(type_: GraphQLOutputType) -> GraphQLNamedType:
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    assert isinstance(type_, GraphQLNamedType)
    return type_


def _converter(type_: GraphQLOutputType, selection: Selection | None) -> Convert | None:
    """How a value of this type, null excepted, becomes part of an answer; None for: as it is."""
    if isinstance(type_, GraphQLNonNull):
        return _converter(type_.of_type, selection)
    if isinstance(type_, GraphQLList):
        return _list_converter(
            _converter(type_.of_type, selection), isinstance(type_.of_type, GraphQLNonNull)
        )
    if selection is not None:
        return selection
    return finite if type_.name == "JSON" else None


def _list_converter(convert: Convert | None, required: bool) -> Convert:
    def project(values: Iterable[Any]) -> list[Any]:
        items = list(values)
        if None in items:
            if required:
                raise IncompleteValue("an element of a list is null")
            return [item if item is None or convert is None else convert(item) for item in items]
        return items if convert is None else [convert(item) for item in items]

    return project


def finite(value: Any) -> Any:
    """Return a JSON value with the numbers JSON has no form for as their names: "NaN", "Infinity"."""
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
