#!/bin/sh
# Installs the Debian packages that tests look for and skip without: the shells of the exchange script, the shells of
# the completion scripts, curl, jq, the load generator of the bench, what stands beside Argo CD (redis, git), SoftHSM, and
# PostgreSQL, whose programs are in no path. Needs root; does nothing where all are there.
set -eu

missing=''
for pair in busybox:busybox dash:dash bash:bash curl:curl jq:jq wrk:wrk zsh:zsh fish:fish \
  redis-server:redis-server git:git softhsm2-util:softhsm2; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql-15"
[ -n "$missing" ] || exit 0

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of words
apt-get install -q -y --no-install-recommends $missing
