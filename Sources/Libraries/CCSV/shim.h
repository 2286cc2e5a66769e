#ifndef DALLE_CCSV_SHIM_H
#define DALLE_CCSV_SHIM_H

#include <csv.h>

#endif
