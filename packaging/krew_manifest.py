"""The plugin's manifest for krew, and the template of it that krew-release-bot fills in for later versions.

Rules of the fields: https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/ and
https://krew.sigs.k8s.io/docs/developer-guide/develop/naming-guide/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

PLATFORMS = ("linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64", "windows-amd64")
"""What the release workflow builds, as OS-ARCHITECTURE in Go's names."""

NOT_BUILT = "0" * 64
"""In place of the SHA-256 of an archive that was not built yet; krew refuses every archive for it."""

HOMEPAGE = "https://github.com/kubectl-lbdoctor/kubectl-lbdoctor"

_SHORT = "Find why AWS load balancer targets are unhealthy"
_DESCRIPTION = """\
Joins the state of Kubernetes and AWS behind an Ingress, a Service or a
TargetGroupBinding of the AWS Load Balancer Controller: controller, load
balancer, listeners, rules, target groups, targets, pods, nodes, security
groups and network ACLs. It names the one thing that is wrong, with its
evidence, and the exact change that repairs it. It only reads, unless a
repair is asked for and confirmed.
"""
_CAVEATS = """\
AWS is asked with your own credentials (as `aws` does); what it needs to
read is printed by:
  kubectl lbdoctor policy iam
  kubectl lbdoctor policy rbac
Completion of `kubectl lbdoctor <TAB>` needs one more file on your PATH:
  kubectl lbdoctor completion install
"""

_HEADER = """\
# krew's manifest of the plugin (in an index its name is lbdoctor.yaml). Written by `make dist`, which puts in the
# SHA-256 of the platform that it builds; the release workflow puts in all five. Zeros: not built yet.
"""
_TEMPLATE_HEADER = """\
# The manifest as krew-release-bot fills it in for each new version. Written by `make dist`; the source of both is
# packaging/krew_manifest.py.
"""


def archive_name(platform: str) -> str:
    """The file name of a platform's archive."""
    return f"lbdoctor-{platform}{'.zip' if platform.startswith('windows') else '.tar.gz'}"


def program_name(platform: str) -> str:
    """The file name of the program in it; krew asks for ".exe" on Windows."""
    return f"kubectl-lbdoctor{'.exe' if platform.startswith('windows') else ''}"


def manifest(version: str, hashes: Mapping[str, str]) -> str:
    """The manifest for a version without "v". hashes: SHA-256 by platform; NOT_BUILT stands for what is missing."""
    rows = [
        _row(platform, version, {"sha256": hashes.get(platform, NOT_BUILT)}) | {"files": _files()}
        for platform in PLATFORMS
    ]
    return _HEADER + _yaml(_document(f"v{version}", rows))


def template() -> str:
    """`.krew.yaml`: the same with the version and the hashes left to krew-release-bot, which downloads the archives."""
    text = _yaml(_document("{{ .TagName }}", [_row(platform, "", {}) | {"files": _files()} for platform in PLATFORMS]))
    for platform in PLATFORMS:
        address = _address(platform, "{{ .TagName }}")
        text = text.replace(f"    uri: {address}\n", f'    {{{{addURIAndSha "{address}" .TagName }}}}\n')
    return _TEMPLATE_HEADER + text


def hashes(text: str, version: str) -> dict[str, str]:
    """The SHA-256 by platform in a manifest of this version; {} in one of another version."""
    document = yaml.safe_load(text)
    if document["spec"]["version"] != f"v{version}":
        return {}
    found = {}
    for row in document["spec"]["platforms"]:
        labels = row["selector"]["matchLabels"]
        found[f"{labels['os']}-{labels['arch']}"] = row["sha256"]
    return found


def _document(version: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "lbdoctor"},
        "spec": {
            "version": version,
            "homepage": HOMEPAGE,
            "shortDescription": _SHORT,
            "description": _DESCRIPTION,
            "caveats": _CAVEATS,
            "platforms": rows,
        },
    }


def _address(platform: str, tag: str) -> str:
    return f"{HOMEPAGE}/releases/download/{tag}/{archive_name(platform)}"


def _row(platform: str, version: str, rest: Mapping[str, str]) -> dict[str, Any]:
    system, _, processor = platform.partition("-")
    return {
        "selector": {"matchLabels": {"os": system, "arch": processor}},
        "uri": _address(platform, f"v{version}" if version else "{{ .TagName }}"),
        **rest,
        "bin": program_name(platform),
    }


def _files() -> list[dict[str, str]]:
    return [{"from": "*", "to": "."}]


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks. Keys of a platform must be indented by 4: krew-release-bot writes them so."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _yaml(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=200)
