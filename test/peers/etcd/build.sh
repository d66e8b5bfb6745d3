#!/usr/bin/env bash
# etcd 3.6.16 from its Go module. usage: build.sh OUTPUT
set -euo pipefail
out=$(cd "$(dirname "$1")" && pwd)/$(basename "$1"); cd "$(dirname "$0")"
GOFLAGS=-mod=readonly GOTOOLCHAIN=local CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out" go.etcd.io/etcd/server/v3
