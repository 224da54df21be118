#!/bin/sh
# Waits until what was deployed is healthy behind its load balancer, and ends with the doctor's exit status.
#
#   after-deploy.sh shop ing/web svc/api
#
# 0 healthy; 1 findings, 3 unknown (targets still wait, or a read is denied): both asked again until LIMIT seconds are
# over; 2 and 4 (wrong usage, no cluster, no such object) end at once. The last diagnosis is on stdout, what it read in
# BUNDLE for whoever looks at it later.
set -u
namespace=$1
shift
end=$(($(date +%s) + ${LIMIT:-300}))

while :; do
  screen=$(kubectl lbdoctor "$@" --namespace "$namespace" --save "${BUNDLE:-lbdoctor.json.gz}")
  status=$?
  case $status in
    1 | 3) [ "$(date +%s)" -lt "$end" ] || break ;;
    *) break ;;
  esac
  sleep "${PAUSE:-10}"
done
printf '%s\n' "$screen"
exit "$status"
