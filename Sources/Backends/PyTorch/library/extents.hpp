// Whether the tensors of an archive stay within what the archive holds for them.
#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/ops/_validate_sparse_compressed_tensor_args.h>
#include <ATen/ops/_validate_sparse_coo_tensor_args.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/script.h>

#include <unordered_set>

#include "memory.hpp"
#include "operations.hpp"

namespace redisai {

inline std::runtime_error malformed_tensor() {
    return std::runtime_error("ERR TorchScript holds a tensor that is larger than its data");
}

/// libtorch sees to it that a tensor fits into its storage, but believes the size that an archive states for a storage,
/// whatever data there is: a run would read and write what is not the tensor's. Only for data from the allocator.
inline void check_extent(const at::Tensor &tensor) {
    if (!tensor.defined()) return;
    if (tensor.layout() == c10::kSparse) {
        check_extent(tensor._indices());
        check_extent(tensor._values());
        at::_validate_sparse_coo_tensor_args(tensor._indices(), tensor._values(), tensor.sizes());
        return;
    }
    if (tensor.layout() == c10::kSparseCsr) {
        check_extent(tensor.crow_indices());
        check_extent(tensor.col_indices());
        check_extent(tensor.values());
        at::_validate_sparse_compressed_tensor_args(
            tensor.crow_indices(), tensor.col_indices(), tensor.values(), tensor.sizes(), tensor.layout());
        return;
    }
    if (tensor.layout() != c10::kStrided || !tensor.has_storage()) throw malformed_tensor();
    const auto &storage = tensor.storage();
    if (storage.nbytes() > CountingAllocator::size_of(storage.data_ptr())) throw malformed_tensor();
    if (tensor.is_quantized() && tensor.qscheme() == c10::kPerChannelAffine) {
        check_extent(tensor.q_per_channel_scales());
        check_extent(tensor.q_per_channel_zero_points());
        auto axis = tensor.q_per_channel_axis();
        if (axis < 0 || axis >= tensor.dim() || tensor.q_per_channel_scales().numel() != tensor.size(axis) ||
            tensor.q_per_channel_zero_points().numel() != tensor.size(axis)) {
            throw malformed_tensor();
        }
    }
}

/// Every tensor within a value; objects may hold each other.
inline void check_extents(const c10::IValue &value, std::unordered_set<const void *> &seen) {
    value.visit([&seen](const c10::IValue &part) {
        if (part.isTensor()) check_extent(part.toTensor());
        return part.isPtrType() && !seen.insert(part.internalToPointer()).second;
    });
}

/// Every tensor of a module that was loaded onto the CPU: what its objects hold, and the constants in its code.
inline void check_extents(const torch::jit::Module &module, const torch::jit::CompilationUnit &unit) {
    std::unordered_set<const void *> seen;
    check_extents(c10::IValue(module._ivalue()), seen);
    for (auto *function : unit.get_functions()) {
        auto *graph_function = torch::jit::tryToGraphFunction(*function);
        if (graph_function == nullptr) continue;
        for_each_node(*graph_function->graph(), [&seen](torch::jit::Node *node) {
            if (node->kind() != c10::prim::Constant) return;
            if (auto value = torch::jit::toIValue(node->output())) check_extents(*value, seen);
        });
    }
}

}  // namespace redisai
