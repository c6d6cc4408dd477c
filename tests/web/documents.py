"""What the published clients ask for, operation by operation and version by version."""

RUN_FIRST = "id name runInput originalRunInput status createdAt startedAt completedAt updatedAt reason"

RESUMPTION = "clusterName cpus gpuType gpus nodes executionIndex startTime endTime status"

RUN_MIDDLE = f"""
    id name status createdAt updatedAt reason createdByEmail priority maxRetries preemptible
    retryOnSystemFailure resumptions {{ {RESUMPTION} }}
"""

RUN = f"{RUN_MIDDLE} isDeleted runType"

DETAILS = """
    details {
      image originalRunInput metadata lastExecutionId
      lifecycle { executionIndex status startTime endTime reason }
      nodes { rank name status reason }
      formattedRunEvents { resumptionIndex eventType eventTime eventMessage }
    }
"""

PAGE_RUN = f"""
    {RUN.replace(RESUMPTION, RESUMPTION + " estimatedEndTime reason")} maxDurationSeconds {DETAILS}
"""

INSTANCE = """
    name gpuType gpusPerNode cpus memory storage gpuNums numNodes
    nodes { name isAlive isSchedulable upTime { endDate startDate } }
"""

BY_RUN = """
    id createdAt userName runName instance gpuNum gpuType
    scheduling { priority retryOnSystemFailure preemptible }
"""

CLUSTER = """
    id name provider allowFractional allowMultinode allowedSubmissionTypes isMultiTenant
    reservationType schedulerEnabled
"""


def _change(name: str, document: str, selection: str, argument: str = "", type_: str = "") -> str:
    extra, given = (f", ${argument}: {type_}", f", {argument}: ${argument}") if argument else ("", "")
    return f"""
        mutation {document}($getRunsData: GetRunsInput!{extra}) {{
          {name}(getRunsData: $getRunsData{given}) {{ {selection} }}
        }}
    """


DOCUMENTS: dict[str, str] = {
    "createRun 0.3.0": f"""
        mutation CreateRun($createRunData: CreateRunInput!) {{
          createRun(createRunData: $createRunData) {{ {RUN_FIRST} }}
        }}
    """,
    "createRun": f"""
        mutation CreateRun($createRunData: CreateRunInput!) {{
          createRun(createRunData: $createRunData) {{
            {RUN} details {{ originalRunInput metadata lastExecutionId }}
          }}
        }}
    """,
    "createInteractiveRun": f"""
        mutation CreateInteractiveRun($createRunData: CreateInteractiveRunInput!) {{
          createInteractiveRun(createRunData: $createRunData) {{
            {RUN} details {{ originalRunInput metadata lastExecutionId }}
          }}
        }}
    """,
    "getRuns 0.3.0": f"""
        query GetRuns($getRunsData: GetRunsInput!) {{ getRuns(getRunsData: $getRunsData) {{ {RUN_FIRST} }} }}
    """,
    "getRuns debug": """
        query GetRunDebugInfo($getRunsData: GetRunsInput!) {
          getRuns(getRunsData: $getRunsData) {
            id
            executionsStatusUpdates {
              id executionIndex
              containerStatusUpdates { nodeRank containerName status reachedAt reason }
              podStatusUpdates { nodeRank nodeName status reachedAt reason }
            }
          }
        }
    """,
    "getRunsPaginated 0.5.34": f"""
        query GetRunsPaginated($getRunsPaginatedData: GetRunsPaginatedInput!) {{
          getRunsPaginated(getRunsPaginatedData: $getRunsPaginatedData) {{
            runs {{ {RUN_MIDDLE} maxDurationSeconds }}
          }}
        }}
    """,
    "getRunsPaginated": f"""
        query GetRunsPaginated($getRunsPaginatedData: GetRunsPaginatedInput!) {{
          getRunsPaginated(getRunsPaginatedData: $getRunsPaginatedData) {{
            cursor hasNextPage runs {{ {PAGE_RUN} }}
          }}
        }}
    """,
    "stopRuns 0.3.0": _change("stopRuns", "StopRuns", RUN_FIRST),
    "stopRuns": _change("stopRuns", "StopRuns", RUN, "stopRunsData", "StopRunsInput"),
    "startRuns": _change("startRuns", "StartRuns", RUN),
    "deleteRuns": _change("deleteRuns", "DeleteRuns", RUN),
    "updateRun": _change("updateRun", "UpdateRun", RUN, "updateRunData", "UpdateRunInput!"),
    "updateRunMetadata": _change(
        "updateRunMetadata",
        "UpdateRunMetadata",
        f"{RUN} details {{ metadata }}",
        "updateRunMetadataData",
        "UpdateRunMetadataInput!",
    ),
    "createRunEvent": """
        mutation CreateRunEvent($createRunEventData: CreateRunEventInput!) {
          createRunEvent(createRunEventData: $createRunEventData) {
            id runId executionId eventType eventData updatedAt
          }
        }
    """,
    "getRunLogs 0.3.0": """
        subscription Subscription($getRunLogsInput: GetRunLogsInput!) {
          getRunLogs(getRunLogsInput: $getRunLogsInput)
        }
    """,
    "getRunLogsV2": """
        subscription Subscription($getRunLogsInput: GetRunLogsInput!) {
          getRunLogsV2(getRunLogsInput: $getRunLogsInput) { chunk endOffset }
        }
    """,
    "watchRunStatus": """
        subscription Subscription($watchRunStatusInput: WatchRunStatusInput!) {
          watchRunStatus(watchRunStatusInput: $watchRunStatusInput)
        }
    """,
    "getClusters 0.3.0": """
        query GetClusters($getClustersData: GetClustersInput!) {
          getClusters(getClustersData: $getClustersData) {
            id name provider allowedInstances { gpuType gpuNums }
            utilization {
              clusterInstanceUtils { clusterId gpuType gpusPerNode numNodes gpusUsed gpusAvailable gpusTotal }
              activeByUser { id createdAt userName runName gpuNum scheduling { priority } }
              queuedByUser { id createdAt userName runName gpuNum scheduling { priority } }
              anonymizeUsers
            }
          }
        }
    """,
    "getClusters": f"""
        query GetClusters($getClustersData: GetClustersInput!) {{
          getClusters(getClustersData: $getClustersData) {{ {CLUSTER} allowedInstances {{ {INSTANCE} }} }}
        }}
    """,
    "getClusters with utilization": f"""
        query GetClusters($getClustersData: GetClustersInput!) {{
          getClusters(getClustersData: $getClustersData) {{
            {CLUSTER}
            utilization {{
              anonymizeUsers
              instanceUtils {{ instance {{ {INSTANCE} }} clusterId gpusUsed gpusAvailable gpusTotal }}
              activeRunsByUser {{ {BY_RUN} estimatedEndTime maxDurationSeconds startTime }}
              queuedRunsByUser {{ {BY_RUN} reason }}
              activeDeploymentsByUser {{ id createdAt userName deploymentName instance gpuNum }}
              queuedDeploymentsByUser {{ id createdAt userName deploymentName instance gpuNum }}
            }}
          }}
        }}
    """,
    "getAllUsers 0.3.0": "query GetAllUsers { getAllUsers { id name email } }",
    "getAllUsers 0.5.34": """
        query GetAllUsers($getAllUsersData: GetAllUsersInput!) {
          getAllUsers(getAllUsersData: $getAllUsersData) { id name email }
        }
    """,
    "getAllUsers": """
        query GetAllUsers($getAllUsersData: GetUsersInput!) {
          getAllUsers(getAllUsersData: $getAllUsersData) {
            id name email organizations { id name isDatabricksInternal }
          }
        }
    """,
    "getUsers": """
        query GetUsers($getUsersData: GetUsersInput!) {
          getUsers(getUsersData: $getUsersData) {
            id name email organizations { id name isDatabricksInternal }
          }
        }
    """,
    "getAllOrganizations": """
        query GetAllOrganizations($getOrganizationsData: GetOrganizationsInput!) {
          getAllOrganizations(getOrganizationsData: $getOrganizationsData) { id name isDatabricksInternal }
        }
    """,
}

#: Forms no published client uses, and GraphQL has.
EXTRAS: dict[str, str] = {
    "an alias": "query ($getRunsData: GetRunsInput!) { my: getRuns(getRunsData: $getRunsData) { key: id } }",
    "a fragment": """
        query ($getRunsData: GetRunsInput!) {
          getRuns(getRunsData: $getRunsData) { ...Short ... on Run { name } }
        }
        fragment Short on Run { id details { ...More } }
        fragment More on RunDetails { metadata nodes { rank } }
    """,
    "one key asked for twice": """
        query ($getRunsData: GetRunsInput!) {
          getRuns(getRunsData: $getRunsData) { details { image } id details { lifecycle { status } } }
          getRuns(getRunsData: $getRunsData) { name }
        }
    """,
    "names of types": """
        query ($getRunsData: GetRunsInput!) {
          __typename getRuns(getRunsData: $getRunsData) { __typename resumptions { kind: __typename gpus } }
        }
    """,
    "conditions that hold": """
        query ($getRunsData: GetRunsInput!, $yes: Boolean = true) {
          getRuns(getRunsData: $getRunsData) {
            id name @include(if: $yes) status @skip(if: $yes) ... @include(if: true) { reason }
          }
        }
    """,
    "conditions that do not": """
        query ($getRunsData: GetRunsInput!, $yes: Boolean = false) {
          getRuns(getRunsData: $getRunsData) {
            id name @include(if: $yes) status @skip(if: $yes) ...Never @include(if: $yes)
          }
        }
        fragment Never on Run { reason }
    """,
}
