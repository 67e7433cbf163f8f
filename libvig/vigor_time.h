#ifndef VIGOR_TIME_H
#define VIGOR_TIME_H

#include <stdint.h>

/* Nanoseconds since an arbitrary start: never negative, never going backwards. 64 bits last for 292 years. */
typedef int64_t vigor_time_t;

#endif
