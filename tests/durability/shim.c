/* A disk that fails on demand, for LD_PRELOAD under a broker.
 *
 * Looks at what is done to a file named data.mdb and nothing else. FAULT_CONTROL names a file of 64-bit integers that
 * is mapped and may be changed at any time (tests/durability/shim.py has their names). FAULT_LOG names a file to which
 * every write and sync is appended once it has returned: a header of six integers, then the bytes written.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FULL_AT, SHORT_WRITES, FAILING_SYNCS, FAILING_WRITES, SLOW_SYNC_MS, CLOCK_OFFSET, SYNCS, SYNCING, CONTROLS };
enum { WRITE = 1, SYNC, TRUNCATE };

static volatile int64_t nothing[CONTROLS];
static volatile int64_t *control = nothing;
static int log_fd = -1;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_msync)(void *, size_t, int);
static int (*real_ftruncate)(int, off_t);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_pwritev = dlsym(RTLD_NEXT, "pwritev");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_msync = dlsym(RTLD_NEXT, "msync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("FAULT_CONTROL");
    if (path) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        void *mapped = mmap(NULL, sizeof nothing, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd >= 0 && mapped != MAP_FAILED)
            control = mapped;
    }
    path = getenv("FAULT_LOG");
    if (path)
        log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int64_t now(void) {
    struct timespec t;
    real_clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int is_data(int fd) {
    struct stat status;
    char link[64], path[4096];
    if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length >= 9 && !memcmp(path + length - 9, "/data.mdb", 9);
}

static void record(int64_t kind, int fd, int64_t at, const struct iovec *parts, int count, int64_t size, int64_t began) {
    if (log_fd < 0)
        return;
    int64_t synced = fd >= 0 && (fcntl(fd, F_GETFL) & O_DSYNC) ? 1 : 0;
    int64_t head[6] = {kind, synced, at, size, began, now()};
    char *whole = malloc(sizeof head + size);
    memcpy(whole, head, sizeof head);
    char *to = whole + sizeof head;
    int64_t left = kind == WRITE ? size : 0;
    for (int n = 0; n < count && left > 0; n++) {
        int64_t piece = (int64_t)parts[n].iov_len < left ? (int64_t)parts[n].iov_len : left;
        memcpy(to, parts[n].iov_base, piece);
        to += piece;
        left -= piece;
    }
    pthread_mutex_lock(&log_lock);
    if (real_write(log_fd, whole, to - whole) != to - whole)
        abort();
    pthread_mutex_unlock(&log_lock);
    free(whole);
}

/* How many bytes of a write there is room for; -1 with errno set where it fails. */
static ssize_t room(int64_t at, int64_t size) {
    if (control[FAILING_WRITES] > 0) {
        control[FAILING_WRITES]--;
        errno = EIO;
        return -1;
    }
    int64_t limit = control[FULL_AT];
    if (!limit || at + size <= limit)
        return size;
    if (control[SHORT_WRITES] && at < limit)
        return limit - at;
    errno = ENOSPC;
    return -1;
}

static ssize_t put(int fd, const void *data, size_t size, off_t at, int moving) {
    int64_t began = now();
    ssize_t fits = room(at, size);
    if (fits < 0)
        return -1;
    ssize_t done = moving ? real_write(fd, data, fits) : real_pwrite(fd, data, fits, at);
    if (done > 0) {
        struct iovec part = {(void *)data, done};
        record(WRITE, fd, at, &part, 1, done, began);
    }
    return done;
}

static ssize_t put_many(int fd, const struct iovec *parts, int count, off_t at, int moving) {
    int64_t began = now(), size = 0;
    for (int n = 0; n < count; n++)
        size += parts[n].iov_len;
    ssize_t fits = room(at, size);
    if (fits < 0)
        return -1;
    if (fits < size)
        return put(fd, parts[0].iov_base, parts[0].iov_len, at, moving);
    ssize_t done = moving ? real_writev(fd, parts, count) : real_pwritev(fd, parts, count, at);
    if (done > 0)
        record(WRITE, fd, at, parts, count, done, began);
    return done;
}

static int sync_with(int fd, int (*real)(int)) {
    int64_t began = now();
    control[SYNCING]++;
    while (control[SLOW_SYNC_MS] > 0 && now() - began < control[SLOW_SYNC_MS] * 1000000LL)
        usleep(2000);
    if (control[FAILING_SYNCS] > 0) {
        control[FAILING_SYNCS]--;
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    control[SYNCS]++;
    if (!result)
        record(SYNC, fd, 0, NULL, 0, 0, began);
    return result;
}

ssize_t write(int fd, const void *data, size_t size) {
    if (!is_data(fd))
        return real_write(fd, data, size);
    return put(fd, data, size, lseek(fd, 0, SEEK_CUR), 1);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return is_data(fd) ? put(fd, data, size, at, 0) : real_pwrite(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return pwrite(fd, data, size, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return is_data(fd) ? put_many(fd, parts, count, lseek(fd, 0, SEEK_CUR), 1) : real_writev(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return is_data(fd) ? put_many(fd, parts, count, at, 0) : real_pwritev(fd, parts, count, at);
}

int fsync(int fd) { return is_data(fd) ? sync_with(fd, real_fsync) : real_fsync(fd); }

int fdatasync(int fd) { return is_data(fd) ? sync_with(fd, real_fdatasync) : real_fdatasync(fd); }

/* Only a store with a writable map would call this; then the log would not be the whole truth. */
int msync(void *from, size_t size, int flags) {
    if (log_fd >= 0)
        abort();
    return real_msync(from, size, flags);
}

int ftruncate(int fd, off_t size) {
    int64_t began = now();
    int data = is_data(fd), result = real_ftruncate(fd, size);
    if (data && !result)
        record(TRUNCATE, fd, 0, NULL, 0, size, began);
    return result;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = real_clock_gettime ? real_clock_gettime(clock, time) : -1;
    if (!result && clock == CLOCK_REALTIME)
        time->tv_sec += control[CLOCK_OFFSET];
    return result;
}
