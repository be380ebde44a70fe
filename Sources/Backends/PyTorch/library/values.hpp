// Tensors on their way into libtorch and out of it.
#pragma once

#include <torch/script.h>

#include <string>
#include <vector>

#include "redisai_torch.h"

struct RTTensors {
    std::vector<at::Tensor> tensors;
};

namespace redisai {

inline void (*release_owner)(void *owner) = nullptr;

inline at::ScalarType scalar_type(RTDataType type) {
    switch (type) {
        case RT_FLOAT: return at::kFloat;
        case RT_DOUBLE: return at::kDouble;
        case RT_INT8: return at::kChar;
        case RT_INT16: return at::kShort;
        case RT_INT32: return at::kInt;
        case RT_INT64: return at::kLong;
        case RT_UINT8: return at::kByte;
        case RT_UINT16: return at::kUInt16;
        case RT_BOOL: return at::kBool;
    }
    throw std::runtime_error("unsupported data type");
}

inline RTDataType data_type(at::ScalarType type) {
    switch (type) {
        case at::kFloat: return RT_FLOAT;
        case at::kDouble: return RT_DOUBLE;
        case at::kChar: return RT_INT8;
        case at::kShort: return RT_INT16;
        case at::kInt: return RT_INT32;
        case at::kLong: return RT_INT64;
        case at::kByte: return RT_UINT8;
        case at::kUInt16: return RT_UINT16;
        case at::kBool: return RT_BOOL;
        // The original kept half floats as tensors nobody could name.
        case at::kHalf: throw std::runtime_error("ERR unsupported dtype");
        default: throw std::runtime_error(std::string(c10::toString(type)) + " is not supported by dlpack");
    }
}

inline c10::Device device_of(RTDevice device) {
    if (device.kind == RT_CPU) return c10::Device(c10::kCPU);
    return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device.index));
}

/// The inputs of a run, whose owners are released once each, whatever becomes of the run.
class Inputs {
  public:
    Inputs(const RTTensor *views, size_t count) : views_(views, count) {}

    ~Inputs() {
        for (; taken_ < views_.size(); taken_++) {
            if (views_[taken_].owner != nullptr) release_owner(views_[taken_].owner);
        }
    }

    Inputs(const Inputs &) = delete;
    Inputs &operator=(const Inputs &) = delete;

    /// The tensors over the caller's memory, without a copy, or moved to a device; to be called once. `are_written` says that
    /// the program writes to its inputs: it then gets copies, because tensors of the store are shared and never change.
    std::vector<at::Tensor> take(c10::Device device, bool are_written) {
        std::vector<at::Tensor> tensors;
        tensors.reserve(views_.size());
        while (taken_ < views_.size()) {
            const auto &view = views_[taken_++];
            auto tensor = input(view);
            if (!device.is_cpu()) tensor = tensor.to(device);
            tensors.push_back(are_written && device.is_cpu() ? tensor.clone() : std::move(tensor));
        }
        return tensors;
    }

  private:
    /// Takes the owner over. What at::from_blob does, without its allocations.
    static at::Tensor input(const RTTensor &view) {
        auto *data = const_cast<void *>(view.data);
        auto memory = view.owner == nullptr ? c10::DataPtr(data, c10::kCPU)
                                            : c10::DataPtr(data, view.owner, release_owner, c10::kCPU);
        c10::Storage storage(c10::Storage::use_byte_size_t(), view.byte_count, std::move(memory), nullptr,
                             /*resizable=*/false);
        auto tensor = at::detail::make_tensor<c10::TensorImpl>(
            std::move(storage), c10::DispatchKeySet(c10::DispatchKey::CPU),
            c10::scalarTypeToTypeMeta(scalar_type(view.data_type)));
        tensor.unsafeGetTensorImpl()->set_sizes_contiguous(c10::IntArrayRef(view.shape, view.rank));
        return tensor;
    }

    c10::ArrayRef<RTTensor> views_;
    size_t taken_ = 0;
};

/// A tensor that a program returned, in host memory and contiguous, its values in memory as they are meant.
inline at::Tensor output(const at::Tensor &tensor) {
    if (tensor.layout() == at::kStrided && tensor.is_cpu() && tensor.is_contiguous() && !tensor.is_quantized() &&
        !tensor._is_zerotensor() && !tensor.is_conj() && !tensor.is_neg()) {
        return tensor;
    }
    auto dense = tensor.layout() == at::kStrided ? tensor : tensor.to_dense();
    if (dense.is_quantized()) dense = dense.dequantize();
    // One that is zero by decree has no memory.
    if (dense._is_zerotensor()) dense = at::zeros(dense.sizes(), dense.options());
    return dense.to(at::kCPU).contiguous().resolve_conj().resolve_neg();
}

inline void append_output(const c10::IValue &value, const std::string &function, std::vector<at::Tensor> &outputs) {
    // A tensor that was never defined is none either.
    if (!value.isTensor() || !value.toTensor().defined()) {
        throw std::runtime_error("Function returned non-tensor values" + function);
    }
    outputs.push_back(output(value.toTensor()));
}

/// The tensors of a result: a tensor, a list of tensors or a tuple of tensors.
inline std::vector<at::Tensor> outputs(const c10::IValue &result, const std::string &function) {
    std::vector<at::Tensor> tensors;
    if (result.isTensorList()) {
        for (const auto &element : result.toTensorVector()) append_output(element, function, tensors);
    } else if (result.isList()) {
        for (const auto &element : result.toListRef()) append_output(element, function, tensors);
    } else if (result.isTuple()) {
        for (const auto &element : result.toTupleRef().elements()) append_output(element, function, tensors);
    } else {
        append_output(result, function, tensors);
    }
    return tensors;
}

}  // namespace redisai
