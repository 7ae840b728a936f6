// What the C library keeps of memory that was given back to it.
#include "addon.h"
#include <malloc.h>

// trimMemory(): of all threads' pools. 1: some of it went back to the kernel. Another C library keeps little.
napi_value TrimMemory(napi_env env, napi_callback_info info) {
  (void)info;
#ifdef __GLIBC__
  return return_int(env, malloc_trim(0));
#else
  return return_int(env, 0);
#endif
}
