"""The connections of one run: the cluster of the kubeconfig, and AWS once it is needed.

The SDKs are imported here, when a cluster is really asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from kubectl_lbdoctor.collect.deadline import Deadline, Late
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import NoCredentials
from kubectl_lbdoctor.model.where import Where
from kubectl_lbdoctor.options import AwsOptions, KubeOptions

if TYPE_CHECKING:
    from kubectl_lbdoctor.collect.aws_api.client import AwsReader
    from kubectl_lbdoctor.collect.aws_api.session import AwsSession
    from kubectl_lbdoctor.collect.request_log import RequestLog

AWS_READ_TIMEOUT = 5.0
"""Seconds that one AWS call may take: a diagnosis is about a second of work, and an endpoint that does not answer must
not hold it up for minutes."""

AWS_ATTEMPTS = 3
"""Times that one AWS call is tried."""


def _import_clients() -> None:
    """Import what a run needs once it has its credentials: a fifth of a second, in which `aws eks get-token` works."""
    import urllib3  # noqa: F401

    from kubectl_lbdoctor.collect import collector  # noqa: F401
    from kubectl_lbdoctor.collect.aws_api.client import import_sdk

    import_sdk()


class Connections:
    """Opens the kubeconfig's context. Use it as a context manager: its connections are closed at the end.

    deadline: when the reads of the run end, those of credentials included; None sets no end. level: kubectl's log
    level, from 6 on with a line on stderr for each request. Raises LbdoctorError when the kubeconfig leads to no
    cluster.
    """

    def __init__(
        self, kube: KubeOptions, aws: AwsOptions, env: Environment, deadline: Deadline | None = None, level: int = 0
    ) -> None:
        from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
        from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import load_kube_context

        interactive = env.stdin is not None and env.stdin.isatty()
        self.deadline = deadline or Deadline()
        self.context = load_kube_context(
            kube,
            env.variables,
            interactive=interactive,
            notify=env.note,
            deadline=self.deadline,
            meanwhile=_import_clients,
        )
        self._aws_options = aws
        self._variables = env.variables
        self._aws: AwsReader | None = None
        self._log = _request_log(env, level)
        self.kube = KubeReader(self.context, deadline=self.deadline, log=self._log)

    def __enter__(self) -> Connections:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kube.close()

    @property
    def namespace(self) -> str:
        """The namespace of the flags, else of the context."""
        return self.context.namespace

    @property
    def aws(self) -> AwsReader | None:
        """The AWS client; None until `open_aws` has opened it, and where AWS is not asked or has no credentials."""
        return self._aws

    @property
    def calls(self) -> dict[str, int]:
        """How many requests were sent to the cluster and to AWS, by their names."""
        return {**self.kube.calls, **(self._aws.calls if self._aws is not None else {})}

    @property
    def where(self) -> Where:
        """What leads a printed command to the same cluster, account and region."""
        from kubectl_lbdoctor.collect.aws_api.session import profile_of

        given, hints = self._aws_options, self.context.aws
        profile, source = profile_of(given, hints, self._variables)
        session = self._aws.session if self._aws is not None else None
        return self.context.where.in_aws(
            given,
            profile,
            session.region if session is not None else hints.region,
            same_profile=source == hints.profile_source,
            same_region=session is None or not session.region_of_environment,
        )

    def open_aws(self, node_region: Callable[[], str | None]) -> AwsReader:
        """The AWS client, opened at the first call. node_region: called where no flag and no kubeconfig names one.

        Raises NoCredentials where AWS is not to be asked or cannot be, ReadFailed where the run ends before.
        """
        from kubectl_lbdoctor.collect.aws_api.client import AwsReader
        from kubectl_lbdoctor.collect.aws_api.session import import_sdk, open_session

        if self._aws_options.no_aws:
            raise NoCredentials("--no-aws was given")
        if self._aws is None:
            import_sdk()  # the work of this machine, which is not waited for as somebody else's answer is
            session = self._credentials(
                lambda: open_session(self._aws_options, self.context.aws, node_region, self._variables)
            )
            timeout = min(AWS_READ_TIMEOUT, self.context.request_timeout or AWS_READ_TIMEOUT)
            self._aws = AwsReader(
                session,
                read_timeout=timeout,
                max_attempts=AWS_ATTEMPTS,
                deadline=self.deadline,
                log=self._log,
            )
            self._aws.prepare("elbv2")
        return self._aws

    @property
    def aws_refused(self) -> bool:
        """Whether AWS has not accepted the credentials, such as keys of a session that has ended."""
        return self._aws is not None and self._aws.refused

    def forget_aws(self) -> None:
        """Open AWS anew at the next call, with the credentials of then."""
        self._aws = None

    def _credentials(self, opened: Callable[[], AwsSession]) -> AwsSession:
        """The session. The command of a credential_process may hang, and so may a sign-in service: they have the whole
        time of the run only where a person has chosen that."""
        from kubectl_lbdoctor.collect.aws_api.session import NO_CREDENTIALS_CAME, PATIENCE

        if self.deadline.chosen:
            return self.deadline.bound("the AWS credentials", opened)
        end = time.monotonic() + PATIENCE
        try:
            return self.deadline.bound("the AWS credentials", opened, lambda: end - time.monotonic())
        except Late as late:
            raise NoCredentials(*NO_CREDENTIALS_CAME) from late


def _request_log(env: Environment, level: int) -> RequestLog | None:
    from kubectl_lbdoctor.collect import request_log

    if level < request_log.REQUESTS:
        return None

    def tell(lines: str) -> None:
        env.progress("")
        env.note(lines)

    return request_log.RequestLog(level, tell)
