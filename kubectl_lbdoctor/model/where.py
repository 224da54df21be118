"""Where a copied command has to go: the flags that lead it to the cluster, account and region that were diagnosed.

Checks and fixes write commands without them, because a finding does not depend on how the cluster was reached. What
shows a command puts them in, here and nowhere else, right behind the name of the program: that place is right in every
command, also where `--` or a pipe follows.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from kubectl_lbdoctor.options import AwsOptions, KubeOptions

_SECRETS = {"--token": "TOKEN", "--password": "PASSWORD"}
"""Flags whose values are never printed, and the variables that stand for them in a command."""

_FILES = frozenset({"--kubeconfig", "--certificate-authority", "--client-certificate", "--client-key"})
_NOT_REPEATED = frozenset({"--namespace", "--request-timeout"})
"""Every command names its own namespace, and how long one request may take changes nothing about where it goes."""

_OFFLINE = frozenset({"explain", "checks", "policy", "version", "help", "completion"})
"""Commands of the plugin that ask no cluster, and so take no connection flags."""

# Quoted text is passed over: it may hold anything. A program stands at the start, or behind an operator of the shell.
_COMMAND = re.compile(
    r"""('[^']*'|"(?:\\.|[^"\\])*")|(?:^|(?<=&& )|(?<=\| )|(?<=; ))(kubectl lbdoctor|kubectl|aws) (?=([\w-]+))"""
)
# Prose says "kubectl refuses it", too: there a program counts with a command behind it that findings name.
_IN_PROSE = re.compile(
    r"()(?<![\w/.-])(kubectl lbdoctor|kubectl|aws) (?=((?<=lbdoctor )[\w-]+|annotate|delete|describe|edit|exec|get|label|"
    r"logs|patch|rollout|scale|arc-zonal-shift|ec2|eks|elbv2|iam)\b)"
)


@dataclass(frozen=True, slots=True)
class Where:
    """Flags that lead a command to the same place, each word ready for a shell.

    kube: connection flags of kubectl. aws: flags of the AWS CLI (its commands name their region themselves).
    doctor: AWS flags that the plugin itself needs again, besides `kube`. variables: assignments before kubectl, where a
    flag cannot say it. notes: what a person has to set before a command runs, in whole sentences.
    """

    kube: tuple[str, ...] = ()
    aws: tuple[str, ...] = ()
    doctor: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def command(self, line: str) -> str:
        """A complete command line, with the flags behind each program in it."""
        return _COMMAND.sub(self._located, line)

    def sentence(self, text: str) -> str:
        """A sentence that quotes commands, with the flags in those."""
        return _IN_PROSE.sub(self._located, text)

    def _located(self, match: re.Match[str]) -> str:
        program, following = match[2], match[3]
        if not program or (program == "kubectl lbdoctor" and following in _OFFLINE):
            return match[0]
        before = () if program == "aws" else self.variables
        flags = {"aws": self.aws, "kubectl": self.kube}.get(program, (*self.kube, *self.doctor))
        return " ".join((*before, program, *flags, ""))


def where(
    kube: KubeOptions, aws: AwsOptions, variables: Mapping[str, str], profile: str = "", region: str = ""
) -> Where:
    """What leads to the place that these flags and environment variables lead to.

    profile: of the AWS credentials that are used, wherever it is named. region: where neither a flag nor the cluster
    decides it. Variables of this process count as given: they may be set for this one command only.
    """
    words: list[str] = []
    notes: list[str] = []
    assignments: list[str] = []
    for field in fields(kube):
        flag = max(field.metadata["flag"].names, key=len)
        value = getattr(kube, field.name)
        if not value or flag in _NOT_REPEATED:
            continue
        for item in value if isinstance(value, tuple) else (value,):
            words += _words(flag, item, notes)
    if not kube.kubeconfig:
        files, variable = _kubeconfigs(variables)
        words = [*files, *words]
        assignments += variable
    own = profile if aws.profile or profile == variables.get("AWS_PROFILE") else ""
    doctor = [shlex.quote(w) for w in (*_flag("--profile", aws.profile or own), *_flag("--region", aws.region or region))]
    cli = [shlex.quote(word) for word in _flag("--profile", aws.profile or profile)]
    return Where(tuple(words), tuple(cli), tuple(doctor), tuple(assignments), tuple(notes))


def _flag(name: str, value: str) -> tuple[str, ...]:
    return (name, value) if value else ()


def _words(flag: str, value: str | bool, notes: list[str]) -> list[str]:
    if value is True:
        return [flag]
    if flag in _SECRETS:
        notes.append(f"in these commands ${_SECRETS[flag]} stands for the value of {flag}: set it first")
        return [flag, f'"${_SECRETS[flag]}"']
    text = str(value)
    if flag == "--server":
        text, login = _without_login(text)
        if login:
            notes.append("these commands leave out the login in the address of --server: give it with --username")
    return [flag, shlex.quote(os.path.abspath(text) if flag in _FILES else text)]


def _without_login(address: str) -> tuple[str, bool]:
    scheme, separator, rest = address.rpartition("://")
    host, slash, path = rest.partition("/")
    login, sign, host = host.rpartition("@")
    return f"{scheme}{separator}{host}{slash}{path}", bool(sign)


def _kubeconfigs(variables: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """How a command finds the files of KUBECONFIG: --kubeconfig takes one file only, so that several need the variable;
    kubectl's own default needs neither."""
    listed = list(dict.fromkeys(part for part in variables.get("KUBECONFIG", "").split(os.pathsep) if part))
    usual = Path(variables.get("HOME") or variables.get("USERPROFILE") or "") / ".kube" / "config"
    if not listed or [Path(part) for part in listed] == [usual]:
        return [], []
    paths = [os.path.abspath(part) for part in listed]
    if len(paths) == 1:
        return ["--kubeconfig", shlex.quote(paths[0])], []
    return [], [f"KUBECONFIG={shlex.quote(os.pathsep.join(paths))}"]
