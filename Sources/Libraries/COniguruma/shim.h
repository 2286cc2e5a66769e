// What Swift cannot say of Oniguruma's interface: its encodings and syntaxes are global variables behind macros, and what it says of
// an error is a function of a variable number of arguments.
#ifndef DALLE_CONIGURUMA_SHIM_H
#define DALLE_CONIGURUMA_SHIM_H

#include <oniguruma.h>

enum { DALLE_ONIG_MESSAGE_BYTES = ONIG_MAX_ERROR_MESSAGE_LEN };

/// To be called once, before all others. Expressions nested deeper than `depth` are refused: the library walks them by recursion.
static inline int dalle_onig_initialize(unsigned depth) {
  OnigEncoding encoding = ONIG_ENCODING_UTF8;
  int status = onig_initialize(&encoding, 1);
  return status != ONIG_NORMAL ? status : onig_set_parse_depth_limit(depth);
}

/// Compiles an expression, or where `is_plain` a text that stands for itself. Returns 0, or leaves a line in `message`.
static inline int dalle_onig_new(OnigRegex *regex, const unsigned char *pattern, int byte_count, int is_plain,
                                 unsigned char message[DALLE_ONIG_MESSAGE_BYTES]) {
  OnigErrorInfo information;
  OnigSyntaxType *syntax = is_plain ? ONIG_SYNTAX_ASIS : ONIG_SYNTAX_DEFAULT;
  int status =
    onig_new(regex, pattern, pattern + byte_count, ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, syntax, &information);
  if (status != ONIG_NORMAL) message[onig_error_code_to_str(message, status, &information)] = 0;
  return status;
}

#endif
