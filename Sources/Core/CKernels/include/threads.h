/// A team of persistent threads.
#ifndef CKERNELS_THREADS_H
#define CKERNELS_THREADS_H

#include "types.h"

typedef struct ck_team ck_team;

/// Starts `threads - 1` threads beside the caller, each prepared by `ck_engine_prepare_thread`. NULL if the system
/// refuses.
ck_team *ck_team_create(size_t threads);
void ck_team_destroy(ck_team *team);
/// Runs `body(context, i)` for i in 0 ..< threads, one on each thread, number 0 on the caller, and waits for all.
/// Writes made before the call are seen by all, and writes made in it are seen by the caller after it.
void ck_team_run(ck_team *team, void (*body)(void *context, size_t thread), void *context);
/// Inside `ck_team_run`: waits until all threads of the team have come here. Spins for some microseconds, then
/// sleeps, so that a busy machine is not made busier.
void ck_team_barrier(ck_team *team);

/// A small number that belongs to the calling thread for as long as it lives and is reused afterwards; below
/// CK_THREAD_SLOTS, the last of which is shared by all threads beyond that number.
#define CK_THREAD_SLOTS 256
size_t ck_thread_slot(void);

/// A pointer that belongs to the calling thread; NULL at first.
void *ck_thread_pointer(void);
void ck_set_thread_pointer(void *pointer);

#endif
