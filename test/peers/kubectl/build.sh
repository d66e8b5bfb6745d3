#!/usr/bin/env bash
# kubectl 1.36.4 from the module of Kubernetes, for machines whose own is missing or too old. usage: build.sh OUTPUT
set -euo pipefail
out=$(cd "$(dirname "$1")" && pwd)/$(basename "$1"); cd "$(dirname "$0")"
version=$(sed -n 's/^require k8s.io\/kubernetes //p' go.mod); minor=${version#v1.}; minor=${minor%%.*}
package=k8s.io/component-base/version
flags="-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
GOFLAGS=-mod=readonly GOTOOLCHAIN=local CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o "$out" k8s.io/kubernetes/cmd/kubectl
