// Nothing to compile: the interface is implemented by the library that ../library builds. SwiftPM wants a source file.
#include "redisai_torch.h"
