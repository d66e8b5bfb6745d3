#!/usr/bin/env bash
# Keycloak 26.7.3 from Maven, unpacked. usage: fetch.sh DIR (makes DIR/keycloak)
set -euo pipefail
dir=$1 v=26.7.3 m2=$(mktemp -d)
trap 'rm -rf "$m2"' EXIT
mvn -q -B -Dmaven.repo.local="$m2" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get \
  -Dartifact=org.keycloak:keycloak-quarkus-dist:$v:tar.gz -Dtransitive=false
tar -xzf "$m2/org/keycloak/keycloak-quarkus-dist/$v/keycloak-quarkus-dist-$v.tar.gz" -C "$dir"
mv "$dir/keycloak-$v" "$dir/keycloak"
