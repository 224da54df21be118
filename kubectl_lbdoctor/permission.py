"""What a request needs to be allowed, as a value: readers say it where they are refused, screens print it."""

from __future__ import annotations

from kubectl_lbdoctor.record import record


@record
class Permission:
    """A permission in the terms of the system that gives it.

    Of Kubernetes: verbs of RBAC ("list"), the resource with its subresource ("pods/log"), its API group ("" for the
    core), and the namespace ("" for the whole cluster); or the url of what is no resource ("/version").
    https://kubernetes.io/docs/reference/access-authn-authz/authorization/#review-your-request-attributes
    Of AWS: the IAM action ("elasticloadbalancing:DescribeTargetHealth").
    said: its words, which are all that bundles held before permissions were records.
    """

    verbs: tuple[str, ...] = ()
    resource: str = ""
    group: str = ""
    namespace: str = ""
    url: str = ""
    action: str = ""
    said: str = ""

    @classmethod
    def from_text(cls, text: str) -> Permission:
        """What a bundle holds in which a permission is a text."""
        return cls(said=text)

    @property
    def what(self) -> str:
        """What is asked for, as kubectl writes it: "pods", "pods/log", "ingresses.networking.k8s.io", "/version"."""
        if not self.group:
            return self.resource or self.url
        base, slash, sub = self.resource.partition("/")
        return f"{base}.{self.group}{slash}{sub}"

    def in_words(self, place: str = "") -> str:
        """ "list pods in namespace shop", "list nodes (cluster)", "get /version", or the IAM action. place: stands for
        its namespace ("in 3 namespaces")."""
        if not self.verbs:
            return self.action or self.said
        own = f"in namespace {self.namespace}" if self.namespace else "(cluster)"
        where = f" {place or own}" if self.resource else ""
        return f"{','.join(self.verbs)} {self.what}{where}"

    def __str__(self) -> str:
        return self.in_words()


def could_not(request: Permission | None, problem: str, place: str = "") -> str:
    """That a request came to nothing, and what became of it, in one sentence. request: what it needs to be allowed;
    None where the problem says what was asked. place: as in `Permission.in_words`."""
    return problem if request is None else f"could not {request.in_words(place)}: {problem}"
