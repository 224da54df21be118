"""kubectl lbdoctor: why the targets of an AWS load balancer on EKS are unhealthy."""

__version__ = "0.1.0"
PROGRAM = "kubectl lbdoctor"
"""As it is typed."""
HOME_PAGE = "https://github.com/kubectl-lbdoctor/kubectl-lbdoctor"
