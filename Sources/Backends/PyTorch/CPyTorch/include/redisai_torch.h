// The C interface between the module and libtorch.
//
// libtorch speaks C++ only, and Swift cannot catch C++ exceptions: one library of our own (../../library) holds all C++ and
// is opened at run time. It exports one function, which returns a table.
//
// Functions that can fail return NULL or an error text, to be given back with free_text. Text arguments are UTF-8 with a
// terminating NUL, except where a length stands beside them. Nothing here may be called while the process forks.
#ifndef REDISAI_TORCH_H
#define REDISAI_TORCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Raised with every change of the table or of a struct.
#define REDISAI_TORCH_INTERFACE_VERSION 3

typedef enum RTDataType {
    RT_FLOAT,
    RT_DOUBLE,
    RT_INT8,
    RT_INT16,
    RT_INT32,
    RT_INT64,
    RT_UINT8,
    RT_UINT16,
    RT_BOOL,
} RTDataType;

typedef enum RTDeviceKind { RT_CPU, RT_GPU } RTDeviceKind;

typedef struct RTDevice {
    RTDeviceKind kind;
    int32_t index;  // -1: the default one
} RTDevice;

typedef struct RTBytes {
    const char *start;
    size_t count;
} RTBytes;

// A tensor in memory: row-major, contiguous.
typedef struct RTTensor {
    RTDataType data_type;
    size_t rank;
    const int64_t *shape;
    const void *data;
    size_t byte_count;
    // Who keeps `data` alive; given to RTSettings.release_owner once when the last use has ended. Inputs only.
    void *owner;
} RTTensor;

typedef struct RTModule RTModule;    // a TorchScript module
typedef struct RTScript RTScript;    // the functions of a script
typedef struct RTRun RTRun;          // one run, which can be interrupted
typedef struct RTTensors RTTensors;  // tensors that a run returned
typedef struct RTReply RTReply;      // an answer of the host under construction

// What scripts can ask of the server. Each function returns 0, or another number after having set an error text.
typedef struct RTHost {
    void *context;
    // Runs the command made of `words`.
    int (*execute)(void *context, const RTBytes *words, size_t count, RTReply *reply);
    // Runs the model stored at `key`; its outputs become tensors of the reply.
    int (*run_model)(void *context, RTBytes key, const RTTensor *inputs, size_t count, size_t output_count,
                     RTReply *reply);
} RTHost;

typedef struct RTSettings {
    // Threads within one operator, per thread that runs something; 0: libtorch's choice.
    int32_t intra_op_threads;
    // Threads for tasks that a program forks.
    int32_t inter_op_threads;
    // Bytes that tensors may take on the CPU; 0: no limit.
    size_t memory_limit;
    // Bytes that the process may have in memory before what programs allocate besides tensors is refused; 0: no limit.
    size_t process_limit;
    void *(*allocate)(size_t bytes);
    void (*deallocate)(void *block);
    void (*release_owner)(void *owner);
} RTSettings;

// How the parameters of a script's function are filled.
typedef struct RTCall {
    const char *function;
    // As (tensors: List[Tensor], keys: List[str], args: List[str]); else from the tensors alone, by the signature.
    int is_entry_point;
    const RTTensor *inputs;
    size_t input_count;
    const RTBytes *keys;
    size_t key_count;
    const RTBytes *arguments;
    size_t argument_count;
    // What the function returns is looked at only when outputs are wanted.
    size_t output_count;
} RTCall;

typedef enum RTSignature {
    RT_SIGNATURE_MISSING,
    RT_SIGNATURE_ENTRY_POINT,
    RT_SIGNATURE_WRONG_COUNT,
    RT_SIGNATURE_WRONG_TYPES,
} RTSignature;

typedef struct RedisAITorch {
    // Of libtorch, such as 2.15.0.
    const char *(*version)(void);
    // Once, before anything else.
    char *(*start)(const RTSettings *settings);
    void (*free_text)(char *text);
    // From now on the calling thread works without helpers.
    void (*use_one_thread)(void);
    // Bytes that tensors take on the CPU.
    size_t (*memory_in_use)(void);

    // Modules. `bytes` are not needed after the call.
    char *(*load_module)(const void *bytes, size_t count, RTDevice device, int allows_unsafe_operations,
                         RTModule **module);
    void (*free_module)(RTModule *module);
    size_t (*module_input_count)(const RTModule *module);
    const char *(*module_input_name)(const RTModule *module, size_t index);
    size_t (*module_output_count)(const RTModule *module);
    // Whether the shapes of the inputs determine what a run costs, whatever their values are; 0 when in doubt.
    int (*module_cost_follows_from_shapes)(const RTModule *module);
    // Bytes of parameters and buffers.
    size_t (*module_bytes)(const RTModule *module);
    // As many inputs as the module has, or fewer: what follows must then have defaults.
    char *(*run_module)(RTModule *module, RTRun *run, const RTTensor *inputs, size_t count, RTTensors **outputs);

    // Scripts.
    char *(*compile_script)(const char *source, RTDevice device, int allows_unsafe_operations, RTScript **script);
    void (*free_script)(RTScript *script);
    // Whether a function can be an entry point; `count` becomes the number of its parameters.
    RTSignature (*script_signature)(const RTScript *script, const char *function, size_t *count);
    char *(*run_script)(RTScript *script, RTRun *run, const RTCall *call, const RTHost *host, RTTensors **outputs);

    // Runs. Interrupting is allowed in any thread, and lasts until the run is reset.
    RTRun *(*make_run)(void);
    void (*interrupt_run)(RTRun *run);
    void (*reset_run)(RTRun *run);
    void (*free_run)(RTRun *run);

    // Results.
    size_t (*tensor_count)(const RTTensors *tensors);
    // `tensor` is valid as long as `tensors`. Fails for element types that have no RTDataType.
    char *(*tensor_at)(const RTTensors *tensors, size_t index, RTTensor *tensor);
    void (*free_tensors)(RTTensors *tensors);

    // Answers, in order; the elements of an array follow its head.
    void (*reply_text)(RTReply *reply, RTBytes text);
    void (*reply_integer)(RTReply *reply, int64_t value);
    void (*reply_double)(RTReply *reply, double value);
    void (*reply_null)(RTReply *reply);
    void (*reply_array)(RTReply *reply, size_t count);
    // Copies the tensor.
    void (*reply_tensor)(RTReply *reply, const RTTensor *tensor);
    void (*reply_error)(RTReply *reply, RTBytes text);
} RedisAITorch;

// The library's only export: the table, or NULL when the library was built for another version of it.
typedef const RedisAITorch *(*RedisAITorchInterfaceFunction)(int version);
#define REDISAI_TORCH_INTERFACE_SYMBOL "redisai_torch_interface"

#ifdef __cplusplus
}
#endif

#endif
