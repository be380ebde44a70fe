#!/usr/bin/env bash
# Compile our C interface to libtorch:
#
#   Sources/Backends/PyTorch/library/build.sh ENGINE OUTPUT
#
# ENGINE holds libtorch's libraries and, in `include`, its headers. The result looks for the libraries in its own folder.
set -euo pipefail

engine=$1
output=$2
pytorch=$(dirname "$(dirname "$(realpath "$0")")")

"${CXX:-g++}" -std=c++20 -O2 -fPIC -shared -fvisibility=hidden -D_GLIBCXX_USE_CXX11_ABI=1 \
    -I"$pytorch/CPyTorch/include" \
    -isystem "$engine/include" -isystem "$engine/include/torch/csrc/api/include" \
    -fopenmp -Wall -Wextra \
    "$pytorch/library/redisai_torch.cpp" "$pytorch/library/heap.cpp" -o "$output" \
    -Wl,-soname,redisai_torch.so -Wl,-rpath,'$ORIGIN' -Wl,--no-as-needed \
    -L"$engine" -l:libtorch_cpu.so -l:libc10.so -l:libgomp.so.1
