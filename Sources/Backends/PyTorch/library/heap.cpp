// The heap of libtorch beyond tensors: lists, dictionaries, texts and graphs of programs.
//
// This library is the first in the scope of its own dlopen, so libtorch takes these operators for the C++ runtime's. Blocks
// are malloc's, as the runtime's are: it does not matter who gives one back. A program that asks for more than the machine
// has gets std::bad_alloc, and its client an error; the kernel would end the whole server.
#include <cstdio>
#include <cstdlib>
#include <new>
#include <unistd.h>

#include "heap.hpp"

namespace {

/// Bytes that a thread may allocate before the process's memory is looked at.
constexpr size_t interval = 64 << 20;

size_t limit = 0;
thread_local size_t allocated_since_check = 0;

/// Bytes of the process in memory; 0 when the system does not tell.
size_t resident_bytes() {
    // Not an ifstream: it allocates.
    std::FILE *file = std::fopen("/proc/self/statm", "re");
    if (file == nullptr) return 0;
    unsigned long total = 0, resident = 0;
    int fields = std::fscanf(file, "%lu %lu", &total, &resident);
    std::fclose(file);
    return fields == 2 ? resident * static_cast<size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

bool fits(size_t size) {
    allocated_since_check += size;
    if (allocated_since_check < interval || limit == 0) return true;
    allocated_since_check = 0;
    size_t resident = resident_bytes();
    return resident <= limit && size <= limit - resident;
}

void *allocate(size_t size) noexcept {
    if (size > SIZE_MAX / 2 || !fits(size)) return nullptr;
    return std::malloc(size == 0 ? 1 : size);
}

void *allocate(size_t size, std::align_val_t alignment) noexcept {
    if (size > SIZE_MAX / 2 || !fits(size)) return nullptr;
    auto unit = static_cast<size_t>(alignment);
    return std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
}

void *or_throw(void *block) {
    if (block == nullptr) throw std::bad_alloc();
    return block;
}

}  // namespace

void redisai::limit_heap(size_t bytes) { limit = bytes; }

#define EXPORTED __attribute__((visibility("default")))

EXPORTED void *operator new(size_t size) { return or_throw(allocate(size)); }
EXPORTED void *operator new[](size_t size) { return or_throw(allocate(size)); }
EXPORTED void *operator new(size_t size, const std::nothrow_t &) noexcept { return allocate(size); }
EXPORTED void *operator new[](size_t size, const std::nothrow_t &) noexcept { return allocate(size); }
EXPORTED void *operator new(size_t size, std::align_val_t unit) { return or_throw(allocate(size, unit)); }
EXPORTED void *operator new[](size_t size, std::align_val_t unit) { return or_throw(allocate(size, unit)); }
EXPORTED void operator delete(void *block) noexcept { std::free(block); }
EXPORTED void operator delete[](void *block) noexcept { std::free(block); }
EXPORTED void operator delete(void *block, size_t) noexcept { std::free(block); }
EXPORTED void operator delete[](void *block, size_t) noexcept { std::free(block); }
EXPORTED void operator delete(void *block, std::align_val_t) noexcept { std::free(block); }
EXPORTED void operator delete[](void *block, std::align_val_t) noexcept { std::free(block); }
EXPORTED void operator delete(void *block, size_t, std::align_val_t) noexcept { std::free(block); }
EXPORTED void operator delete[](void *block, size_t, std::align_val_t) noexcept { std::free(block); }
