#!/usr/bin/env bash
# expr-lang behind JSON. usage: build.sh OUTPUT
set -euo pipefail
out=$(cd "$(dirname "$1")" && pwd)/$(basename "$1"); cd "$(dirname "$0")"
GOFLAGS=-mod=readonly GOTOOLCHAIN=local CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out" .
