// C++ because of one rule of ONNX Runtime: an allocator that fails must throw. The library uses what an allocator
// returns unchecked, and catches C++ exceptions at its interface.
#include "CONNXRuntime.h"

#include <atomic>
#include <new>
#include <stdexcept>

struct ConnxAllocator {
    // First: the library hands its address back as `self`.
    OrtAllocator interface;
    const OrtMemoryInfo *info;
    ConnxAllocate allocate;
    ConnxDeallocate deallocate;
    ConnxUsableSize usable_size;
    size_t limit;
    std::atomic<size_t> bytes{0};
    std::atomic<size_t> accesses{0};
};

namespace {

constexpr size_t alignment = 64;

thread_local int64_t thread_bytes = 0;
thread_local bool thread_counts = true;

// Stands before each aligned block.
struct Header {
    void *base;
    size_t usable;
};

ConnxAllocator *self_of(OrtAllocator *interface) { return reinterpret_cast<ConnxAllocator *>(interface); }

void count_access(ConnxAllocator *self) {
    if (thread_counts) self->accesses.fetch_add(1, std::memory_order_relaxed);
}

// Adds to the bytes in use, unless that would exceed the limit.
void charge(ConnxAllocator *self, size_t bytes) {
    if (!connx_allocator_charge(self, static_cast<int64_t>(bytes))) {
        throw std::runtime_error("Onnxruntime memory limit exceeded, memory allocation failed.");
    }
}

void *allocate(OrtAllocator *interface, size_t size) {
    ConnxAllocator *self = self_of(interface);
    size_t padded = size + alignment + sizeof(Header);
    if (padded < size || padded > INT64_MAX) throw std::bad_alloc();
    // Asked before the memory is touched: what the limit forbids is not even reserved.
    charge(self, padded);
    void *base = self->allocate(padded);
    if (base == nullptr) {
        self->bytes.fetch_sub(padded, std::memory_order_relaxed);
        throw std::bad_alloc();
    }
    size_t usable = self->usable_size(base);
    if (usable < padded) usable = padded;
    self->bytes.fetch_add(usable - padded, std::memory_order_relaxed);
    thread_bytes += static_cast<int64_t>(usable);
    count_access(self);
    uintptr_t start = reinterpret_cast<uintptr_t>(base) + sizeof(Header);
    uintptr_t aligned = (start + alignment - 1) & ~(alignment - 1);
    *(reinterpret_cast<Header *>(aligned) - 1) = Header{base, usable};
    return reinterpret_cast<void *>(aligned);
}

void deallocate(OrtAllocator *interface, void *block) {
    if (block == nullptr) return;
    ConnxAllocator *self = self_of(interface);
    Header header = *(static_cast<Header *>(block) - 1);
    self->bytes.fetch_sub(header.usable, std::memory_order_relaxed);
    thread_bytes -= static_cast<int64_t>(header.usable);
    count_access(self);
    self->deallocate(header.base);
}

const OrtMemoryInfo *memory_info(const OrtAllocator *interface) {
    return reinterpret_cast<const ConnxAllocator *>(interface)->info;
}

}  // namespace

ConnxAllocator *connx_allocator_create(const OrtMemoryInfo *info, ConnxAllocate allocate_block,
                                       ConnxDeallocate deallocate_block, ConnxUsableSize usable_size, size_t limit) {
    ConnxAllocator *allocator = new (std::nothrow) ConnxAllocator();
    if (allocator == nullptr) return nullptr;
    allocator->interface = OrtAllocator{1, allocate, deallocate, memory_info};
    allocator->info = info;
    allocator->allocate = allocate_block;
    allocator->deallocate = deallocate_block;
    allocator->usable_size = usable_size;
    allocator->limit = limit;
    return allocator;
}

OrtAllocator *connx_allocator_interface(ConnxAllocator *allocator) { return &allocator->interface; }

size_t connx_allocator_bytes(const ConnxAllocator *allocator) {
    return allocator->bytes.load(std::memory_order_relaxed);
}

size_t connx_allocator_accesses(const ConnxAllocator *allocator) {
    return allocator->accesses.load(std::memory_order_relaxed);
}

void connx_allocator_add_accesses(ConnxAllocator *allocator, size_t count) {
    if (thread_counts) allocator->accesses.fetch_add(count, std::memory_order_relaxed);
}

int connx_allocator_charge(ConnxAllocator *allocator, int64_t bytes) {
    if (bytes < 0) {
        allocator->bytes.fetch_sub(static_cast<size_t>(-bytes), std::memory_order_relaxed);
        return 1;
    }
    size_t added = static_cast<size_t>(bytes);
    size_t before = allocator->bytes.fetch_add(added, std::memory_order_relaxed);
    if (allocator->limit == 0 || before + added <= allocator->limit) return 1;
    allocator->bytes.fetch_sub(added, std::memory_order_relaxed);
    return 0;
}

int64_t connx_allocator_thread_bytes(void) { return thread_bytes; }

void connx_allocator_set_counting(int counts) { thread_counts = counts != 0; }
