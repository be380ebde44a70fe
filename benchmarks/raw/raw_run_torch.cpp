// What libtorch itself takes for a run: a frozen and optimised TorchScript module in one thread, inputs in place.
//
//     raw_run_torch LIBRARY MODEL ROWS ROUNDS SECONDS
//
// Prints the CPU time of one run in nanoseconds, once per round. TorchScript does not say which shapes a module takes, so that
// ROWS is a list: `1x30,1x256` for two inputs, all FLOAT. libtorch has no C interface, so that the program is linked with the
// one that it was compiled for; LIBRARY is there to have the same arguments as the other programs.

#include <ATen/Parallel.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/script.h>

#include <sstream>
#include <string>
#include <vector>

#include "raw_run.h"

namespace {

struct Model {
    torch::jit::Module module;
    torch::jit::Function &forward;
    // The module first.
    torch::jit::Stack arguments;
};

torch::jit::Stack make_arguments(const torch::jit::Module &module, const std::string &shapes) {
    torch::jit::Stack inputs{module._ivalue()};
    std::stringstream list(shapes);
    for (std::string shape; std::getline(list, shape, ',');) {
        std::vector<int64_t> dimensions;
        std::stringstream numbers(shape);
        for (std::string number; std::getline(numbers, number, 'x');) dimensions.push_back(std::stoll(number));
        inputs.emplace_back(torch::zeros(dimensions));
    }
    return inputs;
}

void run(void *context) {
    auto *model = static_cast<Model *>(context);
    // Not through torch::jit::Method, which checks the inputs against the schema each time.
    torch::jit::Stack stack(model->arguments);
    model->forward.run(stack);
}

}  // namespace

int main(int count, char **words) {
    if (count != 6) fail("LIBRARY MODEL ROWS ROUNDS SECONDS");
    try {
        at::set_num_threads(1);
        at::set_num_interop_threads(1);
        c10::InferenceMode inference;
        auto module = torch::jit::load(words[2]);
        module.eval();
        module = torch::jit::optimize_for_inference(module);
        Model model{module, module.get_method("forward").function(), make_arguments(module, words[3])};
        measure(run, &model, std::atoi(words[4]), std::atof(words[5]));
    } catch (const std::exception &error) {
        fail(error.what());
    }
    return 0;
}
