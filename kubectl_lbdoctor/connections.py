"""The connections of one run: the cluster of the kubeconfig, and AWS once it is needed.

The SDKs are imported here, when a cluster is really asked.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from kubectl_lbdoctor.collect.deadline import Deadline
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import NoCredentials
from kubectl_lbdoctor.options import AwsOptions, KubeOptions

if TYPE_CHECKING:
    from kubectl_lbdoctor.collect.aws import AwsReader

AWS_READ_TIMEOUT = 5.0
"""Seconds that one AWS call may take: a diagnosis is about a second of work, and an endpoint that does not answer must
not hold it up for minutes."""

AWS_ATTEMPTS = 3
"""Times that one AWS call is tried."""


def _import_clients() -> None:
    """Import what a run needs once it has its credentials: a fifth of a second, in which `aws eks get-token` works."""
    import urllib3  # noqa: F401

    from kubectl_lbdoctor.collect import collector  # noqa: F401
    from kubectl_lbdoctor.collect.aws import import_sdk

    import_sdk()


class Connections:
    """Opens the kubeconfig's context. Use it as a context manager: its connections are closed at the end.

    deadline: when the reads of the run end, those of credentials included; None sets no end. Raises LbdoctorError when
    the kubeconfig leads to no cluster.
    """

    def __init__(self, kube: KubeOptions, aws: AwsOptions, env: Environment, deadline: Deadline | None = None) -> None:
        from kubectl_lbdoctor.collect.kube import KubeReader
        from kubectl_lbdoctor.collect.kubeconfig import load_kube_context

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
        self.kube = KubeReader(self.context, deadline=self.deadline)

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

    def open_aws(self, node_region: Callable[[], str | None]) -> AwsReader:
        """The AWS client, opened at the first call. node_region: called where no flag and no kubeconfig names one.

        Raises NoCredentials where AWS is not to be asked or cannot be, ReadFailed where the run ends before.
        """
        from kubectl_lbdoctor.collect.aws import AwsReader
        from kubectl_lbdoctor.collect.aws_session import open_session

        if self._aws_options.no_aws:
            raise NoCredentials("AWS was not asked: --no-aws")
        if self._aws is None:

            def opened() -> AwsReader:
                session = open_session(self._aws_options, self.context.aws, node_region, self._variables)
                timeout = min(AWS_READ_TIMEOUT, self.context.request_timeout or AWS_READ_TIMEOUT)
                reader = AwsReader(session, read_timeout=timeout, max_attempts=AWS_ATTEMPTS, deadline=self.deadline)
                reader.prepare("elbv2")
                return reader

            # The command of a credential_process may hang, and so may a sign-in service.
            self._aws = self.deadline.bound("the AWS credentials", opened)
        return self._aws
