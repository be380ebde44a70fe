// C++ because of one rule of ONNX Runtime: an allocator that fails must throw. The library uses what an allocator
// returns unchecked, and catches C++ exceptions at its interface.
#include "CONNXRuntime.h"

#include <atomic>
#include <mutex>
#include <new>
#include <stdexcept>

namespace {

// A large block that is not in use. Runs of a model ask for the same sizes again and again, and a fresh block of many
// megabytes costs a page fault for each of its pages.
struct Spare {
    void *base;
    size_t usable;
};

constexpr size_t spare_threshold = 1 << 20;
constexpr size_t spare_capacity = 8;
constexpr size_t spare_byte_limit = 256 << 20;

}  // namespace

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
    // Guarded by the mutex. Spare blocks count as bytes in use.
    std::mutex spares_mutex;
    Spare spares[spare_capacity];
    size_t spare_count = 0;
    size_t spare_bytes = 0;
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
    if (connx_allocator_charge(self, static_cast<int64_t>(bytes))) return;
    connx_allocator_trim(self);
    if (!connx_allocator_charge(self, static_cast<int64_t>(bytes))) {
        throw std::runtime_error("Onnxruntime memory limit exceeded, memory allocation failed.");
    }
}

// Where the library's memory begins within a block.
void *place(void *base, size_t usable) {
    uintptr_t start = reinterpret_cast<uintptr_t>(base) + sizeof(Header);
    uintptr_t aligned = (start + alignment - 1) & ~(alignment - 1);
    *(reinterpret_cast<Header *>(aligned) - 1) = Header{base, usable};
    return reinterpret_cast<void *>(aligned);
}

// A spare block of about that size, or nothing.
Spare take_spare(ConnxAllocator *self, size_t padded) {
    std::lock_guard<std::mutex> lock(self->spares_mutex);
    for (size_t i = 0; i < self->spare_count; i++) {
        Spare spare = self->spares[i];
        if (spare.usable < padded || spare.usable - padded > padded / 4) continue;
        self->spares[i] = self->spares[--self->spare_count];
        self->spare_bytes -= spare.usable;
        return spare;
    }
    return Spare{nullptr, 0};
}

bool keep_spare(ConnxAllocator *self, Spare spare) {
    std::lock_guard<std::mutex> lock(self->spares_mutex);
    if (self->spare_count == spare_capacity || spare.usable > spare_byte_limit - self->spare_bytes) return false;
    self->spares[self->spare_count++] = spare;
    self->spare_bytes += spare.usable;
    return true;
}

void *allocate(OrtAllocator *interface, size_t size) {
    ConnxAllocator *self = self_of(interface);
    size_t padded = size + alignment + sizeof(Header);
    if (padded < size || padded > INT64_MAX) throw std::bad_alloc();
    if (padded >= spare_threshold) {
        Spare spare = take_spare(self, padded);
        if (spare.base != nullptr) {
            thread_bytes += static_cast<int64_t>(spare.usable);
            count_access(self);
            return place(spare.base, spare.usable);
        }
    }
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
    return place(base, usable);
}

void deallocate(OrtAllocator *interface, void *block) {
    if (block == nullptr) return;
    ConnxAllocator *self = self_of(interface);
    Header header = *(static_cast<Header *>(block) - 1);
    thread_bytes -= static_cast<int64_t>(header.usable);
    count_access(self);
    if (header.usable >= spare_threshold && keep_spare(self, Spare{header.base, header.usable})) return;
    self->bytes.fetch_sub(header.usable, std::memory_order_relaxed);
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

void connx_allocator_trim(ConnxAllocator *allocator) {
    Spare spares[spare_capacity];
    size_t count;
    {
        std::lock_guard<std::mutex> lock(allocator->spares_mutex);
        count = allocator->spare_count;
        for (size_t i = 0; i < count; i++) spares[i] = allocator->spares[i];
        allocator->spare_count = 0;
        allocator->spare_bytes = 0;
    }
    for (size_t i = 0; i < count; i++) {
        allocator->bytes.fetch_sub(spares[i].usable, std::memory_order_relaxed);
        allocator->deallocate(spares[i].base);
    }
}

int64_t connx_allocator_thread_bytes(void) { return thread_bytes; }

void connx_allocator_set_counting(int counts) { thread_counts = counts != 0; }
