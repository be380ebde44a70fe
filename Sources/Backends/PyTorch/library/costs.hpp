// Whether the shapes of a program's inputs determine what a run costs, whatever the values are.
#pragma once

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <string>
#include <unordered_set>

#include "operations.hpp"

namespace redisai {

/// Operators whose work follows from the shapes of their tensors and from their other arguments. None makes a number of a
/// tensor's values, so that those arguments follow from shapes and constants, too.
inline bool has_plain_cost(torch::jit::Node *node) {
    static const std::unordered_set<std::string> names = {
        "prim::Constant", "prim::GetAttr", "prim::ListConstruct", "prim::ListUnpack", "prim::TupleConstruct",
        "prim::TupleUnpack",
        "aten::abs", "aten::adaptive_avg_pool2d", "aten::add", "aten::add_", "aten::addmm", "aten::argmax",
        "aten::argmin", "aten::avg_pool1d", "aten::avg_pool2d", "aten::batch_norm", "aten::bmm", "aten::cat",
        "aten::ceil", "aten::chunk", "aten::clamp", "aten::clamp_min", "aten::clamp_max", "aten::contiguous",
        "aten::conv1d", "aten::conv2d", "aten::_convolution", "aten::cos", "aten::div", "aten::div_", "aten::elu",
        "aten::embedding", "aten::eq", "aten::erf", "aten::exp", "aten::expand", "aten::flatten", "aten::floor",
        "aten::ge", "aten::gelu", "aten::gt", "aten::hardsigmoid", "aten::hardswish", "aten::hardtanh",
        "aten::layer_norm", "aten::le", "aten::leaky_relu", "aten::linear", "aten::log", "aten::log_softmax",
        "aten::lt", "aten::matmul", "aten::max_pool1d", "aten::max_pool2d", "aten::mean", "aten::mish", "aten::mm",
        "aten::mul", "aten::mul_", "aten::narrow", "aten::ne", "aten::neg", "aten::permute", "aten::pow",
        "aten::reciprocal", "aten::relu", "aten::relu_", "aten::relu6", "aten::reshape", "aten::round",
        "aten::rsqrt", "aten::rsub", "aten::select", "aten::sigmoid", "aten::sign", "aten::silu", "aten::sin",
        "aten::size", "aten::slice", "aten::softmax", "aten::softplus", "aten::split", "aten::sqrt",
        "aten::squeeze", "aten::stack", "aten::sub", "aten::sub_", "aten::sum", "aten::t", "aten::tanh",
        "aten::transpose", "aten::unsqueeze", "aten::view",
    };
    if (node->kind() == c10::aten::dropout) {
        // One that drops something waits for the generator of random numbers, which other threads use.
        auto is_training = torch::jit::toIValue(node->input(2));
        return is_training && is_training->isBool() && !is_training->toBool();
    }
    return node->blocks().empty() && !node->hasAttribute(c10::attr::Subgraph) &&
           names.count(node->kind().toQualString()) > 0;
}

/// Whether all parameters of a method are plain tensors: a number could be a size.
inline bool takes_tensors_only(const c10::FunctionSchema &schema) {
    for (size_t index = 1; index < schema.arguments().size(); index++) {
        if (schema.arguments()[index].type()->kind() != c10::TypeKind::TensorType) return false;
    }
    return !schema.is_vararg();
}

/// Of a method that takes tensors only and does not change its module.
inline bool cost_follows_from_shapes(torch::jit::Graph &inlined) {
    for (auto *node : inlined.nodes()) {
        if (!has_plain_cost(node)) return false;
    }
    return true;
}

}  // namespace redisai
