// Kills its process with SIGKILL before the Nth call that changes files below a folder: renames, removals, syncs, cuts
// and positioned writes, of Node and of SQLite alike. Loaded by LD_PRELOAD.
// ZGQ_KILL_FOLDER: the folder; ZGQ_KILL_AT: N, from 1 on (0: never); ZGQ_KILL_LOG: a file to which every call is noted.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int calls;

static void note(const char *call, const char *path) {
  const char *folder = getenv("ZGQ_KILL_FOLDER");
  if (folder == NULL || path == NULL || strncmp(path, folder, strlen(folder)) != 0) return;
  const int number = atomic_fetch_add(&calls, 1) + 1;
  const char *log = getenv("ZGQ_KILL_LOG");
  if (log != NULL) {
    char line[PATH_MAX + 64];
    const int length = snprintf(line, sizeof line, "%s %s\n", call, path + strlen(folder));
    const int descriptor = open(log, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (descriptor >= 0) {
      if (write(descriptor, line, (size_t)length) != length) abort();
      close(descriptor);
    }
  }
  const char *at = getenv("ZGQ_KILL_AT");
  if (at != NULL && number == atoi(at)) kill(getpid(), SIGKILL);
}

static void note_descriptor(const char *call, int descriptor) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return;
  path[length] = 0;
  note(call, path);
}

#define NEXT(name, ...)                                          \
  static int (*next)(__VA_ARGS__) = NULL;                        \
  if (next == NULL) next = (int (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

int rename(const char *from, const char *to) {
  NEXT("rename", const char *, const char *);
  note("rename", from);
  return next(from, to);
}

int unlink(const char *path) {
  NEXT("unlink", const char *);
  note("unlink", path);
  return next(path);
}

int unlinkat(int folder, const char *path, int flags) {
  NEXT("unlinkat", int, const char *, int);
  if (path[0] == '/') note("unlinkat", path);
  else note_descriptor("unlinkat", folder);
  return next(folder, path, flags);
}

int rmdir(const char *path) {
  NEXT("rmdir", const char *);
  note("rmdir", path);
  return next(path);
}

int mkdir(const char *path, mode_t mode) {
  NEXT("mkdir", const char *, mode_t);
  note("mkdir", path);
  return next(path, mode);
}

int fsync(int descriptor) {
  NEXT("fsync", int);
  note_descriptor("fsync", descriptor);
  return next(descriptor);
}

int fdatasync(int descriptor) {
  NEXT("fdatasync", int);
  note_descriptor("fdatasync", descriptor);
  return next(descriptor);
}

int ftruncate(int descriptor, off_t length) {
  NEXT("ftruncate", int, off_t);
  note_descriptor("ftruncate", descriptor);
  return next(descriptor, length);
}

int ftruncate64(int descriptor, off64_t length) {
  NEXT("ftruncate64", int, off64_t);
  note_descriptor("ftruncate", descriptor);
  return next(descriptor, length);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
  static ssize_t (*next)(int, const void *, size_t, off_t) = NULL;
  if (next == NULL) next = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
  note_descriptor("pwrite", descriptor);
  return next(descriptor, bytes, count, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
  static ssize_t (*next)(int, const void *, size_t, off64_t) = NULL;
  if (next == NULL) next = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
  note_descriptor("pwrite", descriptor);
  return next(descriptor, bytes, count, offset);
}
