/*
 * The smallest addon that does what Electron forbids, for test/electron-shim.test.ts: it asks Node-API for buffers over memory of its own and
 * exports the two status codes that it got. Declares what it calls itself, so that it compiles without the headers of Node.
 */
#include <stddef.h>
#include <stdint.h>

typedef void *napi_env;
typedef void *napi_value;
typedef void (*napi_finalize)(napi_env env, void *data, void *hint);

extern int napi_create_external_arraybuffer(napi_env env, void *data, size_t length, napi_finalize finalize, void *hint, napi_value *result);
extern int napi_create_external_buffer(napi_env env, size_t length, void *data, napi_finalize finalize, void *hint, napi_value *result);
extern int napi_create_int32(napi_env env, int32_t value, napi_value *result);
extern int napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value);

static char first[64], second[64];

static void keep(napi_env env, void *data, void *hint) { (void)env, (void)data, (void)hint; }

static void set(napi_env env, napi_value exports, const char *name, int status) {
  napi_value value;
  if (napi_create_int32(env, status, &value) == 0) napi_set_named_property(env, exports, name, value);
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value buffer;
  set(env, exports, "arrayBuffer", napi_create_external_arraybuffer(env, first, sizeof first, keep, NULL, &buffer));
  set(env, exports, "buffer", napi_create_external_buffer(env, sizeof second, second, keep, NULL, &buffer));
  return exports;
}
