// The library between the module and libtorch: the table of ../CPyTorch/include/redisai_torch.h.
//
// One translation unit, because reading libtorch's headers takes longer than compiling what is here. No exception leaves
// this file.
#include "redisai_torch.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <omp.h>
#include <torch/csrc/jit/runtime/print_handler.h>
#include <torch/csrc/jit/runtime/jit_exception.h>
#include <torch/script.h>
#include <torch/version.h>
#include <unistd.h>

#include "divisions.hpp"
#include "heap.hpp"
#include "memory.hpp"
#include "modules.hpp"
#include "scripts.hpp"

namespace {

using namespace redisai;

char *text_of(const std::string &text) {
    // strdup would end at a NUL, and so does everybody who reads the text.
    auto *copy = static_cast<char *>(std::malloc(text.size() + 1));
    if (copy != nullptr) std::memcpy(copy, text.c_str(), text.size() + 1);
    return copy;
}

/// libtorch's warnings and the prints of programs have no reader in a server.
class SilentWarnings final : public c10::WarningHandler {
    void process(const c10::Warning &) override {}
};

/// Runs `body` and returns the text of what it throws.
template <typename Body>
char *guarded(Body body) noexcept {
    static SilentWarnings warnings;
    // Each thread has its own handler.
    c10::WarningUtils::WarningHandlerGuard silence(&warnings);
    try {
        body();
        return nullptr;
    } catch (const c10::Error &error) {
        return text_of(error.what_without_backtrace());
    } catch (const std::bad_alloc &) {
        return text_of("not enough memory");
    } catch (const std::exception &error) {
        return text_of(error.what());
    } catch (...) {
        return text_of("ERR Generic error");
    }
}

char *start(const RTSettings *settings) {
    return guarded([settings] {
        torch::jit::setPrintHandler([](const std::string &) {});
        CountingAllocator::shared().configure(*settings);
        limit_heap(settings->process_limit);
        c10::SetCPUAllocator(&CountingAllocator::shared(), /*priority=*/UINT8_MAX);
        release_owner = settings->release_owner;
        if (settings->intra_op_threads > 0) at::set_num_threads(settings->intra_op_threads);
        at::set_num_interop_threads(std::max(1, settings->inter_op_threads));
        register_operators();
        register_divisions();
    });
}

void use_one_thread() {
    guarded([] {
        // In this order: the first use in a thread sets the thread's number to the common one.
        at::internal::lazy_init_num_threads();
        omp_set_num_threads(1);
    });
}

/// The server's main thread runs what takes microseconds: helpers of its own would only cost memory.
void stay_alone_in_main_thread() {
    static thread_local const bool is_prepared = [] {
        if (getpid() == gettid()) use_one_thread();
        return true;
    }();
    (void)is_prepared;
}

/// Throws unless the device is there. libtorch's CUDA part is a library of its own, opened only when it is wanted.
void require(RTDevice device) {
    if (device.kind == RT_CPU) return;
    static const bool has_cuda = [] {
        dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
        return at::globalContext().hasCUDA();
    }();
    if (!has_cuda) throw std::runtime_error("GPU requested but Torch couldn't find CUDA");
}

char *tensor_at(const RTTensors *tensors, size_t index, RTTensor *view) {
    return guarded([=] {
        const auto &tensor = tensors->tensors.at(index);
        TORCH_CHECK(tensor.const_data_ptr() != nullptr || tensor.nbytes() == 0, "an output has no memory");
        *view = {data_type(tensor.scalar_type()), static_cast<size_t>(tensor.dim()), tensor.sizes().data(),
                 tensor.const_data_ptr(), tensor.nbytes(), nullptr};
    });
}

/// Adds to an answer; what is thrown waits there until the host has returned.
template <typename Body>
void build(RTReply *reply, Body body) noexcept {
    try {
        body();
    } catch (...) {
        if (!reply->failure) reply->failure = std::current_exception();
    }
}

void reply_tensor(RTReply *reply, const RTTensor *view) {
    build(reply, [=] {
        auto options = at::TensorOptions().dtype(scalar_type(view->data_type));
        auto tensor = at::from_blob(const_cast<void *>(view->data), c10::IntArrayRef(view->shape, view->rank), options);
        reply->tensors.push_back(tensor.clone());
    });
}

const RedisAITorch table = {
    .version = [] { return TORCH_VERSION; },
    .start = start,
    .free_text = [](char *text) { std::free(text); },
    .use_one_thread = use_one_thread,
    .memory_in_use = [] { return CountingAllocator::shared().in_use(); },

    .load_module =
        [](const void *bytes, size_t count, RTDevice device, int allows_unsafe_operations, RTModule **module) {
            return guarded([=] {
                require(device);
                *module = load_module(bytes, count, device_of(device), allows_unsafe_operations != 0);
            });
        },
    .free_module = [](RTModule *module) { guarded([=] { delete module; }); },
    .module_input_count = [](const RTModule *module) { return module->inputs.size(); },
    .module_input_name =
        [](const RTModule *module, size_t index) { return module->inputs.at(index).c_str(); },
    .module_output_count = [](const RTModule *module) { return module->output_count; },
    .module_cost_follows_from_shapes = [](const RTModule *module) { return module->cost_follows_from_shapes ? 1 : 0; },
    .module_bytes = [](const RTModule *module) { return module->bytes; },
    .run_module =
        [](RTModule *module, RTRun *run, const RTTensor *inputs, size_t count, RTTensors **outputs) {
            return guarded([=] {
                stay_alone_in_main_thread();
                Inputs owned(inputs, count);
                *outputs = new RTTensors{run_module(*module, run, owned)};
            });
        },

    .compile_script =
        [](const char *source, RTDevice device, int allows_unsafe_operations, RTScript **script) {
            return guarded([=] {
                require(device);
                *script = compile_script(source, device_of(device), allows_unsafe_operations != 0);
            });
        },
    .free_script = [](RTScript *script) { guarded([=] { delete script; }); },
    .script_signature =
        [](const RTScript *script, const char *function, size_t *count) { return signature(*script, function, *count); },
    .run_script =
        [](RTScript *script, RTRun *run, const RTCall *call, const RTHost *host, RTTensors **outputs) {
            return guarded([=] {
                Inputs owned(call->inputs, call->input_count);
                *outputs = new RTTensors{run_script(*script, run, *call, owned, host)};
            });
        },

    .make_run = [] { return new (std::nothrow) RTRun(); },
    .interrupt_run = [](RTRun *run) { run->is_interrupted.store(true, std::memory_order_relaxed); },
    .reset_run = [](RTRun *run) { run->is_interrupted.store(false, std::memory_order_relaxed); },
    .free_run = [](RTRun *run) { delete run; },

    .tensor_count = [](const RTTensors *tensors) { return tensors->tensors.size(); },
    .tensor_at = tensor_at,
    .free_tensors = [](RTTensors *tensors) { guarded([=] { delete tensors; }); },

    .reply_text =
        [](RTReply *reply, RTBytes text) {
            build(reply, [=] { reply->add(std::string(text.start, text.count)); });
        },
    .reply_integer = [](RTReply *reply, int64_t value) { build(reply, [=] { reply->add(value); }); },
    .reply_double = [](RTReply *reply, double value) { build(reply, [=] { reply->add(value); }); },
    .reply_null = [](RTReply *reply) { build(reply, [=] { reply->add(c10::IValue()); }); },
    .reply_array = [](RTReply *reply, size_t count) { build(reply, [=] { reply->add_array(count); }); },
    .reply_tensor = reply_tensor,
    .reply_error =
        [](RTReply *reply, RTBytes text) { build(reply, [=] { reply->error.assign(text.start, text.count); }); },
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const RedisAITorch *redisai_torch_interface(int version) {
    return version == REDISAI_TORCH_INTERFACE_VERSION ? &table : nullptr;
}
