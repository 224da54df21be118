"""What flags and arguments can be: names in the kubeconfig, in the cluster, in the AWS configuration, and our own.

Whoever presses the Tab key waits for it, so a cluster that does not answer at once has no names.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from click.shell_completion import CompletionItem

from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.model.kinds import BY_ALIAS, NAMESPACE, NODE, SUBJECTS, Kind
from kubectl_lbdoctor.options import KubeOptions

Items = list[CompletionItem[str]]

ANSWER_WITHIN = 0.3
"""Seconds that the API server has for a list of names."""

CREDENTIALS_WITHIN = 2.0
"""Seconds that a credential helper of the kubeconfig has before that; `aws eks get-token` takes about one. It is the
helper that kubectl's own completion starts, and waits for without an end."""

MOST = 500
"""Names that are asked for: more help nobody who presses Tab."""


def of_flag(name: str, incomplete: str, options: KubeOptions, variables: Mapping[str, str]) -> Items | None:
    """The values of a flag, by its name in click ("kube_namespace"); None where nothing is known of them.

    options: the flags for the connection that are typed so far. variables: those of the environment.
    """
    source = _FLAGS.get(name)
    return source(incomplete, options, variables) if source is not None else None


def object_names(
    kind_word: str, incomplete: str, given: Collection[str], options: KubeOptions, variables: Mapping[str, str]
) -> Items:
    """Names of objects of a kind, without those already given. "ing/we" names its kind itself; where no kind is named,
    the kinds are offered as "ingress/", which a name follows without a space."""
    prefix, slash, name = incomplete.partition("/")
    if slash:
        kind = BY_ALIAS.get(prefix.lower())
        found = names_in_cluster(kind, options, variables) if kind is not None and not kind.in_aws else []
        return _starting(name, found, lead=f"{prefix}/", without=given)
    kind = BY_ALIAS.get(kind_word.lower())
    if kind is not None:
        found = [] if kind.in_aws else names_in_cluster(kind, options, variables)
        return _starting(incomplete, found, without=given)
    kinds = [f"{kind.singular}/" for kind in SUBJECTS if kind.singular.startswith(incomplete.lower())]
    return [CompletionItem(kind, nospace=True) for kind in kinds]


def codes(incomplete: str) -> Items:
    """The codes of the checks, with their titles."""
    from kubectl_lbdoctor.checks import CATALOGUE

    found = [spec for spec in CATALOGUE if spec.code.startswith(incomplete.upper())]
    return [CompletionItem(spec.code, help=spec.title) for spec in found]


def names_in_cluster(kind: Kind, options: KubeOptions, variables: Mapping[str, str]) -> list[str]:
    """The names of the objects of a kind, in the namespace of the flags where the kind has one.

    Raises LbdoctorError or Late where the cluster cannot be asked or does not answer in time.
    """
    from kubectl_lbdoctor.collect.deadline import Deadline
    from kubectl_lbdoctor.collect.kubernetes_api import client as _before_the_clocks  # noqa: F401
    from kubectl_lbdoctor.connections import Connections
    from kubectl_lbdoctor.options import AwsOptions

    # Nothing may be asked or said while somebody types: no terminal, no words of a helper.
    quiet = Environment(io.StringIO(), io.StringIO(), io.StringIO(), variables)
    bounded = replace(options, request_timeout=f"{ANSWER_WITHIN}s")
    with Connections(bounded, AwsOptions(no_aws=True), quiet, Deadline(CREDENTIALS_WITHIN)) as cluster:
        end = Deadline(ANSWER_WITHIN)
        path = kind.path(cluster.namespace if kind.namespaced else "")

        def listed() -> list[str]:
            answer = cluster.kube.get(path, {"limit": MOST}) or {}
            return [str(item["metadata"]["name"]) for item in answer.get("items") or ()]

        return end.bound("the names", listed)


def _starting(
    incomplete: str, names: Iterable[str], lead: str = "", without: Collection[str] = (), help: str | None = None
) -> Items:
    """The names that go on from what is typed, in order, with `lead` before each."""
    found = sorted({name for name in names if name.startswith(incomplete) and lead + name not in without})
    return [CompletionItem(lead + name, help=help) for name in found]


def _in_cluster(kind: Kind, *more: str) -> Callable[[str, KubeOptions, Mapping[str, str]], Items]:
    def source(incomplete: str, options: KubeOptions, variables: Mapping[str, str]) -> Items:
        return _starting(incomplete, [*more, *names_in_cluster(kind, options, variables)])

    return source


def _in_kubeconfig(entries: str) -> Callable[[str, KubeOptions, Mapping[str, str]], Items]:
    def source(incomplete: str, options: KubeOptions, variables: Mapping[str, str]) -> Items:
        from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import kubeconfig_paths
        from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig_files import merge

        return _starting(incomplete, getattr(merge(kubeconfig_paths(options, variables), must_exist=False), entries))

    return source


def _profiles(incomplete: str, options: KubeOptions, variables: Mapping[str, str]) -> Items:
    from kubectl_lbdoctor.collect.aws_api.session import known_profiles

    return _starting(incomplete, known_profiles())


def _regions(incomplete: str, options: KubeOptions, variables: Mapping[str, str]) -> Items:
    from kubectl_lbdoctor.collect.aws_api.session import known_regions

    return _starting(incomplete, known_regions())


def _fixes(incomplete: str, options: KubeOptions, variables: Mapping[str, str]) -> Items:
    from kubectl_lbdoctor.checks import CATALOGUE

    before, comma, name = incomplete.rpartition(",")
    return _starting(name, ["all", *(spec.fix for spec in CATALOGUE if spec.fix)], before + comma, before.split(","))


def _ignored(incomplete: str, options: KubeOptions, variables: Mapping[str, str]) -> Items:
    from kubectl_lbdoctor.checks import CATALOGUE

    before, comma, code = incomplete.rpartition(",")
    return _starting(code.upper(), [spec.code for spec in CATALOGUE], before + comma, before.split(","))


_FLAGS: Mapping[str, Callable[[str, KubeOptions, Mapping[str, str]], Items]] = {
    "kube_namespace": _in_cluster(NAMESPACE),
    "kube_context": _in_kubeconfig("contexts"),
    "kube_cluster": _in_kubeconfig("clusters"),
    "kube_user": _in_kubeconfig("users"),
    "aws_profile": _profiles,
    "aws_region": _regions,
    "probe_nodes": _in_cluster(NODE, "all"),
    "fix_names": _fixes,
    "verdict_ignore": _ignored,
}
"""The flags whose values are known, by their names in click: GROUP_FIELD of `options`."""
