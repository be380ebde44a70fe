// What the loaded library knows of itself.
#ifndef CMODULEBINARY_H
#define CMODULEBINARY_H

// The path of the library's own file, as the server opened it; NULL when the system cannot tell.
const char *module_binary_path(void);

// The commit it was built from, or "unknown".
const char *module_binary_git_sha(void);

#endif
