#include "CRedisModule.h"

#define DEFINE(result, name, parameters, arguments) result(*credismodule_##name) parameters;
CREDISMODULE_REQUIRED(DEFINE)
CREDISMODULE_OPTIONAL(DEFINE)
#undef DEFINE

void (*credismodule_Log)(RedisModuleCtx *ctx, const char *level, const char *format, ...);
void (*credismodule_LogIOError)(RedisModuleIO *io, const char *level, const char *format, ...);
int (*credismodule_Replicate)(RedisModuleCtx *ctx, const char *command, const char *format, ...);
void (*credismodule_EmitAOF)(RedisModuleIO *io, const char *command, const char *format, ...);
RedisModuleCallReply *(*credismodule_Call)(RedisModuleCtx *ctx, const char *command, const char *format, ...);

typedef int (*GetApi)(const char *name, void *target);

const char *CRedisModule_Resolve(RedisModuleCtx *ctx) {
    // The first word of a context is the server's look-up function: the one fixed point of the module ABI.
    GetApi get_api = *(GetApi *)ctx;
#define RESOLVE(name) (get_api("RedisModule_" #name, (void *)&credismodule_##name) == RM_OK)
#define REQUIRED(result, name, parameters, arguments)                                                                 \
    if (!RESOLVE(name)) return #name;
#define OPTIONAL(result, name, parameters, arguments)                                                                 \
    if (!RESOLVE(name)) credismodule_##name = NULL;
    CREDISMODULE_REQUIRED(REQUIRED)
    CREDISMODULE_OPTIONAL(OPTIONAL)
    if (!RESOLVE(Log)) return "Log";
    if (!RESOLVE(LogIOError)) return "LogIOError";
    if (!RESOLVE(Replicate)) return "Replicate";
    if (!RESOLVE(EmitAOF)) return "EmitAOF";
    if (!RESOLVE(Call)) return "Call";
    return NULL;
}

const RedisModuleCommandInfoVersion *CRedisModule_CommandInfoVersion(void) {
    static const RedisModuleCommandInfoVersion version = {
        .version = 1,
        .sizeof_historyentry = sizeof(RedisModuleCommandHistoryEntry),
        .sizeof_keyspec = sizeof(RedisModuleCommandKeySpec),
        .sizeof_arg = sizeof(RedisModuleCommandArg),
    };
    return &version;
}
