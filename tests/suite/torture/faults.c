/* Disk faults, injected between a program and the C library (LD_PRELOAD).
 *
 * Calls that change files below FAULTS_DIR are counted in the file FAULTS_COUNT. Call number FAULTS_AT fails as FAULTS_KIND says:
 *
 *   kill    the process dies before the call
 *   torn    half of the bytes are written, then the process dies
 *   power   the process dies; each file loses some or all of its unsynced changes
 *   eio     the call fails with EIO, once
 *   full    this call and all later ones that need space fail with ENOSPC
 *   short   half of the bytes are written (a short write, which callers must handle)
 *
 * With the kind `readonly` every such call fails, and so does opening a file for writing, as on a read-only mount.
 *
 * Writes through memory maps are not seen. SQLite's -shm file is the only one here, and SQLite recreates it after a crash. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

enum kind { NONE, KILL, TORN, POWER, EIO_ONCE, FULL, SHORT, READONLY };

/* The bytes that an unsynced change replaced, to restore them on power loss. */
struct undo {
    struct undo *next;
    dev_t device;
    ino_t inode;
    int fd;
    off_t size, at;
    size_t length;
    char bytes[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *dir;
static size_t dir_length;
static uint64_t at, *count, unmapped;
static enum kind kind;
static int full;
static struct undo *unsynced;

__attribute__((constructor)) static void start(void) {
    const char *name = getenv("FAULTS_KIND"), *number = getenv("FAULTS_AT"), *file = getenv("FAULTS_COUNT");
    const char *kinds[] = {"none", "kill", "torn", "power", "eio", "full", "short", "readonly"};
    dir = getenv("FAULTS_DIR");
    dir_length = dir ? strlen(dir) : 0;
    at = number ? strtoull(number, NULL, 10) : 0;
    for (int each = 0; name && each < 8; each++)
        if (!strcmp(name, kinds[each])) kind = each;
    count = &unmapped;
    int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *map = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED) count = map;
        close(fd);
    }
}

static int below(const char *path) {
    return dir && !strncmp(path, dir, dir_length) && path[dir_length] == '/';
}

/* The lock file holds nothing that could be lost. */
static int concerns(const char *path) {
    size_t length = strlen(path);
    return below(path) && !(length > 5 && !strcmp(path + length - 5, "/lock"));
}

static int concerns_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!dir) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return concerns(path);
}

__attribute__((noreturn)) static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* A pseudo-random number from the position of the fault, so that a fault is repeatable. */
static uint64_t scrambled(uint64_t value) {
    value = (value ^ at) * 0x9e3779b97f4a7c15u;
    return value ^ value >> 29;
}

__attribute__((noreturn)) static void lose_power(void) {
    REAL(pwrite64);
    /* Newest first. Each file loses all changes, none, or those after a random one, as if a prefix had reached the disk. */
    for (struct undo *each = unsynced; each; each = each->next) {
        uint64_t fate = scrambled(each->inode);
        int keep = fate % 3 == 0;
        if (fate % 3 == 1) {
            uint64_t earlier = 0;
            for (struct undo *other = each->next; other; other = other->next)
                earlier += other->inode == each->inode && other->device == each->device;
            keep = earlier < (fate >> 8) % 8;
        }
        if (keep) continue;
        if (each->length) (void)!real(each->fd, each->bytes, each->length, each->at);
        REAL(ftruncate64);
        (void)!real(each->fd, each->size);
    }
    die();
}

static void remember(int fd, off_t offset, size_t length) {
    struct stat64 found;
    if (kind != POWER || fstat64(fd, &found) || !S_ISREG(found.st_mode)) return;
    size_t old = offset >= found.st_size ? 0 : (size_t)(found.st_size - offset);
    if (old > length) old = length;
    struct undo *undo = malloc(sizeof *undo + old);
    if (!undo) return;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    undo->fd = -1;
    for (struct undo *each = unsynced; each && undo->fd < 0; each = each->next)
        if (each->inode == found.st_ino && each->device == found.st_dev) undo->fd = each->fd;
    if (undo->fd < 0) undo->fd = open(path, O_RDWR | O_CLOEXEC);
    ssize_t kept = old ? pread64(undo->fd, undo->bytes, old, offset) : 0;
    undo->next = unsynced;
    undo->device = found.st_dev;
    undo->inode = found.st_ino;
    undo->size = found.st_size;
    undo->at = offset;
    undo->length = kept > 0 ? (size_t)kept : 0;
    unsynced = undo;
}

static void forget(int fd) {
    struct stat64 found;
    int closed = -1;
    if (kind != POWER || fstat64(fd, &found)) return;
    for (struct undo **place = &unsynced; *place;) {
        struct undo *each = *place;
        if (each->inode != found.st_ino || each->device != found.st_dev) {
            place = &each->next;
            continue;
        }
        closed = each->fd;
        *place = each->next;
        free(each);
    }
    if (closed >= 0) close(closed);
}

/* Counts a call. Returns whether to perform it; else errno has the failure. Sets `half` for a partial write. */
static int proceeds(int needs_room, int *half) {
    if (kind == READONLY) {
        errno = EROFS;
        return 0;
    }
    if (full && needs_room) {
        errno = ENOSPC;
        return 0;
    }
    if (__atomic_add_fetch(count, 1, __ATOMIC_RELAXED) != at) return 1;
    switch (kind) {
    case KILL: die();
    case POWER: lose_power();
    case TORN:
        if (!half) die();
        *half = 1;
        return 1;
    case SHORT:
        if (half) *half = 1;
        return 1;
    case EIO_ONCE: errno = EIO; return 0;
    case FULL:
        full = 1;
        if (!needs_room) return 1;
        errno = ENOSPC;
        return 0;
    default: return 1;
    }
}

#define GUARDED(concern, needs_room, failed, act)                                                                              \
    if (!(concern)) return act;                                                                                                \
    pthread_mutex_lock(&lock);                                                                                                 \
    __typeof__(act) result = failed;                                                                                           \
    if (proceeds(needs_room, NULL)) result = act;                                                                               \
    int error = errno;                                                                                                         \
    pthread_mutex_unlock(&lock);                                                                                               \
    errno = error;                                                                                                             \
    return result

static ssize_t written(int fd, size_t length, off_t offset, ssize_t (*act)(void *, size_t), void *call) {
    int half = 0;
    ssize_t result = -1;
    pthread_mutex_lock(&lock);
    if (proceeds(1, &half)) {
        remember(fd, offset, length);
        result = act(call, half && length > 1 ? length / 2 : length);
        if (half && kind == TORN) die();
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

struct call { int fd; const void *bytes; off_t offset; };

static ssize_t do_write(void *data, size_t length) {
    REAL(write);
    struct call *call = data;
    return real(call->fd, call->bytes, length);
}

static ssize_t do_pwrite(void *data, size_t length) {
    REAL(pwrite64);
    struct call *call = data;
    return real(call->fd, call->bytes, length, call->offset);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(write);
    if (!concerns_fd(fd)) return real(fd, bytes, length);
    struct call call = {fd, bytes, 0};
    off_t offset = fcntl(fd, F_GETFL) & O_APPEND ? lseek64(fd, 0, SEEK_END) : lseek64(fd, 0, SEEK_CUR);
    return written(fd, length, offset, do_write, &call);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    REAL(pwrite64);
    if (!concerns_fd(fd)) return real(fd, bytes, length, offset);
    struct call call = {fd, bytes, offset};
    return written(fd, length, offset, do_pwrite, &call);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return pwrite64(fd, bytes, length, offset);
}

/* Writes the first non-empty part only, which writev may do. */
ssize_t writev(int fd, const struct iovec *parts, int number) {
    REAL(writev);
    if (!concerns_fd(fd)) return real(fd, parts, number);
    for (int each = 0; each < number; each++)
        if (parts[each].iov_len) return write(fd, parts[each].iov_base, parts[each].iov_len);
    return 0;
}

int ftruncate64(int fd, off_t length) {
    REAL(ftruncate64);
    struct stat64 found;
    if (!concerns_fd(fd)) return real(fd, length);
    pthread_mutex_lock(&lock);
    int result = -1;
    if (proceeds(0, NULL)) {
        if (!fstat64(fd, &found)) remember(fd, length, found.st_size > length ? (size_t)(found.st_size - length) : 0);
        result = real(fd, length);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int synced(int fd, int (*real)(int)) {
    pthread_mutex_lock(&lock);
    int result = -1;
    if (proceeds(0, NULL)) {
        result = real(fd);
        if (!result) forget(fd);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int fsync(int fd) {
    REAL(fsync);
    return concerns_fd(fd) ? synced(fd, real) : real(fd);
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return concerns_fd(fd) ? synced(fd, real) : real(fd);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    GUARDED(concerns(to), 1, -1, real(from, to));
}

int unlink(const char *path) {
    REAL(unlink);
    GUARDED(concerns(path), 0, -1, real(path));
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    GUARDED(concerns(path), 1, -1, real(path, mode));
}

static int opened(const char *path, int flags, mode_t mode) {
    REAL(open64);
    if (kind == READONLY && below(path) && (flags & (O_ACCMODE | O_CREAT)) != O_RDONLY) {
        errno = EROFS;
        return -1;
    }
    int makes = flags & O_CREAT && concerns(path) && access(path, F_OK);
    GUARDED(makes, 1, -1, real(path, flags, mode));
}

#define MODE(flags)                                                                                                            \
    mode_t mode = 0;                                                                                                           \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                                       \
        va_list more;                                                                                                          \
        va_start(more, flags);                                                                                                 \
        mode = va_arg(more, mode_t);                                                                                           \
        va_end(more);                                                                                                          \
    }

int open64(const char *path, int flags, ...) {
    MODE(flags)
    return opened(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    MODE(flags)
    return opened(path, flags, mode);
}
