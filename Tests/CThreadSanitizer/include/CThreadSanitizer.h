/// Nothing to call: the target tells Thread Sanitizer about locks that it cannot see (see mutex.c).
#ifndef CTHREADSANITIZER_H
#define CTHREADSANITIZER_H
#endif
