// libjpeg's default answer to an error is to end the process, and the other one is longjmp, which Swift cannot take
// part in. Each function here is one complete conversation with libjpeg that returns 0 on success and otherwise
// leaves a line in `message`.
#ifndef DALLE_CJPEG_SHIM_H
#define DALLE_CJPEG_SHIM_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

enum { DALLE_JPEG_MESSAGE_BYTES = JMSG_LENGTH_MAX };

typedef struct {
  struct jpeg_error_mgr manager;
  jmp_buf escape;
  char *message;
} dalle_jpeg_errors;

static inline void dalle_jpeg_fail(j_common_ptr info) {
  dalle_jpeg_errors *errors = (dalle_jpeg_errors *)info->err;
  errors->manager.format_message(info, errors->message);
  longjmp(errors->escape, 1);
}

/// Most warnings leave a usable picture. The one about a file that ends early leaves a picture that is partly grey.
static inline void dalle_jpeg_warn(j_common_ptr info, int level) {
  dalle_jpeg_errors *errors = (dalle_jpeg_errors *)info->err;
  if (level < 0 && errors->manager.msg_code == JWRN_JPEG_EOF) {
    strcpy(errors->message, "the file ends early");
    longjmp(errors->escape, 1);
  }
}

static inline struct jpeg_error_mgr *dalle_jpeg_watch(dalle_jpeg_errors *errors, char *message) {
  struct jpeg_error_mgr *manager = jpeg_std_error(&errors->manager);
  manager->error_exit = dalle_jpeg_fail;
  manager->emit_message = dalle_jpeg_warn;
  errors->message = message;
  return manager;
}

/// Reads the size only, so that the caller can refuse it before anything is allocated.
static inline int dalle_jpeg_read_size(const uint8_t *bytes, size_t count, uint32_t *width, uint32_t *height,
                                       char *message) {
  struct jpeg_decompress_struct info;
  dalle_jpeg_errors errors;
  memset(&info, 0, sizeof info);
  info.err = dalle_jpeg_watch(&errors, message);
  if (setjmp(errors.escape)) {
    jpeg_destroy_decompress(&info);
    return 1;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes, count);
  jpeg_read_header(&info, TRUE);
  *width = info.image_width;
  *height = info.image_height;
  jpeg_destroy_decompress(&info);
  return 0;
}

/// Decodes to 8-bit samples, `eighths` of 8 along each axis, which is ⌈side * eighths / 8⌉. `channels` receives 3 for RGB, 4 for
/// CMYK in which 255 is full ink, and -4 for CMYK in which 0 is full ink, as Adobe's programs write it. `samples` holds
/// 4 * width * height bytes, and these are the sizes of what is decoded.
static inline int dalle_jpeg_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height,
                                    unsigned eighths, uint8_t *samples, int *channels, char *message) {
  struct jpeg_decompress_struct info;
  dalle_jpeg_errors errors;
  memset(&info, 0, sizeof info);
  info.err = dalle_jpeg_watch(&errors, message);
  if (setjmp(errors.escape)) {
    jpeg_destroy_decompress(&info);
    return 1;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes, count);
  jpeg_read_header(&info, TRUE);
  int is_cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  *channels = !is_cmyk ? 3 : info.saw_Adobe_marker ? -4 : 4;
  info.scale_num = eighths;
  info.scale_denom = 8;
  jpeg_start_decompress(&info);
  if (info.output_width != width || info.output_height != height) ERREXIT(&info, JERR_BAD_STATE);
  size_t row_bytes = (size_t)width * (size_t)info.output_components;
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = samples + row_bytes * info.output_scanline;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return 0;
}

#endif
