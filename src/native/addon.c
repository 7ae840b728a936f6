// Registration of the addon's functions. binding.ts holds the typed description of each.
#include "addon.h"

NAPI_MODULE_INIT() {
  (void)env;
  return exports;
}
