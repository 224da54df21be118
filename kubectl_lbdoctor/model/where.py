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
from dataclasses import fields, replace
from pathlib import Path

from kubectl_lbdoctor import PROGRAM
from kubectl_lbdoctor.options import AwsOptions, KubeOptions
from kubectl_lbdoctor.record import record

_SECRETS = {"--token": "TOKEN", "--password": "PASSWORD"}
"""Flags whose values are never printed, and the variables that stand for them in a command."""

_FILES = frozenset({"--certificate-authority", "--client-certificate", "--client-key"})
_NOT_REPEATED = frozenset({"--namespace", "--request-timeout", "--kubeconfig"})
"""Every command names its own namespace, and how long one request may take changes nothing about where it goes. The
kubeconfig goes before all others, whichever way it was given."""

_OFFLINE = frozenset({"explain", "checks", "policy", "version", "help", "completion"})
"""Commands of the plugin that ask no cluster, and so take no connection flags."""

# Quoted text is passed over: it may hold anything. A program stands at the start, or behind an operator of the shell.
_COMMAND = re.compile(
    r"""('[^']*'|"(?:\\.|[^"\\])*")|(?:^|(?<=&& )|(?<=\| )|(?<=; ))(kubectl lbdoctor|kubectl|aws) (?=([\w-]+))"""
)
# Prose says "kubectl refuses it", too: there a program counts with a command behind it that findings name.
_IN_PROSE = re.compile(
    r"()(?<![\w/.-])(kubectl lbdoctor|kubectl|aws) (?=((?<=lbdoctor )[\w-]+|annotate|delete|describe|edit|exec|get|"
    r"label|logs|patch|rollout|scale|arc-zonal-shift|ec2|eks|elbv2|iam)\b)"
)


@record
class Where:
    """Flags that lead a command to the same place, each word ready for a shell.

    kube: connection flags of kubectl. aws: flags of the AWS CLI. region: for those of its commands that name none.
    doctor: AWS flags that the plugin itself needs again, besides `kube`. variables: assignments before kubectl, where a
    flag cannot say it. notes: what a person has to set before a command runs, in whole sentences.
    """

    kube: tuple[str, ...] = ()
    aws: tuple[str, ...] = ()
    doctor: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    region: str = ""

    def in_aws(
        self,
        given: AwsOptions,
        profile: str = "",
        region: str = "",
        *,
        same_profile: bool = False,
        same_region: bool = True,
    ) -> Where:
        """The same with what leads to the account and region. profile, region: what is used, "" where it is not known.
        same_profile, same_region: the plugin finds it again without a flag, from the kubeconfig or the cluster."""
        again = _flags(
            ("--profile", given.profile or ("" if same_profile else profile)),
            ("--region", given.region or ("" if same_region else region)),
        )
        cli = _flags(("--profile", given.profile or profile))
        return replace(self, aws=cli, doctor=again, region=given.region or region)

    def command(self, line: str) -> str:
        """A complete command line, with the flags behind each program in it."""
        return _COMMAND.sub(self._located, line)

    def sentence(self, text: str) -> str:
        """A sentence that quotes commands, with the flags in those."""
        return _IN_PROSE.sub(self._located, text)

    def _located(self, match: re.Match[str]) -> str:
        program, following = match[2], match[3]
        if not program or (program == PROGRAM and following in _OFFLINE):
            return match[0]
        if program == "aws":
            return " ".join((program, *self.aws, *self._region(match.string[match.end() :]), ""))
        flags = self.kube if program == "kubectl" else (*self.kube, *self.doctor)
        return " ".join((*self.variables, program, *flags, ""))

    def _region(self, rest: str) -> tuple[str, ...]:
        """The region for a command of the AWS CLI that names none. What a check knows of it stands there already."""
        own = re.split(r" (?:&&|\|) ", rest, maxsplit=1)[0]
        return () if " --region " in own else _flags(("--region", self.region))


NOWHERE = Where()
"""No flags: the commands go where kubectl and the AWS CLI go by themselves."""


def where_of(kube: KubeOptions, variables: Mapping[str, str]) -> Where:
    """What leads to the cluster that these flags and environment variables lead to, as the same user.

    Variables of this process count as given: they may be set for this one command only.
    """
    words: list[str] = []
    notes: list[str] = []
    for field in fields(kube):
        flag = max(field.metadata["flag"].names, key=len)
        value = getattr(kube, field.name)
        if value and flag not in _NOT_REPEATED:
            for item in value if isinstance(value, tuple) else (value,):
                words += _words(flag, item, notes)
    assignments: list[str] = []
    if kube.kubeconfig:
        files = ["--kubeconfig", shlex.quote(os.path.abspath(kube.kubeconfig))]
    else:
        files, assignments = _kubeconfigs(variables)
    return Where(kube=(*files, *words), variables=tuple(assignments), notes=tuple(notes))


def _flags(*pairs: tuple[str, str]) -> tuple[str, ...]:
    return tuple(word for name, value in pairs if value for word in (name, shlex.quote(value)))


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
    _, sign, host = host.rpartition("@")
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
