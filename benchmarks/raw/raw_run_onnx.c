// What ONNX Runtime itself takes for a run: a model in one thread, inputs and outputs in place, nothing around it.
//
//     raw_run_onnx LIBRARY MODEL ROWS ROUNDS SECONDS [THREADS]
//
// Prints the CPU time of one run in nanoseconds, once per round. With THREADS a run is spread over so many of the
// engine's threads, and its duration is printed. All inputs and outputs are FLOAT; a free dimension has ROWS elements.

#include "CONNXRuntime.h"
#include "raw_run.h"

static const OrtApi *api;

typedef struct {
    char *names[MOST_VALUES];
    OrtValue *values[MOST_VALUES];
    size_t count;
} Values;

static void check(OrtStatus *status) {
    if (status) fail(Ort_GetErrorMessage(api, status));
}

static OrtSession *open_model(const char *path, int threads) {
    size_t size;
    void *bytes = read_file(path, &size);

    OrtThreadingOptions *threading;
    OrtEnv *environment;
    OrtSessionOptions *options;
    OrtSession *session;
    check(Ort_CreateThreadingOptions(api, &threading));
    check(Ort_SetGlobalIntraOpNumThreads(api, threading, threads));
    check(Ort_SetGlobalInterOpNumThreads(api, threading, 1));
    check(Ort_CreateEnvWithGlobalThreadPools(api, ORT_LOG_FATAL, "raw_run", threading, &environment));
    check(Ort_CreateSessionOptions(api, &options));
    check(Ort_DisablePerSessionThreads(api, options));
    check(Ort_SetSessionExecutionMode(api, options, ORT_EXECUTE_SEQUENTIALLY));
    check(Ort_SetSessionGraphOptimizationLevel(api, options, ORT_OPTIMIZE_ALL));
    check(Ort_CreateSessionFromArray(api, environment, bytes, size, options, &session));
    free(bytes);
    return session;
}

static OrtValue *make_tensor(const OrtMemoryInfo *memory, int64_t *dims, size_t rank) {
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) count *= (size_t)dims[i];
    float *data = calloc(count, sizeof(float));
    for (size_t i = 0; i < count; i++) data[i] = (float)((i * 37) % 101) / 50.0f - 1.0f;
    OrtValue *value = NULL;
    check(Ort_CreateTensorWithDataAsOrtValue(api, memory, data, count * sizeof(float), dims, rank, ORT_FLOAT, &value));
    return value;
}

static void make_inputs(OrtSession *session, const OrtMemoryInfo *memory, OrtAllocator *allocator, int64_t rows,
                        Values *inputs) {
    check(Ort_SessionGetInputCount(api, session, &inputs->count));
    if (inputs->count > MOST_VALUES) fail("too many inputs");
    for (size_t i = 0; i < inputs->count; i++) {
        OrtTypeInfo *type;
        const OrtTensorTypeAndShapeInfo *shape;
        int64_t dims[MOST_DIMS];
        size_t rank;
        check(Ort_SessionGetInputName(api, session, i, allocator, &inputs->names[i]));
        check(Ort_SessionGetInputTypeInfo(api, session, i, &type));
        check(Ort_CastTypeInfoToTensorInfo(api, type, &shape));
        check(Ort_GetDimensionsCount(api, shape, &rank));
        if (rank > MOST_DIMS) fail("too many dimensions");
        check(Ort_GetDimensions(api, shape, dims, rank));
        for (size_t d = 0; d < rank; d++)
            if (dims[d] < 0) dims[d] = rows;
        inputs->values[i] = make_tensor(memory, dims, rank);
        Ort_ReleaseTypeInfo(api, type);
    }
}

typedef struct {
    OrtSession *session;
    OrtRunOptions *options;
    Values inputs, outputs;
} Model;

static void run(void *context) {
    Model *model = context;
    check(Ort_Run(api, model->session, model->options, (const char *const *)model->inputs.names,
                  (const OrtValue *const *)model->inputs.values, model->inputs.count,
                  (const char *const *)model->outputs.names, model->outputs.count, model->outputs.values));
}

static int64_t wall_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// Prints how long one run takes, once per round.
static void measure_duration(Model *model, int rounds, double seconds) {
    for (int round = 0; round < rounds; round++) {
        int64_t start = wall_nanoseconds(), end = start, runs = 0;
        while (end < start + (int64_t)(seconds * 1e9)) {
            run(model);
            runs++;
            end = wall_nanoseconds();
        }
        printf("%.1f\n", (double)(end - start) / (double)runs);
    }
}

static void *allocate(OrtAllocator *self, size_t size) {
    (void)self;
    return malloc(size);
}

static void release(OrtAllocator *self, void *block) {
    (void)self;
    free(block);
}

static const OrtMemoryInfo *memory_of_allocator;

static const OrtMemoryInfo *describe(const OrtAllocator *self) {
    (void)self;
    return memory_of_allocator;
}

int main(int count, char **words) {
    if (count != 6 && count != 7) fail("LIBRARY MODEL ROWS ROUNDS SECONDS [THREADS]");
    int threads = count == 7 ? atoi(words[6]) : 1;
    OrtGetApiBaseFunction base = (OrtGetApiBaseFunction)library_function(open_library(words[1]), "OrtGetApiBase");
    api = base()->GetApi(ORT_REQUIRED_API_VERSION);
    if (!api) fail("the library is too old");

    OrtMemoryInfo *memory;
    check(Ort_CreateMemoryInfo(api, "Cpu", ORT_DEVICE_ALLOCATOR, 0, ORT_DEFAULT_MEMORY, &memory));
    memory_of_allocator = memory;
    OrtAllocator allocator = {ORT_REQUIRED_API_VERSION, allocate, release, describe};
    Model model = {.session = open_model(words[2], threads)};
    make_inputs(model.session, memory, &allocator, atoll(words[3]), &model.inputs);
    check(Ort_SessionGetOutputCount(api, model.session, &model.outputs.count));
    if (model.outputs.count > MOST_VALUES) fail("too many outputs");
    for (size_t i = 0; i < model.outputs.count; i++)
        check(Ort_SessionGetOutputName(api, model.session, i, &allocator, &model.outputs.names[i]));
    check(Ort_CreateRunOptions(api, &model.options));

    // The first run makes the outputs; all others write into them.
    run(&model);
    if (count == 7)
        measure_duration(&model, atoi(words[4]), atof(words[5]));
    else
        measure(run, &model, atoi(words[4]), atof(words[5]));
    return 0;
}
