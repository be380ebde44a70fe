// What ONNX Runtime itself takes for a run: a model in one thread, inputs and outputs in place, nothing around it.
//
//     raw_run LIBRARY MODEL ROWS ROUNDS SECONDS
//
// Prints the CPU time of one run in nanoseconds, once per round. All inputs and outputs are FLOAT; a free dimension has
// ROWS elements. gcc -O2 -I Sources/Backends/ONNXRuntime/CONNXRuntime/include -o raw_run raw_run.c -ldl

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "CONNXRuntime.h"

enum { MOST_VALUES = 8, MOST_DIMS = 8, RUNS_PER_LOOK = 16 };

static const OrtApi *api;

typedef struct {
    char *names[MOST_VALUES];
    OrtValue *values[MOST_VALUES];
    size_t count;
} Values;

static void fail(const char *what) {
    fprintf(stderr, "raw_run: %s\n", what);
    exit(1);
}

static void check(OrtStatus *status) {
    if (status) fail(Ort_GetErrorMessage(api, status));
}

static void *library_function(const char *path, const char *name) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) fail(dlerror());
    void *function = dlsym(library, name);
    if (!function) fail(dlerror());
    return function;
}

static OrtSession *open_model(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail("the model cannot be read");
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(size);
    if (fread(bytes, 1, size, file) != size) fail("the model cannot be read");
    fclose(file);

    OrtThreadingOptions *threading;
    OrtEnv *environment;
    OrtSessionOptions *options;
    OrtSession *session;
    check(Ort_CreateThreadingOptions(api, &threading));
    check(Ort_SetGlobalIntraOpNumThreads(api, threading, 1));
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

static void run(OrtSession *session, const OrtRunOptions *options, Values *inputs, Values *outputs) {
    check(Ort_Run(api, session, options, (const char *const *)inputs->names, (const OrtValue *const *)inputs->values,
                  inputs->count, (const char *const *)outputs->names, outputs->count, outputs->values));
}

static int64_t cpu_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
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
    if (count != 6) fail("LIBRARY MODEL ROWS ROUNDS SECONDS");
    OrtGetApiBaseFunction base = (OrtGetApiBaseFunction)library_function(words[1], "OrtGetApiBase");
    api = base()->GetApi(ORT_REQUIRED_API_VERSION);
    if (!api) fail("the library is too old");

    OrtMemoryInfo *memory;
    check(Ort_CreateMemoryInfo(api, "Cpu", ORT_DEVICE_ALLOCATOR, 0, ORT_DEFAULT_MEMORY, &memory));
    memory_of_allocator = memory;
    OrtAllocator allocator = {ORT_REQUIRED_API_VERSION, allocate, release, describe};
    OrtSession *session = open_model(words[2]);
    Values inputs = {.count = 0}, outputs = {.count = 0};
    make_inputs(session, memory, &allocator, atoll(words[3]), &inputs);
    check(Ort_SessionGetOutputCount(api, session, &outputs.count));
    if (outputs.count > MOST_VALUES) fail("too many outputs");
    for (size_t i = 0; i < outputs.count; i++)
        check(Ort_SessionGetOutputName(api, session, i, &allocator, &outputs.names[i]));

    OrtRunOptions *options;
    check(Ort_CreateRunOptions(api, &options));
    // The first run makes the outputs; all others write into them.
    run(session, options, &inputs, &outputs);
    for (int round = 0; round < atoi(words[4]); round++) {
        int64_t start = cpu_nanoseconds(), end = start, limit = start + (int64_t)(atof(words[5]) * 1e9);
        int64_t runs = 0;
        while (end < limit) {
            for (int i = 0; i < RUNS_PER_LOOK; i++) run(session, options, &inputs, &outputs);
            runs += RUNS_PER_LOOK;
            end = cpu_nanoseconds();
        }
        printf("%.1f\n", (double)(end - start) / (double)runs);
    }
    return 0;
}
