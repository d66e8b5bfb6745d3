#!/usr/bin/env bash
# The definitions of PolicyReport and ClusterPolicyReport (wgpolicyk8s.io) as Kyverno 1.13.4 ships them. usage: build.sh FOLDER
set -euo pipefail
module=github.com/kyverno/kyverno@v1.13.4 sum=h1:2zUi+eszlisLdCir+WIf2NtuUfFPvJtjUNpewdtLjVw=
mkdir -p "$1"; out=$(cd "$1" && pwd)
scratch=$(mktemp -d); trap 'rm -rf "$scratch"' EXIT; cd "$scratch"
answer=$(GOFLAGS=-mod=mod GOTOOLCHAIN=local go mod download -json "$module")
grep -qF "\"Sum\": \"$sum\"" <<<"$answer" || { echo "$module is not what it was: $answer" >&2; exit 1; }
folder=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<<"$answer")
cp "$folder"/config/crds/policyreport/wgpolicyk8s.io_*.yaml "$out"
chmod u+w "$out"/*
