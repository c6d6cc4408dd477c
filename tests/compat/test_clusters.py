"""Clusters, their use, and who uses them, as the published clients show them."""

from __future__ import annotations

from tests.compat.calls import ALL, LATEST, V3, shows
from tests.compat.published import Published

GPUS = {"gpu_type": "a100_80gb", "gpu_num": 16}


@shows("get_clusters", on=ALL)
def test_clusters_are_listed(client: Published) -> None:
    assert client("[(c.name, c.provider.lower()) for c in mcli.get_clusters()]") == [["lab", "local"]]
    types = client("[i.gpu_type.lower() for i in mcli.get_clusters()[0].cluster_instances]")
    assert types == ["a100_80gb", "none"]
    assert client("len(mcli.get_clusters(['nowhere']))") == 0


@shows("get_cluster")
def test_a_cluster_has_instances_and_these_have_nodes(client: Published) -> None:
    client("cluster = mcli.get_cluster('lab', include_utilization=False)")
    assert client("[(i.name, i.gpus, i.nodes, i.cpus) for i in cluster.cluster_instances]")[0][2:] == [
        2,
        64,
    ]
    nodes = client(
        "[(n.name, n.is_alive, n.is_schedulable) for n in cluster.cluster_instances[0].node_details]"
    )
    assert nodes == [["a-0", True, True], ["a-1", True, True]]


@shows("get_clusters(include_utilization=True)", on=ALL)
def test_utilization_says_who_runs_and_who_waits_for_what(client: Published) -> None:
    running = client.create("sleep 60", **GPUS)
    client("wait_for_run_status(run, 'RUNNING', timeout=20)")
    waiting = [client.create("true", **GPUS) for _ in range(2)]
    client("wait_for_run_status(run, 'QUEUED', timeout=20)")
    client("use = mcli.get_clusters(['lab'], include_utilization=True)[0].utilization")
    if client.version == V3:
        active, queued = "use.active_by_user", "use.queued_by_user"
    else:
        active, queued = "use.active_runs_by_user", "use.queued_runs_by_user"
        assert client(
            "sorted((i.gpus_total, i.gpus_used, i.gpus_available) for i in use.cluster_instance_utils)"
        ) == [
            [0, 0, 0],
            [16, 16, 0],
        ]
    assert client(f"[r.run_name for r in {active}]") == [running]
    assert client(f"[r.run_name for r in {queued}]") == waiting
    if client.version != V3:
        assert "waiting for 16 GPUs of type a100_80gb on lab" in client(f"{queued}[0].reason")


@shows("get_users", on=ALL)
def test_users_are_listed(client: Published) -> None:
    client("from mcli.api.users.api_get_users import get_users")
    assert client("[u.email.count('@') for u in get_users()]") == [1]


@shows("get_current_user", "get_organizations", on=LATEST)
def test_the_current_user_belongs_to_an_organization(client: Published) -> None:
    client("from mcli.api.users.api_get_users import get_current_user")
    organizations = client("[o.name for o in get_current_user().organizations]")
    assert organizations == ["default"]
    client("from mcli.api.organizations.api_get_organizations import get_organizations")
    assert client("[o.name for o in get_organizations()]") == organizations


@shows("get_runs(all_users=True)", on=LATEST)
def test_all_users_means_the_organization(client: Published) -> None:
    name = client.finished("true")
    assert name in client("[r.name for r in get_runs(all_users=True, limit=5)]")
