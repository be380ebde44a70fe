// Scripts: TorchScript functions that clients store as source text.
#pragma once

#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/frontend/sugared_value.h>
#include <torch/script.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "host.hpp"
#include "modules.hpp"
#include "operations.hpp"
#include "values.hpp"

struct RTScript {
    struct Function {
        torch::jit::Function *function;
        bool writes_inputs;
    };
    std::shared_ptr<torch::jit::CompilationUnit> unit;
    std::unordered_map<std::string, Function> functions;
    c10::Device device;
};

namespace redisai {

/// What scripts can raise.
inline bool is_exception(const std::string &name) {
    static const std::unordered_set<std::string> names = {"Exception",  "RuntimeError", "ValueError",
                                                          "TypeError",  "IndexError",   "KeyError",
                                                          "AssertionError", "NotImplementedError"};
    return names.count(name) > 0;
}

/// The names that scripts find without importing anything: torch, redis and redisAI, in any case, and exceptions.
struct ScriptResolver final : torch::jit::Resolver {
    std::shared_ptr<torch::jit::SugaredValue> resolveValue(const std::string &name, torch::jit::GraphFunction &,
                                                           const torch::jit::SourceRange &) override {
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
        if (lower == "torch") return std::make_shared<torch::jit::BuiltinModule>("aten");
        if (lower == "redis") return std::make_shared<torch::jit::BuiltinModule>("redis");
        if (lower == "redisai") return std::make_shared<torch::jit::BuiltinModule>("redisAI");
        if (is_exception(name)) return std::make_shared<torch::jit::ExceptionValue>(name);
        return nullptr;
    }
};

inline RTScript *compile_script(const char *source, c10::Device device, bool allows_unsafe_operations) {
    auto script = std::unique_ptr<RTScript>(
        new RTScript{std::make_shared<torch::jit::CompilationUnit>(), {}, device});
    // The parser wants the last line ended; who stores a script need not know.
    script->unit->define(std::nullopt, std::string(source) + "\n", std::make_shared<ScriptResolver>(), nullptr);
    prepare_functions(*script->unit, allows_unsafe_operations);
    WriteAnalysis analysis;
    for (auto *function : script->unit->get_functions()) {
        script->functions[function->name()] = {function, analysis.writes(*function)};
    }
    return script.release();
}

inline RTSignature signature(const RTScript &script, const std::string &name, size_t &count) {
    auto found = script.functions.find(name);
    if (found == script.functions.end()) return RT_SIGNATURE_MISSING;
    const auto &parameters = found->second.function->getSchema().arguments();
    count = parameters.size();
    if (count != 3) return RT_SIGNATURE_WRONG_COUNT;
    bool fits = parameters[0].type()->isSubtypeOf(*c10::ListType::ofTensors()) &&
                parameters[1].type()->isSubtypeOf(*c10::ListType::ofStrings()) &&
                parameters[2].type()->isSubtypeOf(*c10::ListType::ofStrings());
    return fits ? RT_SIGNATURE_ENTRY_POINT : RT_SIGNATURE_WRONG_TYPES;
}

inline c10::List<std::string> strings(const RTBytes *texts, size_t count) {
    c10::List<std::string> list;
    for (size_t index = 0; index < count; index++) list.push_back(std::string(texts[index].start, texts[index].count));
    return list;
}

/// Fills parameters from left to right: a tensor takes one input, a list of tensors all that are left.
inline torch::jit::Stack arguments_by_signature(const c10::FunctionSchema &schema, const std::vector<at::Tensor> &inputs,
                                                const std::string &name) {
    torch::jit::Stack stack;
    size_t next = 0;
    for (const auto &parameter : schema.arguments()) {
        if (parameter.type()->isSubtypeOf(*c10::ListType::ofTensors())) {
            stack.emplace_back(c10::List<at::Tensor>(
                c10::ArrayRef<at::Tensor>(inputs.data() + std::min(next, inputs.size()),
                                          inputs.size() - std::min(next, inputs.size()))));
            break;
        }
        if (!parameter.type()->isSubtypeOf(*c10::TensorType::get())) {
            throw std::runtime_error("Unsupported input type in function definition: " + name);
        }
        if (next >= inputs.size()) throw std::runtime_error("Wrong number of inputs provided to function: " + name);
        stack.emplace_back(inputs[next++]);
    }
    if (stack.size() != schema.arguments().size()) {
        throw std::runtime_error("Wrong number of inputs provided to function: " + name);
    }
    return stack;
}

inline std::vector<at::Tensor> run_script(RTScript &script, RTRun *run, const RTCall &call, Inputs &inputs,
                                          const RTHost *host) {
    std::string name = call.function;
    auto found = script.functions.find(name);
    if (found == script.functions.end()) throw std::runtime_error("Function does not exist: " + name);
    auto &function = *found->second.function;
    c10::InferenceMode inference;
    ContextScope scope({run, host, script.device});
    auto tensors = inputs.take(script.device, found->second.writes_inputs);
    torch::jit::Stack stack;
    if (call.is_entry_point) {
        stack = {c10::List<at::Tensor>(c10::ArrayRef<at::Tensor>(tensors)), strings(call.keys, call.key_count),
                 strings(call.arguments, call.argument_count)};
    } else {
        stack = arguments_by_signature(function.getSchema(), tensors, name);
    }
    tensors.clear();
    auto result = run_function(function, stack);
    if (call.output_count == 0) return {};
    auto results = outputs(result, name);
    if (results.size() != call.output_count) {
        throw std::runtime_error("Function returned unexpected number of outputs - " + name);
    }
    return results;
}

}  // namespace redisai
