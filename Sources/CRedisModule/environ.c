// Valkey calls clearenv() when it starts, which leaves `environ` NULL, and the Swift runtime reads it unchecked in a
// static initialiser: without this the server dies inside dlopen(). Priority 101 is the first open to applications,
// so the constructor runs before those of the Swift runtime in the same library.
#include <stddef.h>
#include <unistd.h>

extern char **environ;

static char *empty_environment[] = {NULL};

__attribute__((constructor(101))) static void give_the_process_an_environment(void) {
    if (environ == NULL) environ = empty_environment;
}
