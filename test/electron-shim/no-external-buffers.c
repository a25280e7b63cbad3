/*
 * Imitates the V8 memory cage of Electron on plain Node (Linux, glibc), for test/electron-shim.test.ts: memory that V8 did not allocate cannot become an ArrayBuffer.
 * A library for LD_AUDIT: the dynamic linker asks it about each function that an addon binds, and the ones below come back replaced.
 * It changes what addons call, not what Node calls inside itself, and it knows nothing else of Electron.
 * ZGQ_SHIM_LOG names a file that gets a line for each addon that was loaded under it: the proof that it was at work.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What Node-API says in Electron: napi_no_external_buffers_allowed (js_native_api_types.h). */
static int refuse(void) { return 22; }

/* What V8 does in Electron where an addon goes past Node-API: there is no status to return, so it ends the process. */
static void end_process(void) {
  static const char message[] = "no-external-buffers: an addon made a buffer over memory outside of V8's cage\n";
  if (write(2, message, sizeof message - 1) < 0) _exit(1);
  abort();
}

static const struct { const char *name; void (*replacement)(void); } REPLACED[] = {
  { "napi_create_external_arraybuffer", (void (*)(void))refuse },
  { "napi_create_external_buffer", (void (*)(void))refuse },
  { "node_api_create_external_sharedarraybuffer", (void (*)(void))refuse },
  /* node::Buffer::New(v8::Isolate*, char*, size_t, FreeCallback, void*) */
  { "_ZN4node6Buffer3NewEPN2v87IsolateEPcmPFvS4_PvES5_", end_process },
  /* v8::ArrayBuffer::NewBackingStore(void*, size_t, DeleterCallback, void*), and that of SharedArrayBuffer */
  { "_ZN2v811ArrayBuffer15NewBackingStoreEPvmPFvS1_mS1_ES1_", end_process },
  { "_ZN2v817SharedArrayBuffer15NewBackingStoreEPvmPFvS1_mS1_ES1_", end_process },
};

unsigned int la_version(unsigned int version) { return version < LAV_CURRENT ? version : LAV_CURRENT; }

static void log_addon(const char *path) {
  const char *log = getenv("ZGQ_SHIM_LOG");
  size_t length = strlen(path);
  char line[4096];
  if (log == NULL || length < 5 || length + 1 > sizeof line || strcmp(path + length - 5, ".node") != 0) return;
  memcpy(line, path, length);
  line[length] = '\n';
  int descriptor = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor == -1 || write(descriptor, line, length + 1) < 0) abort();
  close(descriptor);
}

unsigned int la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie) {
  (void)namespace, (void)cookie;
  log_addon(map->l_name);
  return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}

uintptr_t la_symbind64(Elf64_Sym *symbol, unsigned int index, uintptr_t *from, uintptr_t *to, unsigned int *flags, const char *name) {
  (void)index, (void)from, (void)to, (void)flags;
  for (size_t i = 0; i < sizeof REPLACED / sizeof *REPLACED; i++) {
    if (strcmp(name, REPLACED[i].name) == 0) return (uintptr_t)REPLACED[i].replacement;
  }
  return symbol->st_value;
}
