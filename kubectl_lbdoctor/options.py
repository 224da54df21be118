"""What the command line says, as data: kept apart so that `--help` imports nothing else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that the command line says. Empty strings mean "as kubectl (or boto3) would choose"."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    user: str = ""
    server: str = ""
    namespace: str = ""
    as_user: str = ""
    as_groups: tuple[str, ...] = ()
    request_timeout: str = ""
    insecure_skip_tls_verify: bool = False
    profile: str = ""
    region: str = ""
    no_aws: bool = False
    output: str = "table"
    fail_on: str = "error"
    save: str = ""
    from_file: str = ""
    verbose: bool = False
    fix: tuple[str, ...] = ()
    yes: bool = False
    dry_run: str = ""
    wait: str = ""
    undo_file: str = ""
    probe: str = "auto"
    probe_image: str = ""
    probe_nodes: tuple[str, ...] = ()
    probe_target: str = ""
