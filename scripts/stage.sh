#!/usr/bin/env bash
# Lay out a folder that a server can load the module from:
#
#   scripts/stage.sh PRODUCTS ENGINE DIST
#
#   DIST/redisai.so
#   DIST/redisai-model-check
#   DIST/backends/redisai_onnxruntime/libonnxruntime.so.X.Y.Z
#   DIST/backends/redisai_onnxruntime/redisai_onnxruntime.so -> libonnxruntime.so.X.Y.Z
#
# with the engine's licences beside it.
set -euo pipefail

# Replace a file only if it differs, and by unlinking the old one: a running server may have it mapped.
update() {
    cmp -s "$1" "$2" || install -m "$3" "$1" "$2"
}

products=$1
engine=$2
dist=$3
backend=$dist/backends/redisai_onnxruntime
library=$(basename "$engine")

mkdir -p "$backend"
update "$products/libRedisAI.so" "$dist/redisai.so" 755
update "$products/redisai-model-check" "$dist/redisai-model-check" 755
update "$engine" "$backend/$library" 755
for licence in LICENSE ThirdPartyNotices.txt; do
    update "$(dirname "$engine")/$licence" "$backend/$licence" 644
done
ln -sfn "$library" "$backend/redisai_onnxruntime.so"
echo "==> $dist/redisai.so ($(stat -c %s "$dist/redisai.so") bytes), engine $library"
