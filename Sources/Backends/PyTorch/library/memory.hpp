// Where tensors of libtorch get their memory: from the module's allocator, counted and limited.
#pragma once

#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "redisai_torch.h"

namespace redisai {

/// Replaces libtorch's own allocator, so that the server's figures count tensors, and so that a program that asks for
/// more than there is gets an error instead of having the process killed.
class CountingAllocator final : public c10::Allocator {
  public:
    static CountingAllocator &shared() {
        // Lives as long as the process: tensors may be freed when it ends.
        static auto *allocator = new CountingAllocator();
        return *allocator;
    }

    void configure(const RTSettings &settings) {
        allocate_block_ = settings.allocate;
        deallocate_block_ = settings.deallocate;
        limit_ = settings.memory_limit;
    }

    size_t in_use() const { return in_use_.load(std::memory_order_relaxed); }

    c10::DataPtr allocate(size_t count) override {
        if (count == 0) return {nullptr, nullptr, &deallocate, c10::DeviceType::CPU};
        void *block = allocate_aligned(count);
        return {block, block, &deallocate, c10::DeviceType::CPU};
    }

    /// The bytes that were asked for; 0 for memory that is not from here.
    static size_t size_of(const c10::DataPtr &data) {
        if (data.get() == nullptr || data.get_context() != data.get() || data.get_deleter() != &deallocate) return 0;
        return (static_cast<const Header *>(data.get()) - 1)->size - overhead;
    }

    c10::DeleterFnPtr raw_deleter() const override { return &deallocate; }

    void copy_data(void *target, const void *source, std::size_t count) const override {
        default_copy_data(target, source, count);
    }

  private:
    static constexpr size_t alignment = 64;

    /// Stands before each aligned block.
    struct Header {
        void *block;
        size_t size;
    };

    static constexpr size_t overhead = alignment + sizeof(Header);

    void *allocate_aligned(size_t count) {
        size_t size = count + overhead;
        TORCH_CHECK(size > count && size <= static_cast<size_t>(INT64_MAX), "not enough memory: ", count, " bytes");
        size_t before = in_use_.fetch_add(size, std::memory_order_relaxed);
        bool fits = limit_ == 0 || (before <= limit_ && size <= limit_ - before);
        void *block = fits ? allocate_block_(size) : nullptr;
        if (block == nullptr) in_use_.fetch_sub(size, std::memory_order_relaxed);
        TORCH_CHECK(fits, "PyTorch memory limit exceeded, memory allocation failed.");
        TORCH_CHECK(block != nullptr, "not enough memory: you tried to allocate ", count, " bytes.");
        auto start = reinterpret_cast<uintptr_t>(block) + sizeof(Header);
        auto aligned = (start + alignment - 1) & ~(alignment - 1);
        *(reinterpret_cast<Header *>(aligned) - 1) = Header{block, size};
        return reinterpret_cast<void *>(aligned);
    }

    static void deallocate(void *data) {
        if (data == nullptr) return;
        Header header = *(static_cast<Header *>(data) - 1);
        shared().in_use_.fetch_sub(header.size, std::memory_order_relaxed);
        shared().deallocate_block_(header.block);
    }

    void *(*allocate_block_)(size_t) = &std::malloc;
    void (*deallocate_block_)(void *) = &std::free;
    size_t limit_ = 0;
    std::atomic<size_t> in_use_{0};
};

}  // namespace redisai
