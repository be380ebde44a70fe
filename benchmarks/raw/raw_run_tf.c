// What TensorFlow itself takes for a run of a frozen graph: in the calling thread, inputs in place, nothing around it.
//
//     raw_run_tf LIBRARY MODEL ROWS ROUNDS SECONDS
//
// Prints the CPU time of one run in nanoseconds, once per round. Inputs are all Placeholders, outputs all operations that
// nothing consumes; all are FLOAT; a free dimension has ROWS elements. The C interface has no call that prepares a run, and
// makes the outputs anew in each.

#include <string.h>

#include "CTensorFlow.h"
#include "raw_run.h"

static CTensorFlow tf;
static TF_Status *status;
static TF_Operation *(*next_operation)(TF_Graph *graph, size_t *position);
static int (*output_consumer_count)(TF_Output output);

typedef struct {
    TF_Output places[MOST_VALUES];
    TF_Tensor *tensors[MOST_VALUES];
    int count;
} Values;

typedef struct {
    TF_Session *session;
    Values inputs, outputs;
} Model;

static void check(void) {
    if (Tf_GetCode(&tf, status) != 0) fail(Tf_Message(&tf, status));
}

static void open_engine(const char *path) {
    void *library = open_library(path);
    void **slots = (void **)&tf;
    for (long i = 0; i < ctensorflow_function_count(); i++)
        slots[i] = library_function(library, ctensorflow_function_names()[i]);
    next_operation = (TF_Operation * (*)(TF_Graph *, size_t *)) library_function(library, "TF_GraphNextOperation");
    output_consumer_count = (int (*)(TF_Output))library_function(library, "TF_OperationOutputNumConsumers");
    status = Tf_NewStatus(&tf);
}

static TF_Graph *read_graph(const char *path) {
    TF_Buffer buffer = {0};
    buffer.data = read_file(path, &buffer.length);
    TF_Graph *graph = Tf_NewGraph(&tf);
    Tf_GraphImportGraphDef(&tf, graph, &buffer, Tf_NewImportGraphDefOptions(&tf), status);
    check();
    return graph;
}

static void keep(void *data, size_t length, void *argument) {
    (void)data;
    (void)length;
    (void)argument;
}

static TF_Tensor *make_tensor(TF_Graph *graph, TF_Output place, int64_t rows) {
    int64_t dims[MOST_DIMS];
    int rank = Tf_GraphGetTensorNumDims(&tf, graph, place, status);
    check();
    if (rank < 0 || rank > MOST_DIMS) fail("an input without a rank, or of too many dimensions");
    Tf_GraphGetTensorShape(&tf, graph, place, dims, rank, status);
    check();
    size_t size = sizeof(float);
    for (int d = 0; d < rank; d++) {
        if (dims[d] < 0) dims[d] = rows;
        size *= (size_t)dims[d];
    }
    void *data = aligned_alloc(64, (size + 63) / 64 * 64);
    memset(data, 0, size);
    return Tf_NewTensor(&tf, TF_FLOAT, dims, rank, data, size, keep, NULL);
}

static void add(Values *values, TF_Output place, TF_Tensor *tensor) {
    if (values->count == MOST_VALUES) fail("too many inputs or outputs");
    values->places[values->count] = place;
    values->tensors[values->count++] = tensor;
}

static void find_endpoints(TF_Graph *graph, int64_t rows, Model *model) {
    size_t position = 0;
    for (TF_Operation *operation; (operation = next_operation(graph, &position));) {
        if (Tf_OperationNumOutputs(&tf, operation) == 0) continue;
        TF_Output place = {operation, 0};
        if (strcmp(Tf_OperationOpType(&tf, operation), "Placeholder") == 0)
            add(&model->inputs, place, make_tensor(graph, place, rows));
        else if (output_consumer_count(place) == 0)
            add(&model->outputs, place, NULL);
    }
}

static TF_Session *open_session(TF_Graph *graph) {
    // A ConfigProto: no GPU, intra_op_parallelism_threads 1, inter_op_parallelism_threads -1 (the caller's thread), and the
    // executor for graphs without control flow.
    static const uint8_t config[] = "\x0A\x07\x0A\x03GPU\x10\x00"
                                    "\x10\x01"
                                    "\x28\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"
                                    "\x82\x01\x1A\x1A\x18SINGLE_THREADED_EXECUTOR";
    TF_SessionOptions *options = Tf_NewSessionOptions(&tf);
    Tf_SetConfig(&tf, options, config, sizeof config - 1, status);
    check();
    TF_Session *session = Tf_NewSession(&tf, graph, options, status);
    check();
    return session;
}

static void run(void *context) {
    Model *model = context;
    Tf_SessionRun(&tf, model->session, NULL, model->inputs.places, model->inputs.tensors, model->inputs.count,
                  model->outputs.places, model->outputs.tensors, model->outputs.count, NULL, 0, NULL, status);
    check();
    for (int i = 0; i < model->outputs.count; i++) Tf_DeleteTensor(&tf, model->outputs.tensors[i]);
}

int main(int count, char **words) {
    if (count != 6) fail("LIBRARY MODEL ROWS ROUNDS SECONDS");
    setenv("TF_CPP_MIN_LOG_LEVEL", "3", 0);
    open_engine(words[1]);
    TF_Graph *graph = read_graph(words[2]);
    Model model = {0};
    find_endpoints(graph, atoll(words[3]), &model);
    model.session = open_session(graph);
    measure(run, &model, atoi(words[4]), atof(words[5]));
    return 0;
}
