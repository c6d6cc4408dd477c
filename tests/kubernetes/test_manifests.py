"""What deploy/kubernetes grants is what the platform needs, and every name in it leads somewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mapi.clusters.kubernetes.permissions import PERMISSIONS
from mapi.config import KubernetesCluster, load

DIRECTORY = Path(__file__).parents[2] / "deploy/kubernetes"
Json = dict[str, Any]


def documents(name: str) -> list[Json]:
    return list(yaml.safe_load_all((DIRECTORY / name).read_text()))


ALL = {
    (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]): item
    for name in documents("kustomization.yaml")[0]["resources"]
    for item in documents(name)
}


def the(kind: str) -> Json:
    (found,) = [item for (each, _, _), item in ALL.items() if each == kind]
    return found


@pytest.mark.parametrize(("role", "everywhere"), [("Role", False), ("ClusterRole", True)])
def test_the_roles_grant_what_is_needed_and_no_more(role: str, everywhere: bool) -> None:
    granted = {
        (group, resource, verb)
        for rule in the(role)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    needed = {
        (permission.group, permission.resource, verb)
        for permission in PERMISSIONS
        if permission.everywhere is everywhere
        for verb in permission.verbs
    }
    assert granted == needed


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
def test_the_roles_are_bound_to_the_account_that_the_server_has(kind: str) -> None:
    binding = the(kind)
    role = binding["roleRef"]
    assert (role["kind"], binding["metadata"].get("namespace"), role["name"]) in ALL
    (subject,) = binding["subjects"]
    assert (subject["kind"], subject["namespace"], subject["name"]) in ALL
    deployment = the("Deployment")
    assert subject["name"] == deployment["spec"]["template"]["spec"]["serviceAccountName"]
    assert subject["namespace"] == deployment["metadata"]["namespace"]


def test_everything_is_in_a_namespace_that_is_made() -> None:
    for kind, namespace, _ in ALL:
        assert namespace is None or ("Namespace", None, namespace) in ALL, kind


def test_the_service_and_the_deployment_select_its_pods() -> None:
    template = the("Deployment")["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    assert the("Deployment")["spec"]["selector"]["matchLabels"].items() <= labels
    assert the("Service")["spec"]["selector"].items() <= labels
    (container,) = template["spec"]["containers"]
    (port,) = container["ports"]
    assert the("Service")["spec"]["ports"][0]["targetPort"] == port["name"]
    assert f"--port={port['containerPort']}" in container["args"]
    assert the("Service")["spec"]["ports"][0]["port"] == port["containerPort"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": port["name"]}


def test_volumes_are_there_and_the_environment_points_into_them() -> None:
    spec = the("Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    paths = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert paths.keys() == volumes.keys()
    claim = volumes["home"]["persistentVolumeClaim"]["claimName"]
    assert ("PersistentVolumeClaim", "mapi", claim) in ALL
    file = the("ConfigMap")["data"]
    assert volumes["config"]["configMap"]["name"] == the("ConfigMap")["metadata"]["name"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert environment["MAPI_CONFIG"] == f"{paths['config']}/{next(iter(file))}"
    assert environment["MAPI_HOME"].startswith(f"{paths['home']}/")


def test_the_server_understands_its_configuration_and_no_service_gets_in_between(tmp_path: Path) -> None:
    (text,) = the("ConfigMap")["data"].values()
    (file := tmp_path / "mapi.yaml").write_text(text)
    (settings,) = load({}, {}, str(file)).config.clusters.values()
    assert isinstance(settings, KubernetesCluster)
    # The variables that a Service named mapi makes would be settings: MAPI_PORT=tcp://…
    assert the("Deployment")["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_two_servers_never_share_a_home() -> None:
    spec = the("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_runs_are_not_where_the_server_is() -> None:
    configured = yaml.safe_load(the("ConfigMap")["data"]["mapi.yaml"])
    namespace = configured["clusters"]["kubernetes"]["namespace"]
    assert namespace == the("Role")["metadata"]["namespace"] != the("Deployment")["metadata"]["namespace"]
    service = the("Service")
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.cluster.local"
    assert configured["public_url"] == f"http://{host}:{service['spec']['ports'][0]['port']}"


def test_the_image_is_the_one_that_the_kustomization_places() -> None:
    (image,) = documents("kustomization.yaml")[0]["images"]
    (container,) = the("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image["name"]
