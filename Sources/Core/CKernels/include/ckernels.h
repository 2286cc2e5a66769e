/// The C side of the core: hot loops, the calls into OpenBLAS and oneDNN, and the threads that run them.
///
/// Conventions. Arrays are dense and row-major; sizes are counted in elements and named after the axes they belong to
/// (B batch, T sequence, C channels, N rows, H/W height/width). An activation is float32 or bfloat16, said by a
/// `ck_type` beside its pointer; parameters, statistics and parameter gradients are always float32. Every forward
/// function stands above its backward. `accumulate` adds to what the destination holds instead of overwriting it.
/// Nothing here allocates but a little scratch memory a thread, kept until the thread ends, and no function but
/// `ck_team_run` uses more than the calling thread.
#ifndef CKERNELS_H
#define CKERNELS_H

#include "engine.h"
#include "kernels.h"
#include "linear_algebra.h"
#include "threads.h"

#endif
