"""What is wrong with a health check that fails: a module for each question. Importing it declares the checks."""

from kubectl_lbdoctor.checks.health_check import answers as answers
from kubectl_lbdoctor.checks.health_check import listening as listening
from kubectl_lbdoctor.checks.health_check import port as port
from kubectl_lbdoctor.checks.health_check import protocol as protocol
from kubectl_lbdoctor.checks.health_check import protocol_version as protocol_version
from kubectl_lbdoctor.checks.health_check import proxy_protocol as proxy_protocol
from kubectl_lbdoctor.checks.health_check import timing as timing
