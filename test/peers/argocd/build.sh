#!/usr/bin/env bash
# Argo CD 3.1.16: application controller and repo server, one program under two names, and its two CRDs. usage: build.sh OUTPUT_DIR
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd); cd "$(dirname "$0")"
module=github.com/argoproj/argo-cd/v3
export GOFLAGS=-mod=readonly GOTOOLCHAIN=local CGO_ENABLED=0
go build -trimpath -ldflags "-s -w -X $module/common.version=3.1.16" -o "$out/argocd-application-controller" .
# Which component it is, and what its writes call themselves, is the name it is started by.
ln -sf argocd-application-controller "$out/argocd-repo-server"
ln -sf argocd-application-controller "$out/argocd-git-ask-pass"
manifests=$(go list -m -f '{{.Dir}}' "$module")/manifests/crds
install -m 644 "$manifests/application-crd.yaml" "$manifests/appproject-crd.yaml" "$out"
