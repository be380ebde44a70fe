// The limit of what programs may allocate besides tensors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace redisai {

/// Sets the bytes that the process may have in memory before allocations of libtorch fail. 0: no limit.
void limit_heap(size_t bytes);

}  // namespace redisai
