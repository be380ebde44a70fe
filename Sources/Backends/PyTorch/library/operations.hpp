// What programs may do, and how they can be stopped: both decided on their graphs, before they run.
#pragma once

#include <torch/csrc/jit/frontend/lexer.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace redisai {

/// Operators of libtorch that are meant for itself, and that exported programs hold nevertheless. All others whose names begin
/// with an underscore are refused: many of them do not check what they are given.
inline bool is_known_internal(std::string_view name) {
    static const std::unordered_set<std::string_view> names = {
        "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "_add_relu", "_add_relu_", "_aminmax", "_assert_async",
        "_assert_scalar", "_assert_tensor_metadata", "_batch_norm_impl_index", "_cdist_forward", "_conj",
        "_conj_physical", "_convolution", "_convolution_mode", "_dim_arange", "_efficientzerotensor", "_embedding_bag",
        "_embedding_bag_forward_only", "_euclidean_dist", "_functional_assert_async", "_functional_assert_scalar",
        "_fused_sdp_choice", "_get_tracing_state", "_grad_sum_to_size", "_infer_size", "_int_mm", "_is_all_true",
        "_is_any_true", "_is_tracing", "_list_to_tensor", "_local_scalar_dense", "_log_softmax", "_logcumsumexp",
        "_masked_softmax", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training",
        "_native_multi_head_attention", "_neg_view", "_pack_padded_sequence", "_pad_circular", "_pad_enum",
        "_pad_packed_sequence", "_prelu_kernel", "_print", "_reshape_copy", "_reshape_from_tensor", "_safe_softmax",
        "_set_item", "_shape_as_tensor", "_size_if_not_equal", "_softmax", "_stack", "_tensor_to_list", "_to_copy",
        "_transformer_encoder_layer_fwd", "_trilinear", "_unique", "_unique2", "_unsafe_view", "_unwrap_optional",
        "_version", "_weight_norm", "_weight_norm_interface",
    };
    static constexpr std::string_view prefixes[] = {"__",        "_cast_",  "_fake_quantize_", "_fft_",
                                                    "_foreach_", "_linalg_", "_no_grad_",       "_scaled_dot_product_",
                                                    "_upsample_"};
    for (auto prefix : prefixes) {
        if (name.substr(0, prefix.size()) == prefix) return true;
    }
    return names.count(name) > 0;
}

/// Operations by which a program could leave the tensors it was given: files, the network, other processes, Python, or
/// memory that is not its own. Reviewed against the operators that libtorch 2.15 registers.
inline bool is_refused(std::string_view operation) {
    static const std::unordered_set<std::string_view> names = {
        "aten::save",      "aten::from_file",    "aten::resize_",   "aten::resize_as_",
        "aten::set_",      "prim::PythonOp",     "prim::rpc_async", "prim::rpc_sync",
        "prim::rpc_remote", "prim::IgnoredPythonOp",
    };
    static constexpr std::string_view namespaces[] = {"c10d::", "_c10d_", "symm_mem::", "fsdp::", "_dtensor::",
                                                      "inductor::", "static_runtime::", "_test::", "dist_"};
    for (auto prefix : namespaces) {
        if (operation.substr(0, prefix.size()) == prefix) return true;
    }
    constexpr std::string_view aten = "aten::";
    if (operation.substr(0, aten.size()) == aten) {
        auto name = operation.substr(aten.size());
        if (name.substr(0, 1) == "_" && !is_known_internal(name)) return true;
        // Gradients trust the indices of the pass before; sparse tensors trust their own, which can be written to.
        if (name.find("_backward") != name.npos || name.find("sparse") != name.npos) return true;
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

/// Has the size of a list looked at before it is multiplied.
inline void check_list_products(torch::jit::Graph &graph) {
    static const auto check = c10::Symbol::fromQualString("redisai::check_list_product");
    std::vector<torch::jit::Node *> products;
    for_each_node(graph, [&products](torch::jit::Node *node) {
        if (node->kind() != c10::aten::mul || node->inputs().size() != 2) return;
        for (auto *input : node->inputs()) {
            if (input->type()->kind() == c10::TypeKind::ListType) products.push_back(node);
        }
    });
    for (auto *product : products) {
        bool is_list_first = product->input(0)->type()->kind() == c10::TypeKind::ListType;
        auto *list = product->input(is_list_first ? 0 : 1);
        auto *count = product->input(is_list_first ? 1 : 0);
        product->owningGraph()->create(check, {list, count}, 0)->insertBefore(product);
    }
}

/// Fills tensors that are made without values: what the memory held before is nobody's business.
inline void fill_empty_tensors(torch::jit::Graph &graph) {
    static const auto fill = c10::Symbol::fromQualString("aten::zero_");
    std::vector<torch::jit::Node *> makers;
    for_each_node(graph, [&makers](torch::jit::Node *node) {
        std::string operation = node->kind().toQualString();
        bool is_empty = operation.rfind("aten::empty", 0) == 0 || operation.rfind("aten::new_empty", 0) == 0;
        if (is_empty && node->outputs().size() == 1) makers.push_back(node);
    });
    for (auto *maker : makers) {
        auto *node = maker->owningGraph()->create(fill, {maker->output()}, 1);
        node->output()->setType(c10::TensorType::get());
        node->insertAfter(maker);
    }
}

/// Whether a node updates the statistics that a normalization is given: its schema does not say so.
inline bool updates_statistics(torch::jit::Node *node) {
    std::string operation = node->kind().toQualString();
    if (operation.find("batch_norm") == std::string::npos && operation.find("instance_norm") == std::string::npos) {
        return false;
    }
    const auto *schema = node->maybeSchema();
    if (schema == nullptr) return true;
    auto statistics = schema->argumentIndexWithName("running_mean");
    if (statistics && node->input(*statistics)->mustBeNone()) return false;
    for (const auto *flag : {"training", "train", "use_input_stats"}) {
        auto index = schema->argumentIndexWithName(flag);
        if (!index) continue;
        auto value = torch::jit::toIValue(node->input(*index));
        return !value || !value->isBool() || value->toBool();
    }
    return true;
}

/// The function that a node calls; NULL for other nodes, and for calls that cannot be followed.
inline torch::jit::Function *callee(torch::jit::Node *node) {
    if (node->kind() == c10::prim::CallFunction) {
        auto type = node->input(0)->type()->cast<c10::FunctionType>();
        return type ? type->function() : nullptr;
    }
    if (node->kind() == c10::prim::CallMethod) {
        auto type = node->input(0)->type()->cast<c10::ClassType>();
        return type ? type->findMethod(node->s(c10::attr::name)) : nullptr;
    }
    return nullptr;
}

/// Refuses programs that are small only as long as their calls are not replaced by what they call, which libtorch does
/// before it runs them.
class SizeCheck {
  public:
    void check(torch::jit::Function &function) {
        if (size(function) > limit) throw std::runtime_error("ERR TorchScript is too large once its calls are inlined");
    }

  private:
    static constexpr size_t limit = 100000;

    size_t size(torch::jit::Function &function) {
        auto known = results_.find(&function);
        if (known != results_.end()) return known->second;
        results_[&function] = 0;
        size_t nodes = 0;
        if (auto *graph_function = torch::jit::tryToGraphFunction(function)) {
            for_each_node(*graph_function->graph(), [&](torch::jit::Node *node) {
                auto *called = callee(node);
                nodes = std::min(nodes + (called != nullptr ? size(*called) : 1), limit + 1);
            });
        }
        results_[&function] = nodes;
        return nodes;
    }

    std::unordered_map<torch::jit::Function *, size_t> results_;
};

/// Finds out which functions write to tensors, or might, following their calls. Each function is looked at once: inlined, a
/// few lines can become millions.
class WriteAnalysis {
  public:
    bool writes(torch::jit::Function &function) {
        auto known = results_.find(&function);
        if (known != results_.end()) return known->second;
        // A function that calls itself does not compile; should one do so anyway, it counts as writing.
        results_[&function] = true;
        auto *graph_function = torch::jit::tryToGraphFunction(function);
        bool result = graph_function == nullptr || writes(*graph_function->graph());
        results_[&function] = result;
        return result;
    }

  private:
    bool writes(torch::jit::Graph &graph) {
        bool result = false;
        for_each_node(graph, [&](torch::jit::Node *node) { result = result || writes(node); });
        return result;
    }

    bool writes(torch::jit::Node *node) {
        if (node->kind() == c10::prim::CallFunction || node->kind() == c10::prim::CallMethod) {
            auto *called = callee(node);
            return called == nullptr || writes(*called);
        }
        if (updates_statistics(node)) return true;
        const auto *schema = node->maybeSchema();
        if (schema == nullptr) return false;
        for (const auto &argument : schema->arguments()) {
            const auto *alias = argument.alias_info();
            bool is_tensor = argument.type()->isSubtypeOf(*c10::TensorType::get()) ||
                             argument.type()->isSubtypeOf(*c10::ListType::ofTensors());
            if (alias != nullptr && alias->isWrite() && is_tensor) return true;
        }
        return false;
    }

    std::unordered_map<torch::jit::Function *, bool> results_;
};

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

/// Whether a graph without calls starts tasks, or might.
inline bool starts_tasks(torch::jit::Graph &graph) {
    bool starts = false;
    for_each_node(graph, [&](torch::jit::Node *node) {
        std::string operation = node->kind().toQualString();
        bool is_unknown = node->kind() == c10::prim::CallMethod || node->kind() == c10::prim::CallFunction;
        if (is_unknown || operation == "prim::fork" || operation.rfind("prim::await", 0) == 0 ||
            operation.rfind("prim::rpc", 0) == 0 || operation == "aten::wait") {
            starts = true;
        }
    });
    return starts;
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
