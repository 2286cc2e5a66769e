#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine.h"
#include "internal.h"

// MARK: - Waiting

/// A number that goes up once an event, and those who wait for the next one.
typedef struct {
  alignas(64) _Atomic uint32_t value;
  _Atomic uint32_t sleepers;
  pthread_mutex_t mutex;
  pthread_cond_t condition;
} event;

static void event_init(event *e) {
  atomic_init(&e->value, 0);
  atomic_init(&e->sleepers, 0);
  pthread_mutex_init(&e->mutex, NULL);
  pthread_cond_init(&e->condition, NULL);
}

static void event_destroy(event *e) {
  pthread_cond_destroy(&e->condition);
  pthread_mutex_destroy(&e->mutex);
}

/// The store of the value and the load of the number of sleepers stand in one order with a sleeper's increment and its
/// check of the value: either the signaller sees the sleeper, or the sleeper sees the new value.
static void event_signal(event *e) {
  atomic_fetch_add(&e->value, 1);
  if (atomic_load(&e->sleepers) == 0) return;
  pthread_mutex_lock(&e->mutex);
  pthread_cond_broadcast(&e->condition);
  pthread_mutex_unlock(&e->mutex);
}

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/// Waits until the value is no longer `seen`: for 40 µs awake, which is longer than the threads of a well-balanced team
/// are apart, then asleep.
static void event_wait(event *e, uint32_t seen) {
  int64_t start = nanoseconds();
  do {
    for (int i = 0; i < 32; i++) {
      if (atomic_load_explicit(&e->value, memory_order_acquire) != seen) return;
      pause_briefly();
    }
  } while (nanoseconds() - start < 40000);
  pthread_mutex_lock(&e->mutex);
  atomic_fetch_add(&e->sleepers, 1);
  while (atomic_load(&e->value) == seen) pthread_cond_wait(&e->condition, &e->mutex);
  atomic_fetch_sub(&e->sleepers, 1);
  pthread_mutex_unlock(&e->mutex);
}

// MARK: - Team

typedef struct {
  ck_team *team;
  size_t number;
  pthread_t thread;
} worker;

struct ck_team {
  event begin, end, passed;
  /// Threads that have come to the barrier, and workers that have not finished the body.
  alignas(64) _Atomic size_t arrived;
  _Atomic size_t busy;
  size_t threads;
  /// What to run next; no body means that the workers are to end.
  void (*body)(void *context, size_t thread);
  void *context;
  worker workers[];
};

static void *work(void *argument) {
  worker *self = argument;
  ck_team *team = self->team;
  ck_engine_prepare_thread();
  for (uint32_t seen = 0;; seen++) {
    event_wait(&team->begin, seen);
    if (!team->body) return NULL;
    team->body(team->context, self->number);
    if (atomic_fetch_sub(&team->busy, 1) == 1) event_signal(&team->end);
  }
}

/// Ends the first `count` workers.
static void stop(ck_team *team, size_t count) {
  team->body = NULL;
  event_signal(&team->begin);
  for (size_t i = 0; i < count; i++) pthread_join(team->workers[i].thread, NULL);
}

static void release(ck_team *team) {
  event_destroy(&team->begin);
  event_destroy(&team->end);
  event_destroy(&team->passed);
  free(team);
}

ck_team *ck_team_create(size_t threads) {
  size_t workers = threads > 1 ? threads - 1 : 0;
  size_t size = sizeof(ck_team) + workers * sizeof(worker);
  ck_team *team = aligned_alloc(64, (size + 63) / 64 * 64);
  if (!team) return NULL;
  event_init(&team->begin);
  event_init(&team->end);
  event_init(&team->passed);
  atomic_init(&team->arrived, 0);
  atomic_init(&team->busy, 0);
  team->threads = workers + 1;
  team->body = NULL;
  team->context = NULL;

  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, (size_t)8 << 20);
  size_t started = 0;
  for (; started < workers; started++) {
    worker *next = &team->workers[started];
    next->team = team;
    next->number = started + 1;
    if (pthread_create(&next->thread, &attributes, work, next) != 0) break;
  }
  pthread_attr_destroy(&attributes);
  if (started == workers) return team;
  stop(team, started);
  release(team);
  return NULL;
}

void ck_team_destroy(ck_team *team) {
  if (!team) return;
  stop(team, team->threads - 1);
  release(team);
}

void ck_team_run(ck_team *team, void (*body)(void *context, size_t thread), void *context) {
  if (team->threads == 1) {
    body(context, 0);
    return;
  }
  uint32_t ended = atomic_load(&team->end.value);
  team->body = body;
  team->context = context;
  atomic_store(&team->busy, team->threads - 1);
  event_signal(&team->begin);
  body(context, 0);
  event_wait(&team->end, ended);
}

void ck_team_barrier(ck_team *team) {
  if (team->threads == 1) return;
  uint32_t passed = atomic_load(&team->passed.value);
  if (atomic_fetch_add(&team->arrived, 1) + 1 == team->threads) {
    atomic_store(&team->arrived, 0);
    event_signal(&team->passed);
  } else {
    event_wait(&team->passed, passed);
  }
}

// MARK: - What belongs to a thread

static _Thread_local struct {
  float *scratch;
  size_t scratch_size;
  void *pointer;
  /// One more than the slot; 0 while there is none.
  size_t slot;
} own;

static atomic_bool taken[CK_THREAD_SLOTS];
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void give_back(void *unused) {
  (void)unused;
  free(own.scratch);
  own.scratch = NULL;
  own.scratch_size = 0;
  if (own.slot > 0) atomic_store(&taken[own.slot - 1], false);
  own.slot = 0;
}

static void make_key(void) {
  if (pthread_key_create(&key, give_back) != 0) {
    fputs("CKernels: no thread-specific key is left\n", stderr);
    abort();
  }
}

/// Makes sure that `give_back` runs when the calling thread ends.
static void remember(void) {
  pthread_once(&key_once, make_key);
  pthread_setspecific(key, &own);
}

size_t ck_thread_slot(void) {
  if (own.slot > 0) return own.slot - 1;
  remember();
  size_t slot = 0;
  // The last slot is everyone's, so it is taken without asking.
  while (slot < CK_THREAD_SLOTS - 1 && atomic_exchange(&taken[slot], true)) slot++;
  own.slot = slot + 1;
  return slot;
}

void *ck_thread_pointer(void) { return own.pointer; }

void ck_set_thread_pointer(void *pointer) { own.pointer = pointer; }

float *ck_buffer(size_t floats) {
  if (floats <= own.scratch_size) return own.scratch;
  remember();
  free(own.scratch);
  // Some room to grow; and nothing is kept of the old contents.
  size_t size = (floats + floats / 2 + 1023) / 1024 * 1024;
  own.scratch = aligned_alloc(64, size * sizeof(float));
  if (!own.scratch) {
    fprintf(stderr, "CKernels: no memory for %zu bytes of scratch\n", size * sizeof(float));
    abort();
  }
  own.scratch_size = size;
  return own.scratch;
}
