// Divisions of integers that the processor refuses, which would end the process: by zero, and where the quotient does
// not fit. libtorch leaves some of them to the processor; programs get operators that throw instead.
#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/custom_operator.h>
#include <torch/script.h>

#include <cmath>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include "operations.hpp"

namespace redisai {

/// Throws for what has no quotient.
inline void check_division(int64_t dividend, int64_t divisor) {
    if (divisor == 0) throw std::runtime_error("ZeroDivisionError: integer division or modulo by zero");
    if (divisor == -1 && dividend == std::numeric_limits<int64_t>::min()) {
        throw std::runtime_error("OverflowError: the quotient of an integer division is too large");
    }
}

/// The remainder with the sign of the divisor, as in Python.
inline int64_t remainder(int64_t dividend, int64_t divisor) {
    check_division(dividend, divisor);
    int64_t rest = dividend % divisor;
    return rest != 0 && (rest < 0) != (divisor < 0) ? rest + divisor : rest;
}

inline int64_t quotient(int64_t dividend, int64_t divisor) {
    check_division(dividend, divisor);
    return dividend / divisor;
}

/// The quotient rounded down, as in Python.
inline int64_t floored_quotient(int64_t dividend, int64_t divisor) {
    check_division(dividend, divisor);
    bool is_rounded_up = dividend % divisor != 0 && (dividend < 0) != (divisor < 0);
    return dividend / divisor - (is_rounded_up ? 1 : 0);
}

inline c10::Scalar scalar_remainder(const c10::Scalar &dividend, const c10::Scalar &divisor) {
    if (dividend.isIntegral(true) && divisor.isIntegral(true)) {
        return c10::Scalar(remainder(dividend.toLong(), divisor.toLong()));
    }
    double a = dividend.toDouble(), b = divisor.toDouble();
    return c10::Scalar(std::fmod(b + std::fmod(a, b), b));
}

inline c10::Scalar scalar_floordiv(const c10::Scalar &dividend, const c10::Scalar &divisor) {
    if (dividend.isIntegral(true) && divisor.isIntegral(true)) {
        return c10::Scalar(floored_quotient(dividend.toLong(), divisor.toLong()));
    }
    if (divisor.toDouble() == 0) throw std::runtime_error("division by 0");
    return c10::Scalar(std::floor(dividend.toDouble() / divisor.toDouble()));
}

/// Gives the divisions of a graph to the operators below. Nothing beside a division would do: with constants it is
/// calculated before anything runs.
inline void make_divisions_safe(torch::jit::Graph &graph) {
    static const std::unordered_map<std::string, const char *> replacements = {
        {"aten::remainder.int", "redisai::remainder"},
        {"aten::remainder", "redisai::scalar_remainder"},
        {"aten::floordiv.int", "redisai::floordiv"},
        {"aten::floordiv", "redisai::scalar_floordiv"},
        {"aten::__round_to_zero_floordiv.int", "redisai::quotient"},
        {"aten::divmod.int", "redisai::divmod"},
    };
    std::vector<std::pair<torch::jit::Node *, const char *>> divisions;
    for_each_node(graph, [&divisions](torch::jit::Node *node) {
        const auto *schema = node->maybeSchema();
        if (schema == nullptr) return;
        auto name = schema->name() + (schema->overload_name().empty() ? "" : "." + schema->overload_name());
        auto found = replacements.find(name);
        if (found != replacements.end()) divisions.emplace_back(node, found->second);
    });
    for (auto [node, replacement] : divisions) node->replaceWithNewSymbol(c10::Symbol::fromQualString(replacement));
    for (auto [node, replacement] : divisions) node->destroy();
}

inline void register_divisions() {
    using torch::jit::Operator;
    using torch::jit::pop;
    using torch::jit::push;
    using torch::jit::Stack;
    const auto pure = c10::AliasAnalysisKind::PURE_FUNCTION;
    static torch::jit::RegisterOperators operators({
        Operator(
            "redisai::remainder(int a, int b) -> int",
            [](Stack &stack) {
                auto b = pop(stack).toInt(), a = pop(stack).toInt();
                push(stack, remainder(a, b));
            },
            pure),
        Operator(
            "redisai::scalar_remainder(Scalar a, Scalar b) -> Scalar",
            [](Stack &stack) {
                auto b = pop(stack).toScalar(), a = pop(stack).toScalar();
                push(stack, scalar_remainder(a, b));
            },
            pure),
        Operator(
            "redisai::floordiv(int a, int b) -> int",
            [](Stack &stack) {
                auto b = pop(stack).toInt(), a = pop(stack).toInt();
                push(stack, floored_quotient(a, b));
            },
            pure),
        Operator(
            "redisai::scalar_floordiv(Scalar a, Scalar b) -> Scalar",
            [](Stack &stack) {
                auto b = pop(stack).toScalar(), a = pop(stack).toScalar();
                push(stack, scalar_floordiv(a, b));
            },
            pure),
        Operator(
            "redisai::quotient(int a, int b) -> int",
            [](Stack &stack) {
                auto b = pop(stack).toInt(), a = pop(stack).toInt();
                push(stack, quotient(a, b));
            },
            pure),
        Operator(
            "redisai::divmod(int a, int b) -> (int, int)",
            [](Stack &stack) {
                auto b = pop(stack).toInt(), a = pop(stack).toInt();
                push(stack, floored_quotient(a, b), remainder(a, b));
            },
            pure),
    });
}

}  // namespace redisai
