// What LiteRT itself takes for a run: a compiled model in one thread, inputs and outputs in place, nothing around it.
//
//     raw_run_tflite LIBRARY MODEL ROWS ROUNDS SECONDS
//
// Prints the CPU time of one run in nanoseconds, once per round. All inputs and outputs of the first signature are FLOAT; a
// free dimension has ROWS elements.

#include <string.h>

#include "CLiteRT.h"
#include "raw_run.h"

typedef struct LiteRtSignatureT LiteRtSignatureT;
typedef struct LiteRtTensorT LiteRtTensorT;

static CLiteRtFunctions rt;
// What the module has no use for.
static LiteRtStatus (*get_signature)(LiteRtModelT *model, size_t index, LiteRtSignatureT **out);
static LiteRtStatus (*input_count)(LiteRtSignatureT *signature, size_t *out);
static LiteRtStatus (*output_count)(LiteRtSignatureT *signature, size_t *out);
static LiteRtStatus (*input_tensor)(LiteRtSignatureT *signature, size_t index, LiteRtTensorT **out);
static LiteRtStatus (*tensor_type)(LiteRtTensorT *tensor, LiteRtRankedTensorType *out);

static const int FLOAT32 = 1;  // LiteRtElementType

typedef struct {
    LiteRtTensorBufferT *buffers[MOST_VALUES];
    size_t count;
} Values;

typedef struct {
    LiteRtCompiledModelT *compiled;
    Values inputs, outputs;
} Model;

static void check(LiteRtStatus status, const char *what) {
    if (status != LITERT_OK) fail(what);
}

static void open_engine(const char *path) {
    void *library = open_library(path);
    for (size_t i = 0; i < clitert_function_count(); i++)
        clitert_set_function(&rt, i, library_function(library, clitert_function_name(i)));
    *(void **)&get_signature = library_function(library, "LiteRtGetModelSignature");
    *(void **)&input_count = library_function(library, "LiteRtGetNumSignatureInputs");
    *(void **)&output_count = library_function(library, "LiteRtGetNumSignatureOutputs");
    *(void **)&input_tensor = library_function(library, "LiteRtGetSignatureInputTensorByIndex");
    *(void **)&tensor_type = library_function(library, "LiteRtGetRankedTensorType");
}

static LiteRtEnvironmentT *make_environment(void) {
    LiteRtEnvOption options[2] = {{0}, {0}};
    options[0].tag = LITERT_OPTION_ACCELERATORS;
    options[0].value.type = LITERT_ANY_INTEGER;
    options[0].value.content.integer = LITERT_ACCELERATOR_CPU;
    options[1].tag = LITERT_OPTION_LOG_SEVERITY;
    options[1].value.type = LITERT_ANY_INTEGER;
    options[1].value.content.integer = LITERT_LOG_SILENT;
    LiteRtEnvironmentT *environment;
    check(rt.CreateEnvironment(2, options, &environment), "no environment");
    return environment;
}

static LiteRtCompiledModelT *compile(LiteRtEnvironmentT *environment, LiteRtModelT *model) {
    LiteRtOptionsT *options;
    LiteRtOpaqueOptionsT *threads;
    LiteRtCompiledModelT *compiled;
    check(rt.CreateOptions(&options), "no options");
    check(rt.SetOptionsHardwareAccelerators(options, LITERT_ACCELERATOR_CPU), "no CPU");
    check(rt.CreateOpaqueOptions("xnnpack", strdup("num_threads = 1\n"), free, &threads), "no options");
    check(rt.AddOpaqueOptions(options, threads), "no options");
    check(rt.CreateCompiledModel(environment, model, options, &compiled), "the model cannot be compiled");
    return compiled;
}

static size_t byte_count(const LiteRtLayout *layout) {
    size_t size = sizeof(float);
    for (unsigned d = 0; d < layout->rank; d++) size *= (size_t)layout->dimensions[d];
    return size;
}

static LiteRtTensorBufferT *make_buffer(const LiteRtRankedTensorType *type) {
    if (type->element_type != FLOAT32) fail("an input or output is not FLOAT");
    size_t size = byte_count(&type->layout);
    void *data = aligned_alloc(64, (size + 63) / 64 * 64);
    memset(data, 0, size);
    LiteRtTensorBufferT *buffer;
    check(rt.CreateTensorBufferFromHostMemory(type, data, size, NULL, &buffer), "no buffer");
    return buffer;
}

static void make_inputs(LiteRtSignatureT *signature, int rows, Model *model) {
    check(input_count(signature, &model->inputs.count), "no inputs");
    if (model->inputs.count > MOST_VALUES) fail("too many inputs");
    for (size_t i = 0; i < model->inputs.count; i++) {
        LiteRtTensorT *tensor;
        LiteRtRankedTensorType type;
        check(input_tensor(signature, i, &tensor), "an input cannot be found");
        check(tensor_type(tensor, &type), "an input has no type");
        for (unsigned d = 0; d < type.layout.rank; d++)
            if (type.layout.dimensions[d] < 0) type.layout.dimensions[d] = rows;
        check(rt.CompiledModelResizeInputTensorNonStrict(model->compiled, 0, i, type.layout.dimensions,
                                                         type.layout.rank),
              "an input cannot be resized");
        model->inputs.buffers[i] = make_buffer(&type);
    }
}

static void make_outputs(LiteRtSignatureT *signature, Model *model) {
    LiteRtLayout layouts[MOST_VALUES];
    check(output_count(signature, &model->outputs.count), "no outputs");
    if (model->outputs.count > MOST_VALUES) fail("too many outputs");
    check(rt.GetCompiledModelOutputTensorLayouts(model->compiled, 0, model->outputs.count, layouts, true),
          "the outputs have no layouts");
    for (size_t i = 0; i < model->outputs.count; i++) {
        LiteRtRankedTensorType type = {.element_type = FLOAT32, .layout = layouts[i]};
        model->outputs.buffers[i] = make_buffer(&type);
    }
}

static void run(void *context) {
    Model *model = context;
    check(rt.RunCompiledModel(model->compiled, 0, model->inputs.count, model->inputs.buffers, model->outputs.count,
                              model->outputs.buffers),
          "the run fails");
}

int main(int count, char **words) {
    if (count != 6) fail("LIBRARY MODEL ROWS ROUNDS SECONDS");
    open_engine(words[1]);
    LiteRtEnvironmentT *environment = make_environment();
    LiteRtModelT *file;
    LiteRtSignatureT *signature;
    size_t size;
    void *bytes = read_file(words[2], &size);
    check(rt.CreateModelFromBuffer(environment, bytes, size, &file), "the model cannot be read");
    check(get_signature(file, 0, &signature), "the model has no signature");
    Model model = {.compiled = compile(environment, file)};
    make_inputs(signature, atoi(words[3]), &model);
    make_outputs(signature, &model);
    measure(run, &model, atoi(words[4]), atof(words[5]));
    return 0;
}
