#ifndef VIGOR_API_H
#define VIGOR_API_H

/* Marks what stays visible in a shared object that is built with -fvisibility=hidden. */
#define VIGOR_API __attribute__((visibility("default")))

/* For small functions defined in a header: part of the caller even at -O0, so that an NF imports nothing for them. */
#define VIGOR_INLINE VIGOR_API inline __attribute__((always_inline))

/*
 * What a function requires of its caller. Proving an NF shows that it keeps to all of it, so shipped builds do not
 * check again; a build with -DVIGOR_CHECKS does, and aborts at the first breach.
 */
#ifdef VIGOR_CHECKS
#include <assert.h>
#define VIGOR_REQUIRE(condition) assert(condition)
#else
#define VIGOR_REQUIRE(condition) ((void) 0)
#endif

#endif
