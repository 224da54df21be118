"""As whom and where AWS is asked: one botocore session, and the record of why it is this profile and this region.

The cluster's own kubeconfig usually knows both better than the shell does: somebody with ten accounts has one
`AWS_PROFILE` set and another one in the `aws eks get-token` arguments of the cluster that is being diagnosed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubectl_lbdoctor.collect import given_file
from kubectl_lbdoctor.collect.kubernetes_api.aws_hints import AwsHints
from kubectl_lbdoctor.errors import NoCredentials
from kubectl_lbdoctor.model.shell import shell
from kubectl_lbdoctor.options import AwsOptions
from kubectl_lbdoctor.record import record

if TYPE_CHECKING:
    from botocore.session import Session

CREDENTIAL_SERVICES = frozenset({"sts", "sso", "sso-oidc", "signin"})
"""The services that botocore itself asks for credentials: assumed roles, IAM Identity Center, `aws login`.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

_REGION_VARIABLE, _CONFIGURATION = "AWS_REGION", "AWS configuration"
_PROFILE_VARIABLE, _KEY_VARIABLE = "AWS_PROFILE", "AWS_ACCESS_KEY_ID"
_KEYS_OF_PLUGIN = "AWS_ACCESS_KEY_ID of the kubeconfig's exec plugin"
_KEYS_OF_ENVIRONMENT = "AWS_ACCESS_KEY_ID of the environment, which goes before the AWS_PROFILE of the kubeconfig"

PROFILES_SHOWN = 10
"""Known profiles that an error about an unknown one lists."""


PATIENCE = 5.0
"""Seconds for which credentials are waited for, where nobody has chosen the time of the run: of a command of
credential_process, of the metadata service, of a sign-in service and of STS (roles), which botocore itself would wait
for for minutes."""

NO_CREDENTIALS_CAME = (
    f"the AWS credentials did not come within {PATIENCE:g}s: the command, sign-in service or STS behind them is silent",
    "check with: aws sts get-caller-identity; allow more time: --timeout 2m",
)


@record
class AwsSession:
    """A botocore session whose credentials were found (not yet used), with the origin of what it uses.

    `profile` is "" when botocore's own chain gives the credentials; `profile_source` then says which part of it did
    (botocore's name: "env", "iam-role", "assume-role-with-web-identity", …).
    """

    session: Session = field(repr=False, compare=False)
    region: str
    region_source: str
    profile: str
    profile_source: str

    @property
    def region_of_environment(self) -> bool:
        """Whether only this process's environment names the region: another shell would find another one."""
        return self.region_source in (_REGION_VARIABLE, _CONFIGURATION)


def import_sdk() -> None:
    """Pay for the import of botocore at a time of the caller's choice."""
    import botocore.session  # noqa: F401


def known_profiles() -> list[str]:
    """The profiles of the AWS configuration on this machine."""
    import botocore.session

    return list(botocore.session.Session().available_profiles)


def known_regions() -> list[str]:
    """The regions in which Elastic Load Balancing is offered, of all partitions, as botocore knows them."""
    import botocore.session

    session = botocore.session.Session()
    return [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("elbv2", partition)
    ]


def open_session(
    options: AwsOptions,
    hints: AwsHints,
    node_region: Callable[[], str | None],
    environ: Mapping[str, str],
) -> AwsSession:
    """The session for the flags, what the kubeconfig says, the nodes' region and botocore's own chain, in that order.

    `node_region` is only called when neither flag nor kubeconfig names a region. Credentials are looked up but not
    used: whether AWS accepts them shows at the first call.

    Raises NoCredentials when AWS cannot be asked: switched off, unknown profile, no credentials, no region.
    """
    if options.no_aws:
        raise NoCredentials("--no-aws was given")
    import botocore.session
    from botocore.exceptions import BotoCoreError

    from kubectl_lbdoctor.collect.aws_api.models import model_loader

    named, profile_source = profile_of(options, hints, environ)
    profile = "" if profile_source == _PROFILE_VARIABLE else named  # botocore reads that itself
    keys: dict[str, str | None] = {}
    if profile_source in (_KEYS_OF_PLUGIN, _KEYS_OF_ENVIRONMENT):
        keys = _static_keys(hints.env if profile_source == _KEYS_OF_PLUGIN else {**environ, **hints.env})
    core = botocore.session.Session(profile=profile or None)
    for variable, name in (
        ("config_file", "AWS_CONFIG_FILE"),
        ("credentials_file", "AWS_SHARED_CREDENTIALS_FILE"),
        ("ca_bundle", "AWS_CA_BUNDLE"),
    ):
        if hints.env.get(name):
            core.set_config_variable(variable, hints.env[name])
    try:
        if named and named not in core.available_profiles:
            raise _unknown_profile(named, profile_source, core.available_profiles)
        core.register_component("data_loader", model_loader(core.get_config_variable("data_path")))
        if keys:
            core.set_credentials(**keys)
        region, region_source = _region(options, hints, node_region, environ, core)
        if options.region or region:
            core.set_config_variable("region", region)
        if not keys:
            _never_ask(core, named)
        credentials = core.get_credentials()
    except (BotoCoreError, OSError) as error:  # OSError: the command of a credential_process is missing
        raise credentials_error(error, named) from error
    if credentials is None and named:
        raise NoCredentials(
            f"the AWS profile {named!r} (from {profile_source}) holds no credentials, and the AWS SDK found no others",
            f"pass --profile NAME, or sign in ({shell('aws', 'configure', '--profile', named)}); "
            "--no-aws leaves AWS out",
        )
    if credentials is None:
        raise NoCredentials(
            "there are no AWS credentials: --profile and the kubeconfig name no profile, and the AWS SDK found none",
            "pass --profile NAME, or sign in (aws sso login, aws configure); --no-aws leaves AWS out",
        )
    if not region:
        raise NoCredentials(
            "the AWS region is not known: --region, the kubeconfig, the nodes and the AWS configuration do not name it",
            "pass --region, for example --region us-west-2",
        )
    return AwsSession(
        session=core,
        region=region,
        region_source=region_source,
        profile=named,
        profile_source=profile_source or str(getattr(credentials, "method", "")),
    )


def profile_of(options: AwsOptions, hints: AwsHints, environ: Mapping[str, str]) -> tuple[str, str]:
    """The profile whose credentials are used, and where it is named: by the flag, by the kubeconfig, or by the
    environment. "" where credentials come from elsewhere; what the kubeconfig says goes before the environment.

    As the plugin does it, which runs with the variables of both: `--profile` goes before keys in variables, and these
    before AWS_PROFILE (https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html). `aws eks
    update-kubeconfig --profile` writes AWS_PROFILE, and aws-vault, granted and CI systems set keys.
    """
    if options.profile:
        return options.profile, "--profile"
    if hints.profile and not hints.profile_by_variable:
        return hints.profile, hints.profile_source
    if hints.env.get(_KEY_VARIABLE):
        return "", _KEYS_OF_PLUGIN
    if environ.get(_KEY_VARIABLE):
        return "", _KEYS_OF_ENVIRONMENT if hints.profile else ""
    if hints.profile:
        return hints.profile, hints.profile_source
    profile = environ.get(_PROFILE_VARIABLE, "")
    return profile, _PROFILE_VARIABLE if profile else ""


def _region(
    options: AwsOptions,
    hints: AwsHints,
    node_region: Callable[[], str | None],
    environ: Mapping[str, str],
    session: Any,
) -> tuple[str, str]:
    """The region and where it comes from, ("", "") when nothing names one."""
    if options.region:
        return options.region, "--region"
    if hints.region:
        return hints.region, hints.region_source
    from_nodes = node_region()
    if from_nodes:
        return from_nodes, "node label topology.kubernetes.io/region"
    if environ.get("AWS_REGION"):  # the AWS CLI and EKS pod identity use it, botocore alone does not
        return environ["AWS_REGION"], _REGION_VARIABLE
    configured = session.get_config_variable("region")
    return (configured, _CONFIGURATION) if configured else ("", "")


def _never_ask(session: Any, profile: str) -> None:
    """Take the sessions of roles that the AWS CLI has, and ask nobody for the code of an MFA device: reads run on
    threads that are given up, and one that waits for a person at the terminal would leave it without echo."""

    def refuse(_prompt: str) -> str:
        command = shell("aws", "sts", "get-caller-identity", *(("--profile", profile) if profile else ()))
        raise NoCredentials(
            f"the AWS profile {profile or 'default'!r} needs the code of an MFA device, which is not asked for here",
            f"run first: {command}; the AWS CLI asks for it and keeps the session, which is then used",
        )

    provider = session.get_component("credential_provider").get_provider("assume-role")
    provider.cache = CliSessions()
    provider._prompter = refuse


class CliSessions(dict[str, Any]):
    """The sessions of roles that the AWS CLI keeps, by botocore's keys (~/.aws/cli/cache/KEY.json). They are read, and
    none is written: new ones are kept for this run."""

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (isinstance(key, str) and self._kept(key) is not None)

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key) if super().__contains__(key) else self._kept(key)

    def _kept(self, key: str) -> Any:
        """What stands in the file; None where it is no session, and where there is none."""
        from botocore.utils import parse_timestamp

        try:
            held = json.loads(given_file.read(Path.home() / ".aws" / "cli" / "cache" / f"{key}.json"))
            session = held["Credentials"]
            whole = all(isinstance(session[name], str) for name in _OF_SESSION)
            # "2026-01-01T12:00:00UTC", as botocore's own cache writes it.
            return held if whole and parse_timestamp(session["Expiration"]).tzinfo is not None else None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, OverflowError):
            return None


_OF_SESSION = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")


def _static_keys(env: Mapping[str, str]) -> dict[str, str | None]:
    """What `botocore.session.Session.set_credentials` takes. Raises NoCredentials for half a pair of keys."""
    if not env.get("AWS_SECRET_ACCESS_KEY"):
        raise NoCredentials(
            "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not", "set both, or neither; or pass --profile NAME"
        )
    names = {
        "access_key": "AWS_ACCESS_KEY_ID",
        "secret_key": "AWS_SECRET_ACCESS_KEY",
        "token": "AWS_SESSION_TOKEN",
    }
    return {argument: env.get(name) or None for argument, name in names.items()}


def _unknown_profile(profile: str, source: str, known: list[str]) -> NoCredentials:
    names = ", ".join(sorted(known)[:PROFILES_SHOWN])
    return NoCredentials(
        f"the AWS profile {profile!r} (from {source}) does not exist on this machine; known: {names or 'none'}",
        f"pass --profile NAME, or create it with: {shell('aws', 'configure', '--profile', profile)}",
    )


def credentials_error(error: Exception, profile: str = "") -> NoCredentials:
    """Our error for a botocore exception about finding or renewing credentials, with what to do about it."""
    kind = type(error).__name__
    option = f" {shell('--profile', profile)}" if profile else ""
    text = " ".join(str(error).split())
    if "SSO" in kind or "sso" in text.lower() or kind in ("TokenRetrievalError", "NoAuthTokenError"):
        return NoCredentials(
            f"the AWS single sign-on session has expired or is missing: {text}", f"sign in with: aws sso login{option}"
        )
    if kind.startswith("Login"):
        return NoCredentials(
            f"the AWS login session has expired or is missing: {text}", f"sign in with: aws login{option}"
        )
    return NoCredentials(
        f"the AWS credentials cannot be used: {text}", f"check with: aws sts get-caller-identity{option}"
    )
