/* A disk that takes 5 ms longer for each fsync and fdatasync, for whatever is started with it in LD_PRELOAD:
   cc -shared -fPIC -O2 -o slow_fsync.so slow_fsync.c -ldl
   The calls of several threads and processes wait at the same time, as they do for one commit of a journal. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

#ifndef DELAY_MS
#define DELAY_MS 5
#endif

static void wait_for_the_disk(void) {
  struct timespec rest = {0, DELAY_MS * 1000000L};
  while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
  }
}

static int synced(const char *name, int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  wait_for_the_disk();
  return real(fd);
}

int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }
