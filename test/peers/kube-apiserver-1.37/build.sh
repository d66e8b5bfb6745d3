#!/usr/bin/env bash
# kube-apiserver and kube-controller-manager of the version that go.mod names. usage: build.sh OUTPUT_DIR
# go.mod repeats the staging replacements of k8s.io/kubernetes's own go.mod, which Go ignores in a dependency.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd); cd "$(dirname "$0")"
version=$(sed -n 's/^require k8s.io\/kubernetes //p' go.mod); minor=${version#v1.}; minor=${minor%%.*}
package=k8s.io/component-base/version
# Without a git version the server calls itself v0.0.0-master, and clients believe it.
flags="-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor -X $package.gitTreeState=clean -X $package.gitCommit=unknown -X $package.buildDate=2026-08-20T00:00:00Z"
export GOFLAGS=-mod=readonly GOTOOLCHAIN=local CGO_ENABLED=0
for command in kube-apiserver kube-controller-manager; do
  go build -trimpath -ldflags "$flags" -o "$out/$command" "k8s.io/kubernetes/cmd/$command"
done
