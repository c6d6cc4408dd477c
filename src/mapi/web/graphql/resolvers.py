"""Root fields: what each operation of the schema does with the platform.

A resolver returns plain data in the full shape of its type; what of it is sent is the projection's business.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from mapi.domain.query import RunFilter
from mapi.domain.run import Run
from mapi.domain.user import Caller, User
from mapi.platform import Platform
from mapi.web.dialect import ALL_STATUSES, Dialect
from mapi.web.graphql import inputs, wire, wire_clusters
from mapi.web.graphql.projection import Selection

T = TypeVar("T")

Arguments = Mapping[str, Any]
Wire = dict[str, Any]


class Context(msgspec.Struct, frozen=True):
    """Who asks, and whom.

    `idempotency_key`: the same for every try of one request. `dialect`: what the client knows. `accepted`:
    gets the ids of runs that were made without such a key.
    """

    platform: Platform
    caller: Caller
    idempotency_key: str | None = None
    dialect: Dialect = ALL_STATUSES
    accepted: list[str] = []


Resolver = Callable[[Context, Arguments, Selection | None], Awaitable[Any]]
Source = Callable[[Context, Arguments, Selection | None], AsyncGenerator[Any, None]]


async def _runs_wire(
    context: Context, runs: Sequence[Run], selection: Selection | None, *below: str
) -> list[Wire]:
    """Return runs in full shape; their history is read only if it is asked for.

    Args:
        context: who asks, and whom.
        runs: the runs.
        selection: what is asked of the root field.
        below: the fields between the root field and its runs.
    """
    platform, caller, dialect = context.platform, context.caller, context.dialect
    runs = [dialect.run(run) for run in runs]
    with_history = selection is not None and (
        selection.selects(*below, "details", "lifecycle")
        or selection.selects(*below, "details", "formattedRunEvents")
    )
    histories = await platform.history(runs) if with_history and runs else {}
    emails = {caller.user_id: caller.email}
    if any(run.owner_id not in emails for run in runs):
        emails |= {owner: user.email for owner, user in platform.owners(runs).items()}
    reasons = platform.reasons(runs)
    return [
        wire.run_wire(
            run,
            email=emails.get(run.owner_id, run.owner_id),
            reason=reasons[run.id],
            history=dialect.history(histories.get(run.id, ())),
        )
        for run in runs
    ]


async def create_run(context: Context, arguments: Arguments, selection: Selection | None) -> list[Wire]:
    """Accept a run."""
    data = arguments["createRunData"]
    inputs.refuse_entity(data, "createRun")
    run = await context.platform.submit(
        context.caller,
        inputs.json_object(data["runInput"], "runInput"),
        idempotency_key=context.idempotency_key,
    )
    if context.idempotency_key is None:
        context.accepted.append(run.id)
    return await _runs_wire(context, [run], selection)


async def plan_run(context: Context, arguments: Arguments, _: Selection | None) -> list[Wire]:
    """Say what would become of a run."""
    data = arguments["createRunData"]
    inputs.refuse_entity(data, "planRun")
    run_input = inputs.json_object(data["runInput"], "runInput")
    return [wire.plan_wire(await context.platform.plan_run(context.caller, run_input))]


async def create_interactive_run(
    context: Context, arguments: Arguments, selection: Selection | None
) -> list[Wire]:
    """Accept a run that keeps its place and does nothing, for somebody to work in."""
    data = arguments["createRunData"]
    inputs.refuse_entity(data, "createInteractiveRun")
    run = await context.platform.submit_interactive(
        context.caller, inputs.json_object(data["runInput"], "runInput"), data.get("seconds")
    )
    context.accepted.append(run.id)
    return await _runs_wire(context, [run], selection)


async def get_runs(context: Context, arguments: Arguments, selection: Selection | None) -> list[Wire]:
    """Return all runs that match, newest first."""
    data = arguments["getRunsData"]
    page = await context.platform.find_runs(
        context.caller,
        context.dialect.filter(inputs.run_filter(data.get("filters"))),
        scope=inputs.scope(data.get("entity")),
        limit=None,
        cursor=None,
        include_deleted=bool(data.get("includeDeleted")),
    )
    return await _runs_wire(context, page.runs, selection)


async def get_runs_paginated(context: Context, arguments: Arguments, selection: Selection | None) -> Wire:
    """Return a page of the runs that match, newest first."""
    data = arguments["getRunsPaginatedData"]
    page = await context.platform.find_runs(
        context.caller,
        context.dialect.filter(inputs.run_filter(data.get("filters"))),
        scope=inputs.scope(data.get("entity")),
        limit=inputs.page_limit(data.get("limit")),
        cursor=data.get("cursor") or None,
        include_deleted=bool(data.get("includeDeleted")),
    )
    return {
        "cursor": page.cursor,
        "hasNextPage": page.has_next,
        "runs": await _runs_wire(context, page.runs, selection, "runs"),
    }


Change = Callable[[Context, RunFilter, Arguments], Awaitable[Sequence[Run]]]


def _changing(operation: str, change: Change) -> Resolver:
    """Return the resolver of an operation that changes the runs a filter selects."""

    async def resolve(context: Context, arguments: Arguments, selection: Selection | None) -> list[Wire]:
        selected = context.dialect.filter(inputs.selecting_filter(arguments["getRunsData"], operation))
        return await _runs_wire(context, await change(context, selected, arguments), selection)

    return resolve


async def _stop(context: Context, selected: RunFilter, arguments: Arguments) -> Sequence[Run]:
    reason = (arguments.get("stopRunsData") or {}).get("reason")
    return await context.platform.stop_runs(context.caller, selected, reason=reason or None)


async def _start(context: Context, selected: RunFilter, _: Arguments) -> Sequence[Run]:
    return await context.platform.start_runs(context.caller, selected)


async def _delete(context: Context, selected: RunFilter, _: Arguments) -> Sequence[Run]:
    return await context.platform.delete_runs(context.caller, selected)


async def _update(context: Context, selected: RunFilter, arguments: Arguments) -> Sequence[Run]:
    update = inputs.run_update(arguments["updateRunData"])
    return await context.platform.update_runs(context.caller, selected, update)


async def _update_metadata(context: Context, selected: RunFilter, arguments: Arguments) -> Sequence[Run]:
    metadata = inputs.json_object(arguments["updateRunMetadataData"]["metadata"], "metadata")
    return await context.platform.update_metadata(context.caller, selected, metadata)


async def create_run_event(context: Context, arguments: Arguments, _: Selection | None) -> list[Wire]:
    """Add an event of the caller's own to a run's history."""
    data = arguments["createRunEventData"]
    inputs.refuse_entity(data, "createRunEvent")
    event_data = data.get("eventData")
    event = await context.platform.create_event(
        context.caller,
        data["runName"],
        data["eventType"],
        {} if event_data is None else inputs.json_object(event_data, "eventData"),
    )
    return [wire.event_wire(event)]


async def get_clusters(context: Context, arguments: Arguments, selection: Selection | None) -> list[Wire]:
    """Return the clusters that match, in the order they are configured."""
    filters = arguments["getClustersData"].get("filters") or {}
    wanted = (filters.get("allowedSubmissionTypes") or {}).get("has")
    if wanted is not None and wanted.upper() not in wire_clusters.SUBMISSION_TYPES:
        return []
    views = context.platform.clusters(context.caller, inputs.values_in(filters, "name"))
    utilization = selection is not None and selection.selects("utilization")
    return [wire_clusters.cluster_wire(view, utilization=utilization) for view in views]


async def get_all_users(context: Context, arguments: Arguments, _: Selection | None) -> list[Wire]:
    """Return the users the caller may see."""
    filters = (arguments.get("getAllUsersData") or {}).get("filters")
    users = context.platform.users(
        context.caller, inputs.values_in(filters, "id"), inputs.values_in(filters, "email")
    )
    return _users_wire(context, users)


async def get_users(context: Context, arguments: Arguments, _: Selection | None) -> list[Wire]:
    """Return the caller; or, with filters, the users that match."""
    filters = arguments["getUsersData"].get("filters")
    ids, emails = inputs.values_in(filters, "id"), inputs.values_in(filters, "email")
    caller = context.caller
    if ids is None and emails is None:
        return _users_wire(context, [User(caller.user_id, caller.name, caller.email, caller.organization_id)])
    return _users_wire(context, context.platform.users(caller, ids, emails))


def _users_wire(context: Context, users: Sequence[User]) -> list[Wire]:
    organizations = context.platform.organizations(context.caller)
    return [wire_clusters.user_wire(user, organizations) for user in users]


async def get_all_organizations(context: Context, arguments: Arguments, _: Selection | None) -> list[Wire]:
    """Return the organizations the caller may see."""
    ids = inputs.values_in(arguments["getOrganizationsData"].get("filters"), "id")
    return [
        wire_clusters.organization_wire(organization)
        for organization in context.platform.organizations(context.caller)
        if ids is None or organization.id in ids
    ]


async def create_secret(context: Context, arguments: Arguments, _: Selection | None) -> list[Wire]:
    """Keep a secret for the caller's later runs."""
    secret = await context.platform.create_secret(context.caller, arguments["createSecretData"])
    return [wire.secret_wire(secret)]


async def get_secrets(context: Context, arguments: Arguments, _: Selection | None) -> list[Wire]:
    """Return the caller's secrets that match."""
    data = arguments["getSecretsData"]
    inputs.refuse_entity(data, "getSecrets")
    filters = data.get("filters")
    names, types = inputs.values_in(filters, "name"), inputs.secret_types(filters)
    return [wire.secret_wire(secret) for secret in context.platform.secrets(context.caller, names, types)]


async def delete_secrets(context: Context, arguments: Arguments, _: Selection | None) -> list[Wire]:
    """Forget the caller's secrets that match."""
    data = arguments["getSecretsData"]
    inputs.refuse_entity(data, "deleteSecrets")
    filters = data.get("filters")
    names, types = inputs.values_in(filters, "name"), inputs.secret_types(filters)
    deleted = await context.platform.delete_secrets(context.caller, names, types)
    return [wire.secret_wire(secret) for secret in deleted]


@asynccontextmanager
async def _closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Let go of what produces `items` as soon as nobody reads them, not when the garbage is collected."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def get_run_logs_v2(
    context: Context, arguments: Arguments, _: Selection | None
) -> AsyncGenerator[Wire, None]:
    """Send a log in pieces, each with the byte it ends before."""
    data = arguments["getRunLogsInput"]
    inputs.refuse_entity(data, "getRunLogsV2")
    async with _closing(context.platform.read_logs(context.caller, inputs.log_request(data))) as chunks:
        async for chunk in chunks:
            yield {"chunk": base64.b64encode(chunk.data).decode("ascii"), "endOffset": chunk.end_offset}


async def get_run_logs(
    context: Context, arguments: Arguments, selection: Selection | None
) -> AsyncGenerator[str, None]:
    """Send a log in pieces, as the first clients read them."""
    async with _closing(get_run_logs_v2(context, arguments, selection)) as chunks:
        async for chunk in chunks:
            yield chunk["chunk"]


async def watch_run_status(
    context: Context, arguments: Arguments, _: Selection | None
) -> AsyncGenerator[str, None]:
    """Send a run's status now, and each one it comes to."""
    data = arguments["watchRunStatusInput"]
    inputs.refuse_entity(data, "watchRunStatus")
    last = None
    async with _closing(context.platform.watch(context.caller, data["name"])) as runs:
        async for run in runs:
            shown = context.dialect.status(run.status)
            if shown is not last:
                yield wire.status_name(shown)
            last = shown


async def watch_run(
    context: Context, arguments: Arguments, selection: Selection | None
) -> AsyncGenerator[Wire, None]:
    """Send a run now, and in each status it comes to that the client wants to be told of."""
    data = arguments["watchRunInput"]
    wanted = inputs.statuses(data.get("statuses"))
    async with _closing(context.platform.watch(context.caller, data["name"])) as runs:
        async for run in runs:
            if wanted is None or run.status in wanted:
                (answer,) = await _runs_wire(context, [run], selection)
                yield answer


#: Queries and mutations.
RESOLVERS: dict[str, Resolver] = {
    "createRun": create_run,
    "planRun": plan_run,
    "createInteractiveRun": create_interactive_run,
    "getRuns": get_runs,
    "getRunsPaginated": get_runs_paginated,
    "stopRuns": _changing("stopRuns", _stop),
    "startRuns": _changing("startRuns", _start),
    "deleteRuns": _changing("deleteRuns", _delete),
    "updateRun": _changing("updateRun", _update),
    "updateRunMetadata": _changing("updateRunMetadata", _update_metadata),
    "createRunEvent": create_run_event,
    "getClusters": get_clusters,
    "getAllUsers": get_all_users,
    "getUsers": get_users,
    "getAllOrganizations": get_all_organizations,
    "createSecret": create_secret,
    "getSecrets": get_secrets,
    "deleteSecrets": delete_secrets,
}

#: Subscriptions.
SOURCES: dict[str, Source] = {
    "getRunLogs": get_run_logs,
    "getRunLogsV2": get_run_logs_v2,
    "watchRun": watch_run,
    "watchRunStatus": watch_run_status,
}
