"""The emulated API behaves as a real API server was seen to."""

from __future__ import annotations

import http.client
import threading
from itertools import islice
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.kubernetes.api import CONFIGMAPS, PODS, SECRETS, Api
from tests.kubernetes.emulation.cluster import EmulatedCluster


def secret(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **more}, "stringData": {"a": "b"}}


def test_a_name_can_be_taken_once(any_api: Api) -> None:
    created = any_api.create(SECRETS, secret("one"))
    assert created["data"] == {"a": "Yg=="}
    status, answer = any_api.request("POST", SECRETS, secret("one"))
    assert (status, answer["reason"], answer["message"]) == (
        409,
        "AlreadyExists",
        'secrets "one" already exists',
    )


@pytest.mark.parametrize(
    ("path", "item", "words"),
    [
        (SECRETS, secret("Not_Legal"), 'metadata.name: Invalid value: "Not_Legal"'),
        (SECRETS, secret("x", labels={"a": "not legal"}), 'metadata.labels: Invalid value: "not legal"'),
        (PODS, {"metadata": {"name": "x"}, "spec": {"containers": []}}, "spec.containers: Required value"),
    ],
)
def test_what_is_malformed_is_refused(any_api: Api, path: str, item: dict[str, Any], words: str) -> None:
    status, answer = any_api.request("POST", path, item)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert words in answer["message"]


def test_a_dry_run_creates_nothing(any_api: Api) -> None:
    any_api.create(SECRETS, secret("one"), dryRun="All")
    assert any_api.get(SECRETS)["items"] == []


def test_without_the_token_nothing_is_told(emulated: EmulatedCluster) -> None:
    emulated.token = "another"
    assert Api(emulated.kubeconfig, "runs").request("GET", PODS)[0] == 401


def test_lists_are_selected_and_paged(any_api: Api) -> None:
    for number in range(5):
        any_api.create(SECRETS, secret(f"s{number}", labels={"odd": str(number % 2)}))
    odd = any_api.get(SECRETS, labelSelector="odd in (1),odd")
    assert [item["metadata"]["name"] for item in odd["items"]] == ["s1", "s3"]
    first = any_api.get(SECRETS, limit=3)
    rest = any_api.get(SECRETS, limit=3, **{"continue": first["metadata"]["continue"]})
    assert [item["metadata"]["name"] for item in first["items"] + rest["items"]] == [
        f"s{n}" for n in range(5)
    ]


def test_a_watch_goes_on_from_a_revision(any_api: Api) -> None:
    revision = any_api.create(SECRETS, secret("one", labels={"mine": "yes"}))["metadata"]["resourceVersion"]
    any_api.create(SECRETS, secret("two"))
    any_api.patch(f"{SECRETS}/two", {"metadata": {"labels": {"mine": "yes"}}})
    any_api.patch(f"{SECRETS}/one", {"metadata": {"labels": {"mine": None}}})
    any_api.delete(f"{SECRETS}/two")
    events = any_api.watch(SECRETS, resourceVersion=revision, labelSelector="mine=yes")
    seen = [(event["type"], event["object"]["metadata"]["name"]) for event in islice(events, 3)]
    assert seen == [("ADDED", "two"), ("DELETED", "one"), ("DELETED", "two")]


def test_a_watch_with_bookmarks_says_how_far_it_is(api: Api) -> None:
    revision = api.get(SECRETS)["metadata"]["resourceVersion"]
    newer = api.create(CONFIGMAPS, {"metadata": {"name": "x"}})
    event = next(api.watch(SECRETS, resourceVersion=revision, allowWatchBookmarks="true"))
    assert event["type"] == "BOOKMARK"
    assert event["object"]["metadata"]["resourceVersion"] == newer["metadata"]["resourceVersion"]


def test_a_forgotten_revision_is_answered_410(api: Api, emulated: EmulatedCluster) -> None:
    revision = api.create(SECRETS, secret("one"))["metadata"]["resourceVersion"]
    api.create(SECRETS, secret("two"))
    emulated.expire()
    (event,) = api.watch(SECRETS, resourceVersion=revision)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_dropped_watch_breaks(api: Api, emulated: EmulatedCluster) -> None:
    broken: list[BaseException] = []

    def watch() -> None:
        try:
            list(api.watch(SECRETS))
        except (http.client.IncompleteRead, OSError) as error:
            broken.append(error)

    api.create(SECRETS, secret("one"))
    thread = threading.Thread(target=watch)
    thread.start()
    wait_until(lambda: ("watch", "secrets") in emulated.requests, "the watch has begun")
    while thread.is_alive():
        emulated.drop_streams()
        thread.join(0.01)
    assert broken


def test_what_an_owner_leaves_is_collected(api: Api) -> None:
    owner = api.create(SECRETS, secret("owner"))["metadata"]
    reference = {"apiVersion": "v1", "kind": "Secret", "name": "owner", "uid": owner["uid"]}
    api.create(SECRETS, secret("owned", ownerReferences=[reference]))
    api.delete(f"{SECRETS}/owner")
    api.create(SECRETS, secret("late", ownerReferences=[reference]))
    assert api.get(SECRETS)["items"] == []


def test_a_write_from_an_old_version_is_a_conflict(any_api: Api) -> None:
    old = any_api.create(SECRETS, secret("one"))
    any_api.patch(f"{SECRETS}/one", {"data": {"a": "Yw=="}})
    status, answer = any_api.request("PUT", f"{SECRETS}/one", old)
    assert (status, answer["reason"]) == (409, "Conflict")


def test_it_fails_and_delays_and_denies_when_told_to(api: Api, emulated: EmulatedCluster) -> None:
    emulated.faults.fail("list", "secrets", 429, retry_after=1)
    assert api.request("GET", SECRETS)[0] == 429
    assert api.request("GET", SECRETS)[0] == 200
    emulated.faults.deny("list", "secrets")
    status, answer = api.request("GET", SECRETS)
    assert (status, answer["reason"]) == (403, "Forbidden")
    assert 'cannot list resource "secrets" in API group "" in the namespace "runs"' in answer["message"]
    review = {
        "spec": {"resourceAttributes": {"namespace": api.namespace, "verb": "list", "resource": "secrets"}}
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert api.create(path, review)["status"] == {"allowed": False}
    emulated.faults.allow("list", "secrets")
    assert api.create(path, review)["status"] == {"allowed": True}


def test_it_can_be_away_for_a_while(api: Api, emulated: EmulatedCluster) -> None:
    emulated.down()
    with pytest.raises(ConnectionError):
        api.get(SECRETS)
    emulated.up()
    assert api.get(SECRETS)["items"] == []
