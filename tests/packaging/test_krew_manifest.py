"""The manifest keeps krew's rules, is what the generator makes, and krew-release-bot's template makes the same."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import krew_manifest
import pytest
import yaml

from kubectl_lbdoctor import __version__

ROOT = Path(__file__).resolve().parents[2]
TRACKED = (ROOT / "krew-manifest.yaml").read_text()
SPEC = yaml.safe_load(TRACKED)["spec"]


def test_the_tracked_files_are_what_the_generator_makes() -> None:
    assert krew_manifest.manifest(__version__, krew_manifest.hashes(TRACKED, __version__)) == TRACKED
    assert (ROOT / ".krew.yaml").read_text() == krew_manifest.template()


def test_krews_rules_for_words() -> None:
    assert len(SPEC["shortDescription"]) <= 50 and not SPEC["shortDescription"].endswith(".")
    assert all(len(line) <= 80 for line in (SPEC["description"] + SPEC["caveats"]).splitlines())
    assert re.fullmatch(r"v\d+\.\d+\.\d+", SPEC["version"])


def test_five_platforms_each_with_its_archive_and_program() -> None:
    rows = {
        f"{row['selector']['matchLabels']['os']}/{row['selector']['matchLabels']['arch']}": row
        for row in SPEC["platforms"]
    }
    assert list(rows) == ["linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64"]
    for name, row in rows.items():
        assert re.fullmatch(r"[0-9a-f]{64}", row["sha256"])
        assert row["bin"] == "kubectl-lbdoctor" + (".exe" if name.startswith("windows") else "")
        ending = "zip" if name.startswith("windows") else "tar.gz"
        expected = f"/releases/download/v{__version__}/lbdoctor-{name.replace('/', '-')}.{ending}"
        assert row["uri"] == SPEC["homepage"] + expected
        assert row["files"] == [{"from": "*", "to": "."}], "all of the archive: LICENSE and NOTICE, too"


def test_the_address_is_that_of_the_project() -> None:
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    url = metadata["metadata"].get("url", "")
    assert SPEC["homepage"].startswith("https://") and (not url or url == SPEC["homepage"])


def test_hashes_of_another_version_are_not_taken_over() -> None:
    assert krew_manifest.hashes(TRACKED, "99.0.0") == {}
    assert set(krew_manifest.hashes(TRACKED, __version__)) == set(krew_manifest.PLATFORMS)
    assert krew_manifest.NOT_BUILT in krew_manifest.manifest("99.0.0", {})


@pytest.mark.parametrize("tag", ["v1.2.3", "v0.1.0"])
def test_the_bots_template_gives_the_manifest(tag: str) -> None:
    """The bot's function writes the address and, four columns in, the hash (krew-release-bot, `pkg/source`)."""
    digest = "ab" * 32
    filled = re.sub(
        r'\{\{addURIAndSha "(.*?)" \.TagName \}\}',
        lambda call: f"uri: {call[1]}\n    sha256: {digest}",
        krew_manifest.template(),
    ).replace("{{ .TagName }}", tag)
    made = krew_manifest.manifest(tag[1:], dict.fromkeys(krew_manifest.PLATFORMS, digest))
    assert yaml.safe_load(filled) == yaml.safe_load(made)
