#!/usr/bin/env bash
# Lay out a folder that a server can load the module from:
#
#   scripts/stage.sh PRODUCTS DIST
#
#   DIST/redisai.so
#   DIST/redisai-model-check
#
# The engines go beside them, see scripts/bootstrap/staging.py.
set -euo pipefail

# Replace a file only if it differs, and by unlinking the old one: a running server may have it mapped.
update() {
    cmp -s "$1" "$2" || install -m 755 "$1" "$2"
}

products=$1
dist=$2

mkdir -p "$dist"
update "$products/libRedisAI.so" "$dist/redisai.so"
update "$products/redisai-model-check" "$dist/redisai-model-check"
echo "==> $dist/redisai.so ($(stat -c %s "$dist/redisai.so") bytes)"
