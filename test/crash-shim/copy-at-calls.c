// Copies a folder before every call that changes files below it: renames, removals, syncs, cuts and positioned writes, of
// Node and of SQLite alike. The Nth copy is what a process leaves that is killed before its Nth call. Loaded by
// LD_PRELOAD. ZGQ_CRASH_FOLDER: the folder; ZGQ_CRASH_COPIES: a folder for the copies 1, 2, ...; each call is a line of
// ZGQ_CRASH_COPIES/calls. With ZGQ_CRASH_WRITES=0 cuts and positioned writes are left out.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static int calls;

// Not by fork, which copies the page tables of a large process each time.
static void copy(const char *folder, const char *target) {
  int count = 0;
  while (environ[count] != NULL) count++;
  char *variables[count + 1];
  int kept = 0;
  for (int i = 0; i < count; i++)
    if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0) variables[kept++] = environ[i];
  variables[kept] = NULL;
  char *words[] = {"cp", "-a", (char *)folder, (char *)target, NULL};
  pid_t child;
  int status = 0;
  if (posix_spawnp(&child, "cp", NULL, NULL, words, variables) != 0) abort();
  if (waitpid(child, &status, 0) != child || status != 0) abort();
}

static void note(const char *call, const char *path) {
  const char *folder = getenv("ZGQ_CRASH_FOLDER"), *copies = getenv("ZGQ_CRASH_COPIES");
  if (folder == NULL || copies == NULL || path == NULL || strncmp(path, folder, strlen(folder)) != 0) return;
  pthread_mutex_lock(&one_at_a_time);
  char target[PATH_MAX], line[PATH_MAX + 64];
  snprintf(target, sizeof target, "%s/%d", copies, ++calls);
  copy(folder, target);
  snprintf(target, sizeof target, "%s/calls", copies);
  const int length = snprintf(line, sizeof line, "%s %s\n", call, path + strlen(folder));
  const int log = open(target, O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (log < 0 || write(log, line, (size_t)length) != length) abort();
  close(log);
  pthread_mutex_unlock(&one_at_a_time);
}

static void note_descriptor(const char *call, int descriptor) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return;
  path[length] = 0;
  note(call, path);
}

static void note_write(const char *call, int descriptor) {
  const char *writes = getenv("ZGQ_CRASH_WRITES");
  if (writes == NULL || strcmp(writes, "0") != 0) note_descriptor(call, descriptor);
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
  note_write("ftruncate", descriptor);
  return next(descriptor, length);
}

int ftruncate64(int descriptor, off64_t length) {
  NEXT("ftruncate64", int, off64_t);
  note_write("ftruncate", descriptor);
  return next(descriptor, length);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
  static ssize_t (*next)(int, const void *, size_t, off_t) = NULL;
  if (next == NULL) next = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
  note_write("pwrite", descriptor);
  return next(descriptor, bytes, count, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
  static ssize_t (*next)(int, const void *, size_t, off64_t) = NULL;
  if (next == NULL) next = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
  note_write("pwrite", descriptor);
  return next(descriptor, bytes, count, offset);
}
