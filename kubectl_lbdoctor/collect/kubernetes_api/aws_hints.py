"""What a kubeconfig says about the AWS side of its cluster: region, profile, cluster name. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig_files import exec_env, text_of, texts_of
from kubectl_lbdoctor.record import record

_REGION = r"[a-z]{2}(?:-[a-z]+)+-\d+"
# EKS endpoints: https://docs.aws.amazon.com/eks/latest/userguide/cluster-endpoint.html (IPv4, dual stack, China).
_EKS_HOST = re.compile(rf"\.({_REGION})\.(?:eks\.amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)$")
_EKS_ARN = re.compile(rf"^arn:aws[a-z-]*:eks:({_REGION}):(\d{{12}}):cluster/([A-Za-z0-9][A-Za-z0-9_-]*)$")
_EKSCTL = re.compile(rf"^(?:.*@)?([A-Za-z0-9][A-Za-z0-9-]*)\.({_REGION})\.eksctl\.io$")
_FLAGS = {
    "--region": "region",
    "--profile": "profile",
    "--cluster-name": "cluster_name",
    "--cluster-id": "cluster_name",
    "--role-arn": "role_arn",
    "--role": "role_arn",  # what `aws eks update-kubeconfig --role-arn` writes
}
_AUTHENTICATOR_FLAGS = {"-i": "cluster_name", "-r": "role_arn"}


@record
class AwsHints:
    """What the kubeconfig says about the AWS side of the cluster; empty where it says nothing.

    `region_source` and `profile_source` name the place for the report. `profile_by_variable`: the plugin has the
    profile from a variable, so that keys in variables go before the profile's own. `role_arn` is the role for signing
    the cluster's token only: AWS reads do not assume it. `env` holds the AWS_* variables that the kubeconfig sets for
    its exec plugin.
    """

    region: str = ""
    region_source: str = ""
    profile: str = ""
    profile_source: str = ""
    profile_by_variable: bool = False
    cluster_name: str = ""
    role_arn: str = ""
    account: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


def aws_hints(user_name: str, user: Mapping[str, Any], server: str, names: Sequence[str]) -> AwsHints:
    """What a kubeconfig's user, server URL and entry names (context, cluster) say about AWS.

    The nearest statement wins: arguments of `aws eks get-token` or `aws-iam-authenticator token`, then the variables
    set for it, then the EKS endpoint's host name, then an EKS ARN or an eksctl name. Never raises.
    """
    section = user.get("exec")
    section = section if isinstance(section, dict) else {}
    command = text_of(section.get("command"))
    found = plugin_flags(command, texts_of(section.get("args")))
    env = {name: value for name, value in exec_env(section).items() if name.startswith("AWS_") and value}
    program = Path(command).name or "exec plugin"
    source = f"kubeconfig user {user_name}"

    arn = next((match for match in map(_EKS_ARN.match, names) if match), None)
    eksctl = next((match for match in map(_EKSCTL.match, names) if match), None)
    host = _EKS_HOST.search(urlsplit(server).hostname or "") if server else None
    regions = (
        (found.get("region", ""), f"{source}: {program} --region"),
        (env.get("AWS_REGION", ""), f"{source}: AWS_REGION of {program}"),
        (env.get("AWS_DEFAULT_REGION", ""), f"{source}: AWS_DEFAULT_REGION of {program}"),
        (host.group(1) if host else "", "kubeconfig cluster: EKS endpoint"),
        (arn.group(1) if arn else "", "kubeconfig: cluster ARN"),
        (eksctl.group(2) if eksctl else "", "kubeconfig: eksctl name"),
    )
    profiles = (
        (found.get("profile", ""), f"{source}: {program} --profile"),
        (env.get("AWS_PROFILE", ""), f"{source}: AWS_PROFILE of {program}"),
        (env.get("AWS_DEFAULT_PROFILE", ""), f"{source}: AWS_DEFAULT_PROFILE of {program}"),
    )
    region, region_source = next((pair for pair in regions if pair[0]), ("", ""))
    profile, profile_source = next((pair for pair in profiles if pair[0]), ("", ""))
    return AwsHints(
        region=region,
        region_source=region_source,
        profile=profile,
        profile_source=profile_source,
        profile_by_variable=bool(profile) and not found.get("profile"),
        cluster_name=(
            found.get("cluster_name", "") or (arn.group(3) if arn else "") or (eksctl.group(1) if eksctl else "")
        ),
        role_arn=found.get("role_arn", ""),
        account=arn.group(2) if arn else "",
        env=env,
    )


def plugin_flags(command: str, args: list[str]) -> dict[str, str]:
    """The flags that we know in an exec plugin's arguments, also behind a wrapper (`sh -c "aws eks get-token …"`)."""
    words: list[str] = []
    for arg in args:
        try:
            words += shlex.split(arg) if " " in arg else [arg]
        except ValueError:
            words.append(arg)
    programs = {Path(word).name for word in (command, *words)}
    flags = dict(_FLAGS)
    if "aws-iam-authenticator" in programs:
        flags |= _AUTHENTICATOR_FLAGS
    found: dict[str, str] = {}
    for position, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name not in flags:
            continue
        if not equals:
            value = words[position + 1] if position + 1 < len(words) else ""
        if value and not value.startswith("--"):
            found[flags[name]] = value
    return found
