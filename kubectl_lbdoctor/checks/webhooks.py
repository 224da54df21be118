"""Whether the API server accepts the certificate of the controller's webhook: LBD125.

Found before a change is refused: the configuration's caBundle is compared with the certificate in the Secret that the
controller serves. Few people may read that Secret; without it the caBundle alone is looked at, and the verdict does not
become unknown, because a refusal shows in events as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from kubectl_lbdoctor.analysis.controller_complaints import READS, known_complaints
from kubectl_lbdoctor.analysis.controller_objects import webhook_service
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.checks.complaints import reported
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.certificates import Certificate, CertificateError, admits, leads_to, parse_pem
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.k8s import TlsCertificate, WebhookConfiguration
from kubectl_lbdoctor.model.times import parse_time
from kubectl_lbdoctor.model.traffic_path import TrafficPath


@check(
    "LBD125",
    title="the API server does not trust the controller's webhook",
    passes="the webhook's certificate fits",
    severity=Severity.ERROR,
    message="the API server distrusts the controller's webhook: {summary}",
    reads=(*READS, reads.WEBHOOKS, reads.WEBHOOK_SECRET),
    explains=undone_by("LBD125"),
    distinct_by=("summary",),
)
def webhook_certificate(traffic: TrafficPath) -> Iterator[Finding]:
    """The webhook's certificate was made anew while its configuration kept the old CA bundle (GitOps tools that render
    the chart again do so), it has expired, or it was made for another name. Changes of Ingresses, bindings and new
    Services are refused, those of the controller itself as well.

    Confirm by hand: `kubectl get secret -n kube-system aws-load-balancer-tls -o jsonpath='{.data.tls\\.crt}' |
    base64 -d | openssl x509 -noout -issuer -dates -ext subjectAltName` and the webhook configuration's `caBundle`.
    Repair: set chart value `keepTLSSecret: true`, or use cert-manager; then reinstall the chart and restart the
    controller.
    """
    proven = tuple(_not_accepted(traffic))
    if proven:
        heard = tuple(entry.evidence for entry in known_complaints(traffic) if entry.decoded.code == "LBD125")
        yield replace(proven[0], evidence=(*proven[0].evidence, *heard))
        yield from proven[1:]
        return
    for finding in reported(traffic, "LBD125"):
        own = webhook_service(traffic.cluster) or finding.object
        said = str(finding.params["words"]).removeprefix("tls: failed to verify certificate: ")
        yield replace(finding, object=own, params={**finding.params, "summary": said or "its certificate is refused"})
    traffic.cluster.webhooks.need()


def _not_accepted(traffic: TrafficPath) -> Iterator[Finding]:
    """One finding per Service and caBundle that cannot work, whatever has been tried with it."""
    now = parse_time(traffic.now)
    if now is None:
        return
    served = traffic.cluster.webhook_certificates.peek() or ()
    seen: set[tuple[str, str, str]] = set()
    for webhook in traffic.cluster.webhooks.peek() or ():
        if webhook.ca_bundle is None:
            continue
        key = (webhook.service_namespace, webhook.service_name, webhook.ca_bundle)
        # Failures of a webhook with policy Ignore stop nothing.
        if webhook.service_name and webhook.failure_policy != "Ignore" and key not in seen:
            seen.add(key)
            mine = [entry for entry in served if entry.namespace == webhook.service_namespace]
            yield from _judged(webhook, webhook.ca_bundle, mine, now)


def _judged(
    webhook: WebhookConfiguration, ca_bundle: str, served: list[TlsCertificate], now: datetime
) -> Iterator[Finding]:
    where = f"webhook configuration {webhook.configuration}"
    if not ca_bundle.strip():
        what = "its configuration has no caBundle"
        yield _finding(webhook, what, (Evidence(where, "caBundle is empty"),))
        return
    try:
        trusted = parse_pem(ca_bundle)
    except CertificateError as error:
        yield _finding(
            webhook, "the caBundle of its configuration cannot be read", (Evidence(where, f"caBundle: {error}"),)
        )
        return
    bundle = Evidence(where, f"caBundle: {'; '.join(_described(entry) for entry in trusted)}")
    if all(entry.ends < now for entry in trusted):
        last = max(entry.ends for entry in trusted)
        yield _finding(webhook, f"the CA in its caBundle expired on {last:%Y-%m-%d}", (bundle,))
        return
    host = f"{webhook.service_name}.{webhook.service_namespace}.svc"
    refused: list[tuple[str, Evidence, str]] = []
    for entry in served:
        what, shown = _refused(entry, trusted, where, host, now)
        if not what:
            return  # Of two controllers in a namespace, either may be the one behind the Service.
        refused.append((what, Evidence(f"secret {entry.namespace}/{entry.secret}", shown), entry.secret))
    for what, shown_as, secret in refused[:1]:
        yield _finding(webhook, what, (shown_as, bundle), secret)


def _refused(
    served: TlsCertificate, trusted: Sequence[Certificate], where: str, host: str, now: datetime
) -> tuple[str, str]:
    """Why the API server refuses what is served ("" when it does not), and the certificate in words."""
    try:
        chain = parse_pem(served.certificate)
    except CertificateError as error:
        return f"Secret {served.secret} holds no certificate", f"tls.crt: {error}"
    own = chain[0]
    shown = f"tls.crt: {_described(own)}, for {', '.join(own.names) or 'no name'}"
    if own.ends < now:
        return f"its certificate expired on {own.ends:%Y-%m-%d}", shown
    if own.begins > now:
        return f"its certificate is not valid before {own.begins:%Y-%m-%d}", shown
    if leads_to(chain, trusted) is False:
        return f"caBundle has CA {_key(trusted[0])}, its signer is {_signer(own)}", shown
    if not admits(own, host):
        return f"its certificate is not for {host}", shown
    return "", shown


def _key(certificate: Certificate) -> str:
    """What tells two authorities of the same name apart: the begin of the key's identifier, else the name."""
    return certificate.key_id.hex()[:8] or certificate.common_name


def _signer(certificate: Certificate) -> str:
    return certificate.authority_key_id.hex()[:8] or certificate.issuer_name


def _described(certificate: Certificate) -> str:
    identifier = certificate.key_id.hex()[:8]
    issued = f"issued by {certificate.issuer_name}" if certificate.issuer != certificate.subject else "its own issuer"
    key = f", key {identifier}" if identifier else ""
    signer = f" (key {certificate.authority_key_id.hex()[:8]})" if certificate.authority_key_id else ""
    valid = f"{certificate.begins:%Y-%m-%d} to {certificate.ends:%Y-%m-%d}"
    return f"{certificate.common_name or 'certificate'}{key}, {issued}{signer}, valid {valid}"


def _finding(webhook: WebhookConfiguration, what: str, evidence: tuple[Evidence, ...], secret: str = "") -> Finding:
    namespace = webhook.service_namespace
    show = kubectl("get", "validatingwebhookconfiguration", webhook.configuration, "-o", "yaml")
    if secret:
        pem = kubectl("get", "secret", secret, "-o", r"jsonpath={.data.tls\.crt}", namespace=namespace)
        show = f"{pem} | base64 -d | openssl x509 -noout -issuer -dates -ext subjectAltName"
    return Finding(
        "LBD125",
        ObjectRef("Service", namespace, webhook.service_name),
        params={"summary": what, "words": ""},
        evidence=evidence,
        confirm=(show,),
        advice="have certificate and caBundle made together: upgrade the chart with keepTLSSecret=true, or use "
        "cert-manager; then restart the controller",
    )
