#ifndef CKERNELS_TYPES_H
#define CKERNELS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The element type of an activation. A bfloat16 is the upper half of a float32, kept in a `uint16_t`.
typedef enum { CK_FLOAT32 = 0, CK_BFLOAT16 = 1 } ck_type;

#endif
