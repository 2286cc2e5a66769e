#include "engine/shared.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

// MARK: - The end of a thread

typedef struct ending {
  void (*destroy)(void *value);
  void *value;
  struct ending *next;
} ending;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static void end_thread(void *first) {
  for (ending *e = first; e != NULL;) {
    ending *next = e->next;
    e->destroy(e->value);
    free(e);
    e = next;
  }
}

static void make_key(void) {
  if (pthread_key_create(&key, end_thread) != 0) abort();
}

void ck_at_thread_end(void (*destroy)(void *value), void *value) {
  pthread_once(&key_once, make_key);
  ending *e = malloc(sizeof *e);
  if (e == NULL) abort();
  *e = (ending){destroy, value, pthread_getspecific(key)};
  if (pthread_setspecific(key, e) != 0) abort();
}

// MARK: - Scratch memory

typedef struct {
  void *start;
  size_t size;
} scratch;

static _Thread_local scratch scratches[CK_SCRATCH_COUNT];
static _Thread_local bool scratches_end;

static void free_scratches(void *value) {
  scratch *s = value;
  for (int i = 0; i < CK_SCRATCH_COUNT; i++) {
    free(s[i].start);
    s[i] = (scratch){NULL, 0};
  }
  scratches_end = false;
}

void *ck_engine_scratch(ck_scratch_purpose purpose, size_t bytes) {
  scratch *s = &scratches[purpose];
  if (bytes <= s->size) return s->start;
  if (!scratches_end) {
    ck_at_thread_end(free_scratches, scratches);
    scratches_end = true;
  }
  free(s->start);
  // Whole pages and an eighth more, so that slowly growing shapes do not allocate every time.
  s->size = (bytes + bytes / 8 + 4095) / 4096 * 4096;
  s->start = NULL;
  if (posix_memalign(&s->start, 4096, s->size) != 0) {
    fprintf(stderr, "out of memory: %zu bytes of scratch memory\n", s->size);
    abort();
  }
  return s->start;
}
