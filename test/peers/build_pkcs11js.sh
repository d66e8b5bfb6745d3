#!/bin/sh
# Builds the native part of pkcs11js, which `npm ci` leaves out because no install script runs: with npm's own node-gyp, a
# C++ compiler, and the headers that came with this project's Node. Does nothing where it is built.
set -eu
cd "$(dirname "$0")/../.."

built=node_modules/pkcs11js/build/Release/pkcs11.node
[ ! -f "$built" ] || exit 0
PATH="$PWD/node_modules/.bin:$PATH"
headers=$(node -p "require('node:path').resolve(process.execPath, '../..')")
gyp=$(dirname "$(readlink -f "$(command -v npm)")")/../node_modules/node-gyp/bin/node-gyp.js
if [ -f "$headers/include/node/node_api.h" ]; then
  node "$gyp" rebuild -C node_modules/pkcs11js --nodedir="$headers" --loglevel=error
else
  node "$gyp" rebuild -C node_modules/pkcs11js --loglevel=error
fi
test -f "$built"
