#!/bin/sh
# The whole way on a recorded cluster: what is wrong, what that means, and what a repair would change.
# demo.sh PROGRAM; `make demo` runs it. Nothing is asked of a cluster or of AWS.
program=$1
bundle=docs/demo/bundle.json

# shown STATUS ARGUMENT...: show the command as one types it, run it, and insist on its documented exit status.
shown() {
  expected=$1
  shift
  printf '\n$ kubectl lbdoctor %s\n' "$*"
  "$program" "$@"
  status=$?
  test "$status" -eq "$expected" && return
  echo "error: the exit status is $status, and $expected was to be expected" >&2
  exit 1
}

shown 1 --from "$bundle"
shown 0 explain LBD301
shown 0 --from "$bundle" --fix healthcheck-path --dry-run=client

cat <<END

That was a cluster as it was recorded on this project's lab. On yours:

  export PATH="\$PATH:$(cd "$(dirname "$(command -v "$program")")" && pwd)"
  kubectl lbdoctor ingress NAME -n NAMESPACE                # what is wrong
  kubectl lbdoctor policy iam                               # what it reads in AWS; policy rbac: in the cluster
  kubectl lbdoctor ingress NAME --save case.json.gz         # keep it, redacted, for somebody else to look at

To install it for good: docs/install.md
END
