"""The readers that answer from recorded worlds answer as the APIs do, and fail the test for what was never recorded."""

from __future__ import annotations

import base64
from datetime import datetime, timezone

import pytest

from tests.record import normalise
from tests.support import cassette, patches, product
from tests.support.cassette import NotRecorded, ReplayKube, load
from tests.support.cassette_aws import ReplayAws

PODS = "/api/v1/namespaces/shop/pods"


def test_a_list_holds_the_objects_of_its_namespace_without_kind() -> None:
    pods = list(ReplayKube(load("alb-ip")).list(PODS))
    assert [pod["metadata"]["namespace"] for pod in pods] == ["shop", "shop"]
    assert all("kind" not in pod and "apiVersion" not in pod for pod in pods)
    assert len(list(ReplayKube(load("alb-ip")).list("/api/v1/pods"))) > 2


def test_a_selector_is_evaluated_on_what_a_patch_left() -> None:
    world = load("alb-ip")
    patches.apply(world, [{"object": "Pod/web-*-pod01", "merge": {"metadata": {"labels": {"app": "other"}}}}])
    kube = ReplayKube(world)
    assert len(list(kube.list(PODS, {"labelSelector": "app=web"}))) == 1
    assert len(list(kube.list(PODS, {"labelSelector": "app!=web,app"}))) == 1
    assert len(list(kube.list(PODS, {"labelSelector": "app in (web,api)"}))) == 1
    with pytest.raises(NotRecorded, match="selector"):
        list(kube.list(PODS, {"fieldSelector": "spec.schedulerName=x"}))


def test_an_absent_object_is_none_and_an_unrecorded_kind_fails() -> None:
    kube = ReplayKube(load("alb-ip"))
    assert kube.get("/api/v1/namespaces/shop/services/nobody") is None
    assert (kube.get("/api/v1/namespaces/shop/services/web") or {})["kind"] == "Service"
    with pytest.raises(NotRecorded, match="v1/configmaps"):
        kube.get("/api/v1/namespaces/shop/configmaps/web")
    with pytest.raises(NotRecorded, match="allowWatchBookmarks"):
        list(kube.list(PODS, {"allowWatchBookmarks": "true"}))


def test_what_is_denied_or_fails_is_raised_as_a_reader_does() -> None:
    world = load("alb-ip")
    world.denied, world.failing = ["list pods in namespace *"], ["elasticloadbalancing:DescribeTags"]
    with pytest.raises(product.ReadDenied) as denied:
        list(ReplayKube(world).list(PODS))
    assert denied.value.permission == product.permission_of("list", PODS)
    with pytest.raises(product.ReadFailed):
        ReplayAws(world).call("elbv2", "DescribeTags", "TagDescriptions", ResourceArns=[])


def test_aws_says_what_does_not_exist_by_its_code() -> None:
    world = load("alb-ip")
    aws = ReplayAws(world)
    arn = world.aws["TargetGroups"][0]["TargetGroupArn"]
    assert len(aws.call("elbv2", "DescribeTargetHealth", "TargetHealthDescriptions", TargetGroupArn=arn)) == 2
    patches.apply(world, [{"aws": "TargetGroups", "delete": True}])
    with pytest.raises(product.AwsApiError) as absent:
        aws.call("elbv2", "DescribeTargetHealth", "TargetHealthDescriptions", TargetGroupArn=arn)
    assert absent.value.code == "TargetGroupNotFound"


def test_an_unknown_operation_parameter_or_filter_fails() -> None:
    aws = ReplayAws(load("alb-ip"))
    with pytest.raises(NotRecorded, match="ec2:DescribeVpcs"):
        aws.call("ec2", "DescribeVpcs", "Vpcs")
    with pytest.raises(NotRecorded, match="tag:Name"):
        aws.call("ec2", "DescribeSubnets", "Subnets", Filters=[{"Name": "tag:Name", "Values": ["x"]}])
    with pytest.raises(NotRecorded, match="Marker"):
        aws.call("elbv2", "DescribeTargetGroups", "TargetGroups", Marker="x")


@pytest.mark.parametrize(
    "patch",
    [
        {"object": "Service/nobody", "merge": {}},
        {"object": "Service/web"},
        {"aws": "TargetHealth", "where": {"Target.Id": "none"}, "delete": True},
        {"aws": "Nothing", "merge": {}},
        {"targets": "none", "state": "unhealthy"},
        {"object": "EndpointSlice/web-slice", "endpoints": {"nobody": {}}},
        {"object": "Service/web", "json": [{"op": "replace", "path": "/spec/none", "value": 1}]},
        {"nothing": True},
    ],
)
def test_a_patch_that_changes_nothing_is_a_mistake(patch: dict[str, object]) -> None:
    with pytest.raises(patches.BadPatch):
        patches.apply(load("alb-ip"), [patch])


def test_a_merge_follows_rfc_7386() -> None:
    assert patches.merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": None, "e": 3}, "d": [2]}) == {
        "a": {"c": 2, "e": 3},
        "d": [2],
    }


def test_a_world_is_not_changed_by_its_cases() -> None:
    patches.apply(load("alb-ip"), [{"object": "Pod/*", "delete": True}])
    assert list(ReplayKube(load("alb-ip")).list(PODS))


def test_the_same_id_becomes_the_same_number_and_times_keep_their_distance() -> None:
    now = datetime(2026, 1, 1, 10, 0, 0, tzinfo=timezone.utc)
    words = normalise.Normaliser(now, {"rec-1a2b3c": "shop"}, {"10.0.1.7": "10.0.1.41"}, {31234: 30081})
    said = words.value(
        {
            "text": "rec-1a2b3c sg-0123456789abcdef0 10.0.1.7:31234 2026-01-01T09:59:30Z",
            "port": 31234,
            "id": "10.0.1.70",
        }
    )
    assert said == {
        "text": "shop sg-00000000000000001 10.0.1.41:30081 2030-01-07T11:59:30Z",
        "port": 30081,
        "id": "10.0.1.70",
    }
    assert words.text("sg-0123456789abcdef0") == "sg-00000000000000001"


def test_secrets_are_not_recorded() -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "tls", "managedFields": [{}]},
        "data": {"tls.key": "a2V5", "tls.crt": "Y3J0"},
    }
    slim = normalise.slimmed(secret, whole=False)
    assert base64.b64decode(slim["data"]["tls.key"]) == b"redacted"
    assert slim["data"]["tls.crt"] == "Y3J0" and "managedFields" not in slim["metadata"]
    for path in cassette.WORLDS.glob("*/kubernetes.yaml"):
        text = path.read_text()
        assert "PRIVATE KEY" not in text and base64.b64encode(b"-----BEGIN RSA PRIVATE").decode()[:20] not in text


def test_converters_meet_managed_fields() -> None:
    """One world keeps what the API server and kubectl add to objects."""
    whole = [i for i in load("alb-ip").objects if "managedFields" in i["metadata"]]
    assert {"Ingress", "Service", "Pod", "TargetGroupBinding"} <= {item["kind"] for item in whole}
