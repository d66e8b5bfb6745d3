#!/usr/bin/env bash
# Prometheus and promtool as Debian packs them, unpacked and not installed: nothing starts. usage: fetch.sh DIR (makes DIR/bin)
set -euo pipefail
dir=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }
dpkg-deb -x prometheus_*.deb unpacked
mkdir "$dir/bin"
mv unpacked/usr/bin/prometheus unpacked/usr/bin/promtool "$dir/bin/"
