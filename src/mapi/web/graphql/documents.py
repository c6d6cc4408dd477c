"""Documents: parsed, checked against the schema and compiled, once for each text.

Clients send the same dozen texts again and again, and checking one costs more than answering it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLSkipDirective,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    Visitor,
    build_schema,
    execute_sync,
    get_argument_values,
    get_directive_values,
    get_variable_values,
    parse,
    validate,
    visit,
)
from graphql.execution.values import VariableValues

from mapi.domain.errors import BadRequest, NotImplementedHere
from mapi.web.graphql.projection import Field, Selection, compile_selection, finite

#: Characters and tokens of a document. The largest one a client is known to send has 2,000 characters.
MAX_LENGTH = 64 * 1024
MAX_TOKENS = 8_000

#: Names that some versions of the client give to an input type, and the schema's own name for it.
#: One field is asked for under two names; a document that is checked can only satisfy one.
INPUT_ALIASES = {"GetAllUsersInput": "GetUsersInput"}

_INTROSPECTION = frozenset({"__schema", "__type"})


@cache
def schema() -> GraphQLSchema:
    """The contract, read from schema.graphql."""
    text = files("mapi.web.graphql").joinpath("schema.graphql").read_text(encoding="utf-8")
    built = build_schema(text)
    json = built.type_map["JSON"]
    assert isinstance(json, GraphQLScalarType)
    json.serialize = json.coerce_output_value = finite  # type: ignore[method-assign]
    return built


@cache
def unavailable_operations() -> frozenset[str]:
    """Root fields the protocol has and this platform does not perform."""
    return frozenset(name for name, field in root_fields().items() if _is_unavailable(field))


@cache
def root_fields() -> dict[str, GraphQLField]:
    """Every operation by name: no name is used by two kinds."""
    return {name: field for kind in OperationType for name, field in _root_type(kind).fields.items()}


class Root(msgspec.Struct, frozen=True):
    """One operation to perform: its arguments are checked, its answer is projected by `field`."""

    field: Field
    arguments: dict[str, Any]


class Document:
    """A checked document, ready for any variables."""

    def __init__(self, text: str) -> None:
        self._ast = _checked(_parsed(text))
        self._fragments = {
            node.name.value: node
            for node in self._ast.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._operations = {node.name.value if node.name else "": node for node in _operations(self._ast)}
        #: A condition can only be there if this character is.
        self._conditional = "@" in text
        self._compiled: dict[str, Selection] = {}

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation of that name; without a name, the only one there is."""
        if name and name in self._operations:
            return self._operations[name]
        if name or len(self._operations) != 1:
            known = ", ".join(self._operations)
            raise BadRequest(f"operationName {name!r} names no operation of the document, which has: {known}")
        return next(iter(self._operations.values()))

    def roots(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> list[Root]:
        """Return what the operation asks for, with these variables.

        Raises:
            BadRequest: if a variable does not fit its type.
        """
        values = get_variable_values(schema(), operation.variable_definitions or (), dict(variables))
        if isinstance(values, list):
            raise _bad_request(values)
        root_type = _root_type(operation.operation)
        roots = []
        for field in self._selection(operation, root_type, values).fields:
            definition = root_type.fields.get(field.name)
            try:
                arguments = get_argument_values(definition, field.nodes[0], values) if definition else {}
            except GraphQLError as error:
                raise _bad_request([error]) from error
            roots.append(Root(field, arguments))
        return roots

    def introspect(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Answer an operation that asks about the schema itself."""
        result = execute_sync(
            schema(),
            self._ast,
            variable_values=dict(variables),
            operation_name=operation.name.value if operation.name else None,
        )
        if result.errors:
            raise _bad_request(result.errors)
        return result.data or {}

    def _selection(
        self, operation: OperationDefinitionNode, root_type: GraphQLObjectType, values: VariableValues
    ) -> Selection:
        def included(node: SelectionNode) -> bool:
            if not node.directives:
                return True
            skip = get_directive_values(GraphQLSkipDirective, node, values)
            include = get_directive_values(GraphQLIncludeDirective, node, values)
            return not (skip and skip["if"]) and (include is None or bool(include["if"]))

        key = operation.name.value if operation.name else ""
        selection = self._compiled.get(key)
        if selection is None:
            selection = compile_selection(root_type, [operation.selection_set], self._fragments, included)
            if not self._conditional:
                self._compiled[key] = selection
        return selection


def asks_about_schema(roots: list[Root]) -> bool:
    """Return True for introspection.

    Raises:
        BadRequest: if it asks for data as well.
    """
    names = {root.field.name for root in roots}
    if names.isdisjoint(_INTROSPECTION):
        return False
    if not names.isdisjoint(root_fields()):
        raise BadRequest("a document asks either about the schema or for data; send two")
    return True


@lru_cache(maxsize=256)
def document(text: str) -> Document:
    """Return the checked document of a text.

    Raises:
        BadRequest: for a text that is too long, not GraphQL, or asks for what the schema does not have.
        NotImplementedHere: for an operation that this platform does not perform.
    """
    return Document(text)


def _parsed(text: str) -> DocumentNode:
    if len(text) > MAX_LENGTH:
        raise BadRequest(f"query has {len(text)} characters; at most {MAX_LENGTH} are accepted")
    try:
        return parse(text, max_lexical_tokens=MAX_TOKENS)
    except GraphQLError as error:
        raise _bad_request([error]) from error


def _checked(ast: DocumentNode) -> DocumentNode:
    unavailable = unavailable_operations()
    for operation in _operations(ast):
        for node in operation.selection_set.selections:
            if isinstance(node, FieldNode) and node.name.value in unavailable:
                raise NotImplementedHere(f"{node.name.value} is not available on this platform")
    ast = visit(ast, _CanonicalNames())
    if errors := validate(schema(), ast, max_errors=5):
        raise _bad_request(errors)
    if not _operations(ast):
        raise BadRequest("query holds no operation")
    return ast


class _CanonicalNames(Visitor):
    """Gives the input types of variables the schema's own names."""

    def enter_named_type(self, node: NamedTypeNode, *_: Any) -> NamedTypeNode | None:
        name = INPUT_ALIASES.get(node.name.value)
        return NamedTypeNode(name=NameNode(value=name)) if name else None


def _operations(ast: DocumentNode) -> list[OperationDefinitionNode]:
    return [node for node in ast.definitions if isinstance(node, OperationDefinitionNode)]


def _root_type(kind: OperationType) -> GraphQLObjectType:
    root_type = schema().get_root_type(kind)
    assert root_type is not None
    return root_type


def _is_unavailable(field: GraphQLField) -> bool:
    node = field.ast_node
    return node is not None and any(
        directive.name.value == "unavailable" for directive in node.directives or ()
    )


def _bad_request(errors: list[GraphQLError]) -> BadRequest:
    return BadRequest("; ".join(error.message for error in errors[:5]))
