#!/usr/bin/env bash
# Keycloak in development mode on loopback. usage: start.sh HOME REALM_JSON HTTPS_PORT HTTP_PORT MANAGEMENT_PORT CERT_PEM KEY_PKCS8_PEM URL
# The issuer is URL/realms/platform. Ready in 25 to 60 s (discovery answers 200); a taken port shows only at the end of the boot.
# SIGTERM to this process stops it.
set -euo pipefail
home=$1 realm=$2 https=$3 http=$4 management=$5 cert=$6 key=$7 url=$8
mkdir -p "$home/data/import"
cp "$realm" "$home/data/import/realm.json"
export KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin-password
export JAVA_OPTS_KC_HEAP='-Xms64m -Xmx512m -XX:MetaspaceSize=96M -XX:MaxMetaspaceSize=256m'
exec "$home/bin/kc.sh" start-dev --import-realm --db=dev-mem \
  --https-port="$https" --http-port="$http" --http-host=127.0.0.1 \
  --https-certificate-file="$cert" --https-certificate-key-file="$key" --hostname="$url" \
  --health-enabled=true --http-management-host=127.0.0.1 --http-management-port="$management"
