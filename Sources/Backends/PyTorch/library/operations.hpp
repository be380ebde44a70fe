// What programs may do, and how they can be stopped: both decided on their graphs, before they run.
#pragma once

#include <torch/csrc/jit/frontend/lexer.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>

namespace redisai {

/// Operations by which a program could leave the tensors it was given: files, the network, other processes, Python, or
/// memory that is not its own. Reviewed against the operators that libtorch 2.15 registers.
inline bool is_refused(std::string_view operation) {
    static const std::unordered_set<std::string_view> names = {
        "aten::save", "aten::from_file", "aten::_sparse_coo_tensor_unsafe", "aten::_sparse_compressed_tensor_unsafe",
        "aten::_sparse_csr_tensor_unsafe", "aten::_sparse_csc_tensor_unsafe", "aten::_sparse_bsr_tensor_unsafe",
        "aten::_sparse_bsc_tensor_unsafe", "aten::_unsafe_index", "aten::_unsafe_index_put",
        "aten::_unsafe_masked_index", "aten::_unsafe_masked_index_put_accumulate", "aten::_nested_view_from_buffer",
        "aten::_nested_view_from_jagged", "prim::IgnoredPythonOp", "prim::PythonOp", "prim::rpc_async",
        "prim::rpc_sync", "prim::rpc_remote",
    };
    static constexpr std::string_view namespaces[] = {"c10d::", "_c10d_", "symm_mem::", "fsdp::", "_dtensor::",
                                                      "inductor::", "static_runtime::", "_test::", "dist_"};
    for (auto prefix : namespaces) {
        if (operation.substr(0, prefix.size()) == prefix) return true;
    }
    return names.count(operation) > 0;
}

/// Calls `visit` with every node of the blocks of a graph, and of the graphs that its nodes carry.
inline void for_each_node(at::ArrayRef<torch::jit::Block *> blocks,
                          const std::function<void(torch::jit::Node *)> &visit) {
    for (auto *block : blocks) {
        for (auto *node : block->nodes()) {
            visit(node);
            for_each_node(node->blocks(), visit);
            if (node->hasAttribute(c10::attr::Subgraph)) {
                for_each_node({node->g(c10::attr::Subgraph)->block()}, visit);
            }
        }
    }
}

inline void for_each_node(torch::jit::Graph &graph, const std::function<void(torch::jit::Node *)> &visit) {
    for_each_node({graph.block()}, visit);
}

inline std::runtime_error not_allowed(const std::string &operation) {
    return std::runtime_error("ERR TorchScript holds the operation " + operation + ", which is not allowed");
}

/// Throws for a graph that holds a refused operation.
inline void check_operations(torch::jit::Graph &graph) {
    for_each_node(graph, [](torch::jit::Node *node) {
        std::string operation = node->kind().toQualString();
        if (is_refused(operation)) throw not_allowed(operation);
        for (auto *value : node->outputs()) {
            // Objects of classes that C++ registers: of those, only packed weights belong to models.
            auto type = value->type()->cast<c10::ClassType>();
            if (!type || !type->name()) continue;
            auto name = type->name()->qualifiedName();
            if (name.rfind("__torch__.torch.classes.", 0) == 0 &&
                name.rfind("__torch__.torch.classes.quantized.", 0) != 0 &&
                name.rfind("__torch__.torch.classes.rnn.", 0) != 0) {
                throw not_allowed(name);
            }
        }
    });
}

/// Makes every loop of a graph ask whether the run is to end: TorchScript itself never asks.
inline void make_interruptible(torch::jit::Graph &graph) {
    static const auto check = c10::Symbol::fromQualString("redisai::check_interrupt");
    std::vector<torch::jit::Node *> loops;
    for_each_node(graph, [&loops](torch::jit::Node *node) {
        if (node->kind() == c10::prim::Loop) loops.push_back(node);
    });
    for (auto *loop : loops) {
        loop->owningGraph()->create(check, 0)->insertAfter(loop->blocks().at(0)->param_node());
    }
}

/// Whether anything in a graph writes to a tensor, or might.
inline bool writes_tensors(torch::jit::Graph &graph) {
    bool writes = false;
    for_each_node(graph, [&writes](torch::jit::Node *node) {
        // A call that could not be followed: through an interface.
        if (node->kind() == c10::prim::CallMethod || node->kind() == c10::prim::CallFunction) writes = true;
        const auto *schema = node->maybeSchema();
        if (schema == nullptr) return;
        for (const auto &argument : schema->arguments()) {
            const auto *alias = argument.alias_info();
            bool is_tensor = argument.type()->isSubtypeOf(*c10::TensorType::get()) ||
                             argument.type()->isSubtypeOf(*c10::ListType::ofTensors());
            if (alias != nullptr && alias->isWrite() && is_tensor) writes = true;
        }
    });
    return writes;
}

/// Whether a run changes what its module keeps: an attribute, or the content of one.
inline bool changes_state(const std::shared_ptr<torch::jit::Graph> &graph) {
    torch::jit::AliasDb aliases(graph);
    bool changes = false;
    for_each_node(*graph, [&](torch::jit::Node *node) {
        bool is_unknown = node->kind() == c10::prim::CallMethod || node->kind() == c10::prim::CallFunction ||
                          node->hasAttribute(c10::attr::Subgraph);
        bool is_written = node->kind() == c10::prim::GetAttr && aliases.hasWriters(node->output());
        if (is_unknown || is_written || node->kind() == c10::prim::SetAttr) changes = true;
    });
    return changes;
}

/// Whether a text of an archive names something that is refused. Only for code that would run while the archive is being
/// read, before there are graphs to look at: names of attributes count as well.
inline bool names_refused(const std::string &code) {
    torch::jit::Lexer lexer(std::make_shared<torch::jit::Source>(code));
    while (lexer.cur().kind != torch::jit::TK_EOF) {
        auto token = lexer.next();
        if (token.kind == torch::jit::TK_IDENT && is_refused("aten::" + token.text())) return true;
    }
    return false;
}

}  // namespace redisai
