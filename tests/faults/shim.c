/* Faults at exact file operations: preloaded into a process (LD_PRELOAD), it counts every operation
 * that changes files below a folder, and at the one that is asked for kills the process or lets the
 * operation fail. Count and faults are shared by the processes of a command, by a mapped file.
 *
 * FAULT_ROOT: the folder. FAULT_STATE: the mapped file, a `struct state`; beside it, FAULT_STATE
 * with ".trace" gets a line an operation. Without these nothing is changed. A forked process calls
 * `fault_arm` instead. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KILL = 1, TORN, EIO_ONCE, FULL, FULL_TORN, SHORT };
/* How an operation is met: go on; fail with errno set; do a part of it (of writes alone). */
enum { GO, FAIL, PART, PART_KILL };

struct state {
    long count; /* operations so far */
    long at;    /* the one to strike, from 1; 0: none */
    long mode;
    long fired;
};

static struct state *state;
static char root[PATH_MAX];
static size_t root_length;
static int trace = -1;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

void fault_arm(const char *folder, const char *file) {
    int descriptor = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0);
    if (descriptor < 0) return;
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    syscall(SYS_close, descriptor);
    if (state == MAP_FAILED) { state = NULL; return; }
    snprintf(root, sizeof root, "%s/", folder);
    root_length = strlen(root);
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s.trace", file);
    trace = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

__attribute__((constructor)) static void start(void) {
    if (getenv("FAULT_ROOT") && getenv("FAULT_STATE"))
        fault_arm(getenv("FAULT_ROOT"), getenv("FAULT_STATE"));
}

__attribute__((noreturn)) static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static int can_be_cut(char kind, int full) {
    return strchr(full ? "cwam" : "cwsarm", kind) != NULL;
}

static int exists(const char *path) { return !syscall(SYS_faccessat, AT_FDCWD, path, F_OK, 0); }

/* Counts an operation on a path and says how it is met. Kinds: create, write, sync, allocate,
 * rename, mkdir, delete. */
static int meet(char kind, const char *path, int may_part) {
    if (strncmp(path, root, root_length) || (kind == 'm' && exists(path))) return GO;
    long place = __sync_add_and_fetch(&state->count, 1);
    int now = place == state->at;
    char line[PATH_MAX + 64];
    int size = snprintf(line, sizeof line, "%ld %c %d %s\n", place, kind, now, path + root_length);
    if (trace >= 0) syscall(SYS_write, trace, line, (size_t)size);
    int full = state->mode == FULL || state->mode == FULL_TORN;
    if (full && kind == 'c' && exists(path)) return GO; /* needs no space */
    if (!now && !(full && state->fired && can_be_cut(kind, 1))) return GO;
    int first = !state->fired;
    state->fired = 1;
    switch (state->mode) {
    case KILL: die();
    case TORN: if (may_part) return PART_KILL; die();
    case SHORT: return may_part ? PART : GO;
    case EIO_ONCE: errno = EIO; return can_be_cut(kind, 0) ? FAIL : GO;
    case FULL_TORN: if (first && may_part) return PART; /* fall through */
    case FULL: errno = ENOSPC; return can_be_cut(kind, 1) ? FAIL : GO;
    }
    return GO;
}

static int meet_fd(char kind, int descriptor, int may_part) {
    if (!state) return GO;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long size = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (size <= 0) return GO;
    path[size] = 0;
    return meet(kind, path, may_part);
}

static int meet_at(char kind, int folder, const char *name) {
    if (!state || !name) return GO;
    char path[PATH_MAX * 2];
    if (name[0] == '/') return meet(kind, name, 0);
    char link[64];
    if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    long size = syscall(SYS_readlinkat, AT_FDCWD, link, path, (size_t)PATH_MAX - 1);
    if (size <= 0) return GO;
    snprintf(path + size, sizeof path - size, "/%s", name);
    return meet(kind, path, 0);
}

#define OPEN(name, parameters, folder, call_with, call_without) \
    int name parameters { \
        REAL(name); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); \
        } \
        if (flags & (O_CREAT | O_TRUNC) && meet_at('c', folder, path)) return -1; \
        return flags & (O_CREAT | O_TMPFILE) ? real call_with : real call_without; \
    }
OPEN(open, (const char *path, int flags, ...), AT_FDCWD, (path, flags, mode), (path, flags))
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD, (path, flags, mode), (path, flags))
OPEN(openat, (int at, const char *path, int flags, ...), at, (at, path, flags, mode), (at, path, flags))
OPEN(openat64, (int at, const char *path, int flags, ...), at, (at, path, flags, mode), (at, path, flags))

#define FOPEN(name) \
    FILE *name(const char *path, const char *how) { \
        REAL(name); \
        if ((how[0] == 'w' || how[0] == 'a') && meet_at('c', AT_FDCWD, path)) return NULL; \
        return real(path, how); \
    }
FOPEN(fopen)
FOPEN(fopen64)

#define WRITE(name, parameters, whole, part) \
    ssize_t name parameters { \
        REAL(name); \
        switch (meet_fd('w', descriptor, size > 1)) { \
        case FAIL: return -1; \
        case PART: return real part; \
        case PART_KILL: (void)!real part; die(); \
        } \
        return real whole; \
    }
WRITE(write, (int descriptor, const void *data, size_t size), (descriptor, data, size), (descriptor, data, size / 2))
WRITE(pwrite, (int descriptor, const void *data, size_t size, off_t at), (descriptor, data, size, at), (descriptor, data, size / 2, at))
WRITE(pwrite64, (int descriptor, const void *data, size_t size, off64_t at), (descriptor, data, size, at), (descriptor, data, size / 2, at))
WRITE(writev, (int descriptor, const struct iovec *data, int size), (descriptor, data, size), (descriptor, data, size / 2))

#define SIMPLE(name, parameters, met, failure, call) \
    int name parameters { \
        REAL(name); \
        if (met) return failure; \
        return real call; \
    }
SIMPLE(fsync, (int descriptor), meet_fd('s', descriptor, 0), -1, (descriptor))
SIMPLE(fdatasync, (int descriptor), meet_fd('s', descriptor, 0), -1, (descriptor))
SIMPLE(ftruncate, (int descriptor, off_t size), meet_fd('a', descriptor, 0), -1, (descriptor, size))
SIMPLE(ftruncate64, (int descriptor, off64_t size), meet_fd('a', descriptor, 0), -1, (descriptor, size))
SIMPLE(posix_fallocate, (int descriptor, off_t at, off_t size), meet_fd('a', descriptor, 0), errno, (descriptor, at, size))
SIMPLE(posix_fallocate64, (int descriptor, off64_t at, off64_t size), meet_fd('a', descriptor, 0), errno, (descriptor, at, size))
SIMPLE(rename, (const char *from, const char *to), meet_at('r', AT_FDCWD, to), -1, (from, to))
SIMPLE(renameat, (int a, const char *from, int b, const char *to), meet_at('r', b, to), -1, (a, from, b, to))
SIMPLE(mkdir, (const char *path, mode_t mode), meet_at('m', AT_FDCWD, path), -1, (path, mode))
SIMPLE(mkdirat, (int at, const char *path, mode_t mode), meet_at('m', at, path), -1, (at, path, mode))
SIMPLE(unlink, (const char *path), meet_at('d', AT_FDCWD, path), -1, (path))
SIMPLE(unlinkat, (int at, const char *path, int flags), meet_at('d', at, path), -1, (at, path, flags))
SIMPLE(rmdir, (const char *path), meet_at('d', AT_FDCWD, path), -1, (path))
