// Logs every call that changes files below a folder, of Node and of SQLite alike, with the bytes that were written; and
// makes the Nth of them fail, or kills the process there. Loaded by LD_PRELOAD; set UV_USE_IO_URING=0 beside it.
//
// ZGQ_SHIM_FOLDER  the folder, as an absolute path without links
// ZGQ_SHIM_LOG     a file that calls are appended to (record_head below); processes may share it: they take turns
// ZGQ_SHIM_MARKS   a file outside of the folder: what the program writes to it is a mark, logged in its place among the
//                  calls. A mark that begins with "arm" starts the count of calls for the next two; without
//                  ZGQ_SHIM_MARKS they count from the start.
// ZGQ_SHIM_FAIL    ERROR:N the Nth call fails (ENOSPC, EIO, EMFILE); ERROR:N+ that one and all later ones;
//                  ERROR:N~ the Nth, if it writes, writes half of its bytes, and all later ones fail.
//                  EMFILE counts what opens files, the others what changes them; a removal does not fail with ENOSPC.
// ZGQ_SHIM_KILL    before:N, after:N, or half:N (a write is done by half): SIGKILL at the Nth call that changes files.
// ZGQ_SHIM_COUNTS  a file for the two counts, of calls that change files and of those that open them, at the end
//
// Calls on -shm files count, but are not logged: SQLite makes these files anew after a crash. Stores through shared
// mappings are not seen: only SQLite makes any, into -shm files. Closing a file makes nothing durable: not logged.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { MARK = 1, OPEN, WRITE, TRUNCATE, SYNC, RENAME, REMOVE, MAKE_FOLDER, LINK };

// What a record begins with; path, second path and payload follow. test/support/crash-log.ts reads it.
struct record_head {
  uint32_t magic; // 'ZLOG'
  uint32_t kind;
  uint32_t process;
  uint32_t thread;
  uint64_t inode;      // of the file that is written, cut, synced, opened; of what is renamed or removed
  uint64_t offset;     // of a write; a cut: the new size; an open: 1 it made the file, 2 it cut it to nothing
  uint64_t payload;    // bytes of payload
  uint32_t path;       // bytes of the path, relative to the folder, without a leading slash
  uint32_t second;     // bytes of the second path
};

#define NEXT(type, name, ...)                                    \
  static type (*next)(__VA_ARGS__) = NULL;                       \
  if (next == NULL) next = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static const char *folder, *marks;
static size_t folder_length;
static int log_file = -1, is_armed, fail_error, fail_every, fail_half, kill_when;
static long fail_at, kill_at, counted_opens, counted_changes;

static int real_open(const char *path, int flags, mode_t mode) {
  NEXT(int, "open64", const char *, int, ...);
  return next(path, flags, mode);
}

static ssize_t real_write(int descriptor, const void *bytes, size_t count) {
  NEXT(ssize_t, "write", int, const void *, size_t);
  return next(descriptor, bytes, count);
}

__attribute__((constructor)) static void begin(void) {
  folder = getenv("ZGQ_SHIM_FOLDER");
  marks = getenv("ZGQ_SHIM_MARKS");
  if (folder == NULL) return;
  folder_length = strlen(folder);
  is_armed = marks == NULL;
  const char *log = getenv("ZGQ_SHIM_LOG"), *fail = getenv("ZGQ_SHIM_FAIL"), *killing = getenv("ZGQ_SHIM_KILL");
  if (log != NULL) {
    log_file = real_open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log_file < 0) abort();
  }
  const char *number = fail == NULL ? NULL : strchr(fail, ':');
  if (number != NULL) {
    fail_error = strncmp(fail, "ENOSPC", 6) == 0 ? ENOSPC : strncmp(fail, "EMFILE", 6) == 0 ? EMFILE : EIO;
    fail_at = atol(number + 1);
    fail_every = strchr(number, '+') != NULL || strchr(number, '~') != NULL;
    fail_half = strchr(number, '~') != NULL;
  }
  number = killing == NULL ? NULL : strchr(killing, ':');
  if (number != NULL) {
    kill_when = killing[0]; // b, a, h
    kill_at = atol(number + 1);
  }
}

__attribute__((destructor)) static void end(void) {
  const char *counts = getenv("ZGQ_SHIM_COUNTS");
  if (folder == NULL || counts == NULL) return;
  const int file = real_open(counts, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  char line[64];
  const int length = snprintf(line, sizeof line, "%ld %ld\n", counted_changes, counted_opens);
  if (file < 0 || real_write(file, line, (size_t)length) != length) abort();
  close(file);
}

// Where a path or a descriptor leads to: the part below the folder, or NULL.
static const char *below(const char *path) {
  if (folder == NULL || strncmp(path, folder, folder_length) != 0) return NULL;
  if (path[folder_length] == 0) return path + folder_length;
  return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static int path_of(int descriptor, char path[PATH_MAX]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = 0;
  return length > 0;
}

static const char *resolve(int at, const char *path, char full[PATH_MAX]) {
  if (folder == NULL) return NULL;
  if (path[0] == '/') return below(path);
  char from[PATH_MAX];
  if (at == AT_FDCWD ? getcwd(from, sizeof from) == NULL : !path_of(at, from)) return NULL;
  if (snprintf(full, PATH_MAX, "%s/%s", from, path) >= PATH_MAX) return NULL;
  return below(full);
}

static int is_shared_memory(const char *path) {
  const size_t length = strlen(path);
  return length >= 4 && strcmp(path + length - 4, "-shm") == 0;
}

static uint64_t inode_at(int at, const char *path) {
  struct stat found;
  return fstatat(at, path, &found, AT_SYMLINK_NOFOLLOW) == 0 ? found.st_ino : 0;
}

static uint64_t inode_of(int descriptor) {
  struct stat found;
  return fstat(descriptor, &found) == 0 ? found.st_ino : 0;
}

static void take(void) {
  pthread_mutex_lock(&one_at_a_time);
  if (log_file >= 0) flock(log_file, LOCK_EX); // other processes; freed if this one is killed
}

static void give(void) {
  const int saved = errno;
  if (log_file >= 0) flock(log_file, LOCK_UN);
  pthread_mutex_unlock(&one_at_a_time);
  errno = saved;
}

static void note(struct record_head head, const char *path, const char *second, const void *payload) {
  if (log_file < 0 || (head.kind != MARK && is_shared_memory(path))) return;
  const int saved = errno;
  head.magic = 0x474f4c5a;
  head.process = (uint32_t)getpid();
  head.thread = (uint32_t)gettid();
  head.path = (uint32_t)strlen(path);
  head.second = second == NULL ? 0 : (uint32_t)strlen(second);
  const size_t paths = sizeof head + head.path + head.second;
  char *record = malloc(paths + head.payload);
  if (record == NULL) abort();
  memcpy(record, &head, sizeof head);
  memcpy(record + sizeof head, path, head.path);
  if (second != NULL) memcpy(record + sizeof head + head.path, second, head.second);
  if (head.payload > 0) memcpy(record + paths, payload, head.payload);
  for (size_t done = 0; done < paths + head.payload;) {
    const ssize_t wrote = real_write(log_file, record + done, paths + head.payload - done);
    if (wrote < 0) abort();
    done += (size_t)wrote;
  }
  free(record);
  errno = saved;
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// What is to become of a call that is about to be made: 0 it is made, 1 half of it, -1 it fails with errno.
static int fate(enum kind kind, int changes) {
  if (!is_armed) return 0;
  if (changes) counted_changes++;
  if (kind == OPEN) counted_opens++;
  if (changes && kill_at > 0 && counted_changes == kill_at) {
    if (kill_when == 'b') die();
    if (kill_when == 'h' && kind == WRITE) return 1;
  }
  if (fail_at == 0 || (fail_error == EMFILE ? kind != OPEN : !changes)) return 0;
  const long number = fail_error == EMFILE ? counted_opens : counted_changes;
  if (number < fail_at || (number > fail_at && !fail_every)) return 0;
  if (number == fail_at && fail_half) return kind == WRITE ? 1 : 0;
  if (fail_error == ENOSPC && kind == REMOVE) return 0;
  errno = fail_error;
  return -1;
}

static void made(void) {
  if (is_armed && kill_at > 0 && counted_changes == kill_at && kill_when != 'b') die();
}

static void arm(const char *mark, size_t length) {
  if (length >= 3 && strncmp(mark, "arm", 3) == 0) is_armed = 1;
}

typedef ssize_t (*do_write)(int descriptor, const void *bytes, size_t count, off64_t offset);

static ssize_t do_pwrite(int descriptor, const void *bytes, size_t count, off64_t offset) {
  NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  return next(descriptor, bytes, count, offset);
}

static ssize_t do_plain(int descriptor, const void *bytes, size_t count, off64_t offset) {
  (void)offset;
  return real_write(descriptor, bytes, count);
}

// All writes end here; `at` is -1 where the descriptor's own position is meant.
static ssize_t write_bytes(do_write next, int descriptor, const void *bytes, size_t count, off64_t at) {
  char path[PATH_MAX];
  if (folder == NULL || !path_of(descriptor, path)) return next(descriptor, bytes, count, at);
  if (marks != NULL && strcmp(path, marks) == 0) {
    take();
    const ssize_t wrote = next(descriptor, bytes, count, at);
    arm(bytes, count);
    if (wrote > 0) note((struct record_head){.kind = MARK, .payload = (uint64_t)wrote}, "", NULL, bytes);
    give();
    return wrote;
  }
  const char *name = below(path);
  if (name == NULL) return next(descriptor, bytes, count, at);
  take();
  off64_t offset = at;
  if (at < 0) {
    struct stat found;
    const int is_appending = (fcntl(descriptor, F_GETFL) & O_APPEND) != 0;
    offset = is_appending && fstat(descriptor, &found) == 0 ? found.st_size : lseek64(descriptor, 0, SEEK_CUR);
  }
  const int what = fate(WRITE, 1);
  const ssize_t wrote = what < 0 ? -1 : next(descriptor, bytes, what == 1 && count > 1 ? count / 2 : count, at);
  if (wrote > 0)
    note((struct record_head){.kind = WRITE,
                              .inode = inode_of(descriptor),
                              .offset = (uint64_t)offset,
                              .payload = (uint64_t)wrote},
         name, NULL, bytes);
  made();
  give();
  return wrote;
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
  return write_bytes(do_plain, descriptor, bytes, count, -1);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
  return write_bytes(do_pwrite, descriptor, bytes, count, offset);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
  return write_bytes(do_pwrite, descriptor, bytes, count, offset);
}

static ssize_t write_vector(int descriptor, const struct iovec *parts, int count, off64_t offset) {
  char path[PATH_MAX];
  const int is_known = folder != NULL && path_of(descriptor, path);
  if (!is_known || (below(path) == NULL && (marks == NULL || strcmp(path, marks) != 0))) {
    NEXT(ssize_t, "pwritev64", int, const struct iovec *, int, off64_t);
    if (offset >= 0) return next(descriptor, parts, count, offset);
    return syscall(SYS_writev, descriptor, parts, count);
  }
  size_t length = 0;
  for (int i = 0; i < count; i++) length += parts[i].iov_len;
  char *joined = malloc(length + 1);
  if (joined == NULL) abort();
  length = 0;
  for (int i = 0; i < count; i++) {
    memcpy(joined + length, parts[i].iov_base, parts[i].iov_len);
    length += parts[i].iov_len;
  }
  const ssize_t wrote = write_bytes(offset < 0 ? do_plain : do_pwrite, descriptor, joined, length, offset);
  free(joined);
  return wrote;
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
  return write_vector(descriptor, parts, count, -1);
}

ssize_t pwritev64(int descriptor, const struct iovec *parts, int count, off64_t offset) {
  return write_vector(descriptor, parts, count, offset);
}

ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t offset) {
  return write_vector(descriptor, parts, count, offset);
}

static int is_below(int descriptor) {
  char path[PATH_MAX];
  return folder != NULL && path_of(descriptor, path) && below(path) != NULL;
}

// Copies of files: refused, so that the caller copies by plain writes (libuv and glibc do).
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) {
  if (is_below(to)) {
    errno = EINVAL;
    return -1;
  }
  return syscall(SYS_sendfile, to, from, offset, count);
}

long syscall(long number, ...) {
  NEXT(long, "syscall", long, ...);
  va_list list;
  va_start(list, number);
  long words[6];
  for (int i = 0; i < 6; i++) words[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_copy_file_range && is_below((int)words[2])) {
    errno = ENOSYS;
    return -1;
  }
  return next(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

int ioctl(int descriptor, unsigned long request, ...) {
  NEXT(int, "ioctl", int, unsigned long, ...);
  va_list list;
  va_start(list, request);
  void *argument = va_arg(list, void *);
  va_end(list);
  if (request == FICLONE && is_below(descriptor)) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return next(descriptor, request, argument);
}

static int open_file(int at, const char *path, int flags, mode_t mode) {
  NEXT(int, "openat64", int, const char *, int, ...);
  char full[PATH_MAX];
  const char *name = resolve(at, path, full);
  if (name == NULL) return next(at, path, flags, mode);
  take();
  const int is_new = (flags & O_CREAT) != 0 && inode_at(at, path) == 0;
  const int is_cut = !is_new && (flags & O_TRUNC) != 0;
  const int descriptor = fate(OPEN, is_new || is_cut) < 0 ? -1 : next(at, path, flags, mode);
  if (descriptor >= 0 && (flags & O_ACCMODE) != O_RDONLY)
    note((struct record_head){.kind = OPEN,
                              .inode = inode_of(descriptor),
                              .offset = (uint64_t)((is_new ? 1 : 0) + (is_cut ? 2 : 0))},
         name, NULL, NULL);
  if (is_new || is_cut) made();
  give();
  return descriptor;
}

#define OPEN_MODE                                                \
  mode_t mode = 0;                                               \
  if ((flags & O_CREAT) != 0) {                                  \
    va_list list;                                                \
    va_start(list, flags);                                       \
    mode = va_arg(list, mode_t);                                 \
    va_end(list);                                                \
  }

int open(const char *path, int flags, ...) {
  OPEN_MODE
  return open_file(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  OPEN_MODE
  return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...) {
  OPEN_MODE
  return open_file(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...) {
  OPEN_MODE
  return open_file(at, path, flags, mode);
}

static int sync_file(int (*next)(int), int descriptor) {
  char path[PATH_MAX];
  const char *name = folder != NULL && path_of(descriptor, path) ? below(path) : NULL;
  if (name == NULL) return next(descriptor);
  take();
  const int done = fate(SYNC, 1) < 0 ? -1 : next(descriptor);
  if (done == 0) note((struct record_head){.kind = SYNC, .inode = inode_of(descriptor)}, name, NULL, NULL);
  made();
  give();
  return done;
}

int fsync(int descriptor) {
  NEXT(int, "fsync", int);
  return sync_file(next, descriptor);
}

int fdatasync(int descriptor) {
  NEXT(int, "fdatasync", int);
  return sync_file(next, descriptor);
}

int ftruncate64(int descriptor, off64_t length) {
  NEXT(int, "ftruncate64", int, off64_t);
  char path[PATH_MAX];
  const char *name = folder != NULL && path_of(descriptor, path) ? below(path) : NULL;
  if (name == NULL) return next(descriptor, length);
  take();
  const int done = fate(TRUNCATE, 1) < 0 ? -1 : next(descriptor, length);
  if (done == 0)
    note((struct record_head){.kind = TRUNCATE, .inode = inode_of(descriptor), .offset = (uint64_t)length},
         name, NULL, NULL);
  made();
  give();
  return done;
}

int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

int truncate(const char *path, off_t length) {
  const int descriptor = open_file(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  const int done = ftruncate64(descriptor, length), saved = errno;
  close(descriptor);
  errno = saved;
  return done;
}

// Calls on names: one or two paths, of which one is below the folder.
struct name_call {
  enum kind kind;
  int at;
  const char *path;
  int second_at;
  const char *second;
  int flags;
};

static int next_name_call(const struct name_call *call) {
  if (call->kind == RENAME) return (int)syscall(SYS_renameat, call->at, call->path, call->second_at, call->second);
  if (call->kind == LINK) return (int)syscall(SYS_linkat, call->at, call->path, call->second_at, call->second, 0);
  if (call->kind == REMOVE) return (int)syscall(SYS_unlinkat, call->at, call->path, call->flags);
  return (int)syscall(SYS_mkdirat, call->at, call->path, call->flags);
}

static int change_name(struct name_call call) {
  char full[PATH_MAX], second_full[PATH_MAX];
  const char *name = resolve(call.at, call.path, full);
  const char *second = call.second == NULL ? NULL : resolve(call.second_at, call.second, second_full);
  if (name == NULL && second == NULL) return next_name_call(&call);
  if (name == NULL || (call.second != NULL && second == NULL)) abort(); // in or out of the folder: not modelled
  take();
  uint64_t inode = inode_at(call.at, call.path);
  const int done = fate(call.kind, 1) < 0 ? -1 : next_name_call(&call);
  if (call.kind == MAKE_FOLDER) inode = inode_at(call.at, call.path);
  if (done == 0) note((struct record_head){.kind = call.kind, .inode = inode}, name, second, NULL);
  made();
  give();
  return done;
}

int rename(const char *from, const char *to) {
  return change_name((struct name_call){RENAME, AT_FDCWD, from, AT_FDCWD, to, 0});
}

int renameat(int at, const char *from, int to_at, const char *to) {
  return change_name((struct name_call){RENAME, at, from, to_at, to, 0});
}

int link(const char *from, const char *to) {
  return change_name((struct name_call){LINK, AT_FDCWD, from, AT_FDCWD, to, 0});
}

int unlink(const char *path) {
  return change_name((struct name_call){REMOVE, AT_FDCWD, path, 0, NULL, 0});
}

int unlinkat(int at, const char *path, int flags) {
  return change_name((struct name_call){REMOVE, at, path, 0, NULL, flags});
}

int rmdir(const char *path) {
  return change_name((struct name_call){REMOVE, AT_FDCWD, path, 0, NULL, AT_REMOVEDIR});
}

int mkdir(const char *path, mode_t mode) {
  return change_name((struct name_call){MAKE_FOLDER, AT_FDCWD, path, 0, NULL, (int)mode});
}

int mkdirat(int at, const char *path, mode_t mode) {
  return change_name((struct name_call){MAKE_FOLDER, at, path, 0, NULL, (int)mode});
}
