#pragma once
#define NAPI_VERSION 8
#include <node_api.h>
