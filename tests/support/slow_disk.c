/* Preloaded: while the file named by SLOW_WHILE exists, every fsync and fdatasync takes three seconds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_if_slow(void) {
    const char *path = getenv("SLOW_WHILE");
    if (path && access(path, F_OK) == 0) sleep(3);
}

int fsync(int descriptor) {
    wait_if_slow();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(descriptor);
}

int fdatasync(int descriptor) {
    wait_if_slow();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(descriptor);
}
