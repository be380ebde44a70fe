// What scripts can ask of the server while they run: redis.execute, redis.asList, redisAI.model_execute.
#pragma once

#include <torch/csrc/jit/runtime/custom_operator.h>
#include <torch/csrc/jit/runtime/register_ops_utils.h>
#include <torch/script.h>

#include <atomic>
#include <exception>
#include <string>
#include <vector>

#include "redisai_torch.h"
#include "values.hpp"

struct RTRun {
    std::atomic<bool> is_interrupted{false};
};

/// Builds a value from a sequence of elements; the elements of an array follow its head.
struct RTReply {
    std::string error;
    /// Why the answer could not be built. Exceptions must not pass through the host, which is not C++.
    std::exception_ptr failure;

    void add(c10::IValue value) {
        while (!open_.empty()) {
            open_.back().list.push_back(std::move(value));
            if (--open_.back().missing > 0) return;
            value = open_.back().list;
            open_.pop_back();
        }
        value_ = std::move(value);
    }

    void add_array(size_t count) {
        c10::impl::GenericList list(c10::AnyType::get());
        if (count == 0) return add(list);
        open_.push_back({list, count});
    }

    c10::IValue take() { return std::move(value_); }

    std::vector<at::Tensor> tensors;

  private:
    struct OpenArray {
        c10::impl::GenericList list;
        size_t missing;
    };
    std::vector<OpenArray> open_;
    c10::IValue value_;
};

namespace redisai {

/// What the calling thread is running; operators have no other way to find out.
struct Context {
    RTRun *run = nullptr;
    const RTHost *host = nullptr;
    c10::Device device = c10::Device(c10::kCPU);
};

inline thread_local Context context;

/// Makes a context the thread's for as long as it lives.
class ContextScope {
  public:
    explicit ContextScope(Context next) : previous_(context) { context = next; }
    ~ContextScope() { context = previous_; }
    ContextScope(const ContextScope &) = delete;
    ContextScope &operator=(const ContextScope &) = delete;

  private:
    Context previous_;
};

constexpr const char *interrupted_text = "the run took longer than MODEL_EXECUTION_TIMEOUT and was interrupted";

/// Stands in every loop of every program: see operations.hpp.
inline void check_interrupt() {
    if (context.run != nullptr && context.run->is_interrupted.load(std::memory_order_relaxed)) {
        throw std::runtime_error(interrupted_text);
    }
}

inline const RTHost &host_or_throw(const char *operation) {
    if (context.host == nullptr) throw std::runtime_error(std::string(operation) + " can only be used by scripts");
    check_interrupt();
    return *context.host;
}

inline c10::IValue execute(const std::string &command, const c10::List<std::string> &arguments) {
    const auto &host = host_or_throw("redis.execute");
    std::vector<std::string> texts{command};
    for (size_t index = 0; index < arguments.size(); index++) texts.push_back(arguments.get(index));
    std::vector<RTBytes> words;
    for (const auto &text : texts) words.push_back({text.data(), text.size()});
    RTReply reply;
    int status = host.execute(host.context, words.data(), words.size(), &reply);
    if (reply.failure) std::rethrow_exception(reply.failure);
    if (status != 0) {
        throw std::runtime_error("Redis command returned an error: " + reply.error);
    }
    return reply.take();
}

inline c10::List<at::Tensor> run_model(const std::string &key, const c10::List<at::Tensor> &inputs, int64_t count) {
    const auto &host = host_or_throw("redisAI.model_execute");
    if (count < 0) throw std::runtime_error("the number of outputs is negative");
    std::vector<at::Tensor> kept;
    for (size_t index = 0; index < inputs.size(); index++) kept.push_back(output(inputs.get(index)));
    std::vector<RTTensor> views;
    for (const auto &tensor : kept) {
        views.push_back({data_type(tensor.scalar_type()), static_cast<size_t>(tensor.dim()), tensor.sizes().data(),
                         tensor.const_data_ptr(), tensor.nbytes(), nullptr});
    }
    RTReply reply;
    RTBytes name{key.data(), key.size()};
    int status = host.run_model(host.context, name, views.data(), views.size(), static_cast<size_t>(count), &reply);
    if (reply.failure) std::rethrow_exception(reply.failure);
    if (status != 0) throw std::runtime_error(reply.error);
    c10::List<at::Tensor> outputs;
    for (const auto &tensor : reply.tensors) outputs.push_back(tensor.to(context.device));
    return outputs;
}

inline c10::List<c10::IValue> as_list(const c10::IValue &value) {
    if (!value.isList()) throw std::runtime_error("redis.asList: the value is not a list");
    c10::impl::GenericList list(c10::AnyType::get());
    for (const auto &element : value.toListRef()) list.push_back(element);
    return list;
}

/// Stands before each multiplication of a list: one operation that could take all memory before anything is asked.
inline void check_list_product(const c10::IValue &list, int64_t count) {
    constexpr size_t limit = 1 << 24;
    size_t length = list.isList() ? list.toListRef().size() : 0;
    if (length > 0 && count > 0 && static_cast<size_t>(count) > limit / length) {
        throw std::runtime_error("a list of more than " + std::to_string(limit) + " elements");
    }
}

/// Operators with effects that only a conservative analysis respects: they are neither reordered nor left out.
inline void register_operators() {
    using torch::jit::Operator;
    using torch::jit::Stack;
    const auto effects = torch::jit::aliasAnalysisConservative();
    static torch::jit::RegisterOperators operators({
        Operator(
            "redis::execute(str command, str[] args) -> Any",
            [](Stack &stack) {
                auto arguments = torch::jit::pop(stack).to<c10::List<std::string>>();
                auto command = torch::jit::pop(stack).toStringRef();
                torch::jit::push(stack, execute(command, arguments));
            },
            effects),
        // A list of texts cannot be left out by giving it a default.
        Operator(
            "redis::execute.alone(str command) -> Any",
            [](Stack &stack) {
                auto command = torch::jit::pop(stack).toStringRef();
                torch::jit::push(stack, execute(command, c10::List<std::string>()));
            },
            effects),
        Operator(
            "redis::asList(Any value) -> Any[]",
            [](Stack &stack) { torch::jit::push(stack, as_list(torch::jit::pop(stack))); }, effects),
        Operator(
            "redisAI::model_execute(str model_key, Tensor[] inputs, int num_outputs) -> Tensor[]",
            [](Stack &stack) {
                auto count = torch::jit::pop(stack).toInt();
                auto inputs = torch::jit::pop(stack).toTensorList();
                auto key = torch::jit::pop(stack).toStringRef();
                torch::jit::push(stack, run_model(key, inputs, count));
            },
            effects),
        Operator(
            "redisai::check_interrupt() -> ()", [](Stack &) { check_interrupt(); }, effects),
        Operator(
            "redisai::check_list_product(Any list, int count) -> ()",
            [](Stack &stack) {
                auto count = torch::jit::pop(stack).toInt();
                check_list_product(torch::jit::pop(stack), count);
            },
            effects),
    });
}

}  // namespace redisai
