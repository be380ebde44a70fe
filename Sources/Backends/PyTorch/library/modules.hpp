// TorchScript modules: models of the TORCH engine.
#pragma once

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/frozen_linear_transpose.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/script.h>

#include <mutex>
#include <string>
#include <vector>

#include "costs.hpp"
#include "divisions.hpp"
#include "extents.hpp"
#include "host.hpp"
#include "operations.hpp"
#include "values.hpp"

struct RTModule {
    torch::jit::Module module;
    torch::jit::Function *forward;
    c10::Device device;
    std::vector<std::string> inputs;
    size_t output_count;
    size_t bytes;
    bool writes_inputs;
    bool has_state;
    /// Whether the program starts tasks of its own.
    bool starts_tasks;
    bool takes_tensors_only;
    bool cost_follows_from_shapes;
    /// Held during runs of a module that changes while it runs.
    std::mutex mutex;
};

namespace redisai {

/// An archive in memory.
class MemoryReader final : public caffe2::serialize::ReadAdapterInterface {
  public:
    MemoryReader(const void *bytes, size_t count) : bytes_(static_cast<const char *>(bytes)), count_(count) {}

    size_t size() const override { return count_; }

    size_t read(uint64_t position, void *target, size_t count, const char *) const override {
        if (position >= count_) return 0;
        size_t available = std::min(count, count_ - static_cast<size_t>(position));
        std::memcpy(target, bytes_ + position, available);
        return available;
    }

  private:
    const char *bytes_;
    size_t count_;
};

/// Refuses archives whose code would use a refused operation while it is being read: objects can restore themselves by
/// running code.
inline void check_archive(const void *bytes, size_t count) {
    caffe2::serialize::PyTorchStreamReader reader(std::make_shared<MemoryReader>(bytes, count));
    std::vector<std::string> codes;
    bool runs_code = false;
    for (const auto &name : reader.getAllRecords()) {
        if (name.rfind("code/", 0) != 0 || name.size() < 3 || name.substr(name.size() - 3) != ".py") continue;
        auto [data, size] = reader.getRecord(name);
        codes.emplace_back(static_cast<const char *>(data.get()), size);
        runs_code = runs_code || codes.back().find("__setstate__") != std::string::npos;
    }
    if (!runs_code) return;
    for (const auto &code : codes) {
        if (names_refused(code)) throw not_allowed("of a file or foreign memory");
    }
}

inline size_t bytes_of(const torch::jit::Module &module) {
    size_t bytes = 0;
    for (const auto &parameter : module.parameters()) bytes += parameter.nbytes();
    for (const auto &buffer : module.buffers()) bytes += buffer.nbytes();
    return bytes;
}

/// The number of tensors that a declared result stands for: for a list only if the declaration says so.
inline size_t output_count(const c10::Argument &result) {
    const auto &type = result.type();
    if (type->isSubtypeOf(*c10::TensorType::get())) return 1;
    if (auto tuple = type->cast<c10::TupleType>()) {
        size_t count = 0;
        for (const auto &element : tuple->elements()) count += element->isSubtypeOf(*c10::TensorType::get());
        return count;
    }
    if (type->kind() == c10::TypeKind::ListType) {
        if (!result.N()) throw std::runtime_error("Erorr while trying to retrive model outputs number: std::exception");
        return static_cast<size_t>(*result.N());
    }
    return 0;
}

inline void describe(RTModule &model) {
    const auto &schema = model.module.get_method("forward").function().getSchema();
    for (size_t index = 1; index < schema.arguments().size(); index++) {
        model.inputs.push_back(schema.arguments()[index].name());
    }
    for (const auto &result : schema.returns()) model.output_count += output_count(result);
    model.bytes = bytes_of(model.module);
}

/// Every function of the archive, whether `forward` calls it or not.
inline void prepare_functions(const torch::jit::CompilationUnit &unit, bool allows_unsafe_operations) {
    SizeCheck sizes;
    for (auto *function : unit.get_functions()) sizes.check(*function);
    for (auto *function : unit.get_functions()) {
        auto *graph_function = torch::jit::tryToGraphFunction(*function);
        if (graph_function == nullptr) continue;
        if (!allows_unsafe_operations) check_operations(*graph_function->graph());
        make_interruptible(*graph_function->graph());
        make_divisions_safe(*graph_function->graph());
        fill_empty_tensors(*graph_function->graph());
        check_list_products(*graph_function->graph());
    }
}

inline std::shared_ptr<torch::jit::Graph> inlined_graph(torch::jit::Function &function) {
    auto graph = torch::jit::toGraphFunction(function).graph()->copy();
    torch::jit::Inline(*graph);
    return graph;
}

/// Runs a function. What it forks runs in its own thread, at once: other threads would not know whose run it is, could not
/// be interrupted, and might outlive it.
inline c10::IValue run_function(torch::jit::Function &function, torch::jit::Stack &stack) {
    auto future = function.runAsync(stack, [](const std::function<void()> &task) { task(); });
    future->waitAndThrow();
    return future->value();
}

/// Replaces a module that only calculates by one whose weights are constants of its program, in the order in which products
/// want them. What is calculated of constants beforehand is bounded as a run is.
inline void freeze(RTModule &model) {
    model.module = torch::jit::freeze(model.module);
    model.forward = &model.module.get_method("forward").function();
    auto graph = torch::jit::toGraphFunction(*model.forward).graph();
    torch::jit::FrozenLinearTranspose(graph);
    // The weights as they were are still there, as constants that nobody uses.
    torch::jit::EliminateDeadCode(graph);
}

/// The module in an archive and the functions that it brings.
inline std::pair<torch::jit::Module, std::shared_ptr<torch::jit::CompilationUnit>> read_archive(
    const void *bytes, size_t count, c10::Device device) {
    auto unit = std::make_shared<torch::jit::CompilationUnit>();
    auto module =
        torch::jit::import_ir_module(unit, std::make_unique<MemoryReader>(bytes, count), device, /*load_debug_files=*/false);
    if (device.is_cpu()) check_extents(module, *unit);
    return {std::move(module), std::move(unit)};
}

inline RTModule *load_module(const void *bytes, size_t count, c10::Device device, bool allows_unsafe_operations) {
    // What runs never asks for gradients: views of weights that could have some cost more.
    c10::InferenceMode inference;
    if (!allows_unsafe_operations) check_archive(bytes, count);
    // Copying a tensor to a GPU reads it, so that it has to be looked at before.
    if (!device.is_cpu()) read_archive(bytes, count, c10::kCPU);
    auto [module, unit] = read_archive(bytes, count, device);
    module.eval();
    prepare_functions(*unit, allows_unsafe_operations);
    auto model = std::unique_ptr<RTModule>(new RTModule{std::move(module), nullptr, device, {}, 0, 0, true, true, true, false, false, {}});
    describe(*model);
    auto &forward = model->module.get_method("forward").function();
    model->writes_inputs = WriteAnalysis().writes(forward);
    model->forward = &forward;
    auto graph = inlined_graph(forward);
    model->has_state = changes_state(graph);
    model->starts_tasks = starts_tasks(*graph);
    model->takes_tensors_only = takes_tensors_only(forward.getSchema());
    model->cost_follows_from_shapes = device.is_cpu() && model->takes_tensors_only && !model->has_state &&
                                      !model->starts_tasks && cost_follows_from_shapes(*graph);
    if (model->cost_follows_from_shapes) freeze(*model);
    return model.release();
}

/// An input as its parameter wants it: where that is a number, a tensor with one element of the kind stands for it.
inline c10::IValue argument(const at::Tensor &tensor, const c10::FunctionSchema &schema, size_t index) {
    if (index >= schema.arguments().size() || tensor.numel() != 1) return tensor;
    auto kind = schema.arguments()[index].type()->kind();
    bool is_integer = at::isIntegralType(tensor.scalar_type(), /*includeBool=*/false);
    if (kind == c10::TypeKind::IntType && is_integer) return tensor.item().toLong();
    if (kind == c10::TypeKind::FloatType && tensor.is_floating_point()) return tensor.item().toDouble();
    if (kind == c10::TypeKind::BoolType && tensor.scalar_type() == at::kBool) return tensor.item().toBool();
    return tensor;
}

/// The module and its inputs, as `forward` takes them.
inline torch::jit::Stack arguments(const RTModule &model, Inputs &inputs) {
    const auto &schema = model.forward->getSchema();
    auto tensors = inputs.take(model.device, model.writes_inputs);
    torch::jit::Stack stack;
    stack.reserve(1 + tensors.size());
    stack.emplace_back(model.module._ivalue());
    bool is_plain = model.takes_tensors_only && tensors.size() + 1 == schema.arguments().size();
    for (auto &tensor : tensors) {
        if (is_plain) {
            stack.emplace_back(std::move(tensor));
        } else {
            stack.push_back(argument(tensor, schema, stack.size()));
        }
    }
    if (!is_plain) schema.checkAndNormalizeInputs(stack, {});
    return stack;
}

inline std::vector<at::Tensor> run_module(RTModule &model, RTRun *run, Inputs &inputs) {
    c10::InferenceMode inference;
    ContextScope scope({run, nullptr, model.device});
    auto stack = arguments(model, inputs);
    std::unique_lock<std::mutex> lock(model.mutex, std::defer_lock);
    if (model.has_state) lock.lock();
    if (model.starts_tasks) return outputs(run_function(*model.forward, stack), "forward");
    model.forward->run(stack);
    return outputs(stack.back(), "forward");
}

}  // namespace redisai
