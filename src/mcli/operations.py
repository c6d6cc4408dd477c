"""The GraphQL documents the client sends, and what is true of each."""

from __future__ import annotations

from typing import NamedTuple


class Operation(NamedTuple):
    """A GraphQL operation.

    Attributes:
        field: the field of the answer that holds the result.
        document: the GraphQL text.
        repeatable: asking twice has the effect of asking once, so a lost answer may be asked for again.
        keyed: every attempt carries the same idempotency key, which is what makes it repeatable.
    """

    field: str
    document: str
    repeatable: bool = True
    keyed: bool = False


_RUN = """
  id name status createdAt updatedAt reason createdByEmail priority maxRetries preemptible
  retryOnSystemFailure isDeleted runType maxDurationSeconds
  resumptions {
    clusterName cpus gpuType gpus nodes executionIndex startTime endTime status estimatedEndTime reason
  }
"""

_RUN_WITH_DETAILS = f"""{_RUN}
  runInput
  details {{
    image originalRunInput metadata lastExecutionId
    lifecycle {{ executionIndex status startTime endTime reason }}
    nodes {{ rank name status reason }}
    formattedRunEvents {{ resumptionIndex eventType eventTime eventMessage }}
  }}
"""

_INSTANCE = (
    "name gpuType gpusPerNode cpus memory storage gpuNums numNodes nodes { name isAlive isSchedulable }"
)

_CLUSTER = f"""
  id name provider allowFractional allowMultinode allowedSubmissionTypes isMultiTenant
  reservationType schedulerEnabled
  allowedInstances {{ {_INSTANCE} }}
"""

_SCHEDULING = "scheduling { priority retryOnSystemFailure preemptible }"

_CLUSTER_WITH_UTILIZATION = f"""{_CLUSTER}
  utilization {{
    instanceUtils {{ instance {{ {_INSTANCE} }} clusterId gpusUsed gpusAvailable gpusTotal }}
    activeRunsByUser {{
      id createdAt userName runName instance gpuNum gpuType estimatedEndTime maxDurationSeconds startTime
      {_SCHEDULING}
    }}
    queuedRunsByUser {{ id createdAt userName runName instance gpuNum gpuType reason {_SCHEDULING} }}
  }}
"""

CREATE_RUN = Operation(
    "createRun",
    f"""mutation CreateRun($createRunData: CreateRunInput!) {{
  createRun(createRunData: $createRunData) {{ {_RUN_WITH_DETAILS} }}
}}""",
    keyed=True,
)

PLAN_RUN = Operation(
    "planRun",
    """query PlanRun($createRunData: CreateRunInput!) {
  planRun(createRunData: $createRunData) {
    runInput cluster instance nodes gpusPerNode startsNow reason position
  }
}""",
)

CREATE_INTERACTIVE_RUN = Operation(
    "createInteractiveRun",
    f"""mutation CreateInteractiveRun($createRunData: CreateInteractiveRunInput!) {{
  createInteractiveRun(createRunData: $createRunData) {{ {_RUN_WITH_DETAILS} }}
}}""",
    repeatable=False,
)


def _get_runs(selection: str) -> Operation:
    return Operation(
        "getRunsPaginated",
        f"""query GetRunsPaginated($getRunsPaginatedData: GetRunsPaginatedInput!) {{
  getRunsPaginated(getRunsPaginatedData: $getRunsPaginatedData) {{
    cursor hasNextPage runs {{ {selection} }}
  }}
}}""",
    )


GET_RUNS = _get_runs(_RUN)
GET_RUNS_WITH_DETAILS = _get_runs(_RUN_WITH_DETAILS)


def _change(verb: str, input_name: str = "", input_type: str = "", *, repeatable: bool = True) -> Operation:
    """Return a mutation of the runs that `getRunsData` selects, with one more input if it is named."""
    declared = f", ${input_name}: {input_type}" if input_name else ""
    passed = f", {input_name}: ${input_name}" if input_name else ""
    return Operation(
        verb,
        f"""mutation {verb[0].upper()}{verb[1:]}($getRunsData: GetRunsInput!{declared}) {{
  {verb}(getRunsData: $getRunsData{passed}) {{ {_RUN_WITH_DETAILS} }}
}}""",
        repeatable=repeatable,
    )


STOP_RUNS = _change("stopRuns", "stopRunsData", "StopRunsInput")
START_RUNS = _change("startRuns", repeatable=False)
DELETE_RUNS = _change("deleteRuns")
UPDATE_RUN = _change("updateRun", "updateRunData", "UpdateRunInput!")
UPDATE_RUN_METADATA = _change("updateRunMetadata", "updateRunMetadataData", "UpdateRunMetadataInput!")

CREATE_RUN_EVENT = Operation(
    "createRunEvent",
    """mutation CreateRunEvent($createRunEventData: CreateRunEventInput!) {
  createRunEvent(createRunEventData: $createRunEventData) {
    id runId executionId eventType eventData updatedAt
  }
}""",
    repeatable=False,
)

RUN_LOGS = Operation(
    "getRunLogsV2",
    """subscription Subscription($getRunLogsInput: GetRunLogsInput!) {
  getRunLogsV2(getRunLogsInput: $getRunLogsInput) { chunk endOffset }
}""",
)

WATCH_RUN = Operation(
    "watchRun",
    f"""subscription Subscription($watchRunInput: WatchRunInput!) {{
  watchRun(watchRunInput: $watchRunInput) {{ {_RUN_WITH_DETAILS} }}
}}""",
)


def _get_clusters(selection: str) -> Operation:
    return Operation(
        "getClusters",
        f"""query GetClusters($getClustersData: GetClustersInput!) {{
  getClusters(getClustersData: $getClustersData) {{ {selection} }}
}}""",
    )


GET_CLUSTERS = _get_clusters(_CLUSTER)
GET_CLUSTERS_WITH_UTILIZATION = _get_clusters(_CLUSTER_WITH_UTILIZATION)

GET_USERS = Operation(
    "getUsers",
    """query GetUsers($getUsersData: GetUsersInput!) {
  getUsers(getUsersData: $getUsersData) { id name email organizations { id name } }
}""",
)

GET_ALL_USERS = Operation(
    "getAllUsers",
    """query GetAllUsers($getAllUsersData: GetUsersInput!) {
  getAllUsers(getAllUsersData: $getAllUsersData) { id name email organizations { id name } }
}""",
)

GET_ALL_ORGANIZATIONS = Operation(
    "getAllOrganizations",
    """query GetAllOrganizations($getOrganizationsData: GetOrganizationsInput!) {
  getAllOrganizations(getOrganizationsData: $getOrganizationsData) { id name }
}""",
)

_SECRET = "id name type metadata createdAt"

CREATE_SECRET = Operation(
    "createSecret",
    f"""mutation CreateSecret($createSecretData: CreateSecretInput!) {{
  createSecret(createSecretData: $createSecretData) {{ {_SECRET} }}
}}""",
    repeatable=False,
)

GET_SECRETS = Operation(
    "getSecrets",
    f"""query GetSecrets($getSecretsData: GetSecretsInput!) {{
  getSecrets(getSecretsData: $getSecretsData) {{ {_SECRET} }}
}}""",
)

DELETE_SECRETS = Operation(
    "deleteSecrets",
    f"""mutation DeleteSecrets($getSecretsData: GetSecretsInput!) {{
  deleteSecrets(getSecretsData: $getSecretsData) {{ {_SECRET} }}
}}""",
    repeatable=False,
)
