// libjpeg's default answer to an error is to end the process, and the other one is longjmp, which Swift cannot take
// part in. Each function here is one complete conversation with libjpeg that returns 0 on success and otherwise
// leaves a line in `message`.
#ifndef DALLE_CJPEG_SHIM_H
#define DALLE_CJPEG_SHIM_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

enum { DALLE_JPEG_MESSAGE_BYTES = JMSG_LENGTH_MAX };

typedef struct {
  struct jpeg_error_mgr manager;
  jmp_buf escape;
  char *message;
  int has_ended;
} dalle_jpeg_errors;

/// What a file says before its pixels. `exif` and `profile` are NULL where it has none; dalle_jpeg_free_header frees them.
typedef struct {
  uint32_t width;
  uint32_t height;
  int is_grey;
  uint8_t *exif;
  size_t exif_count;
  uint8_t *profile;
  unsigned profile_count;
} dalle_jpeg_header;

static inline void dalle_jpeg_free_header(dalle_jpeg_header *header) {
  free(header->exif);
  free(header->profile);
}

/// Leaves the conversation with "the file ends early" where it does, and otherwise with `text`.
static inline void dalle_jpeg_escape(dalle_jpeg_errors *errors, const char *text) {
  strcpy(errors->message, errors->has_ended ? "the file ends early" : text);
  longjmp(errors->escape, 1);
}

static inline void dalle_jpeg_fail(j_common_ptr info) {
  dalle_jpeg_errors *errors = (dalle_jpeg_errors *)info->err;
  char text[JMSG_LENGTH_MAX];
  errors->manager.format_message(info, text);
  dalle_jpeg_escape(errors, text);
}

/// Most warnings leave a usable picture, and so does the end of the file where nothing but its last marker is missing. Where
/// pixels are missing, the picture is grey from there on.
static inline void dalle_jpeg_warn(j_common_ptr info, int level) {
  dalle_jpeg_errors *errors = (dalle_jpeg_errors *)info->err;
  if (level >= 0) return;
  if (errors->manager.msg_code == JWRN_JPEG_EOF) errors->has_ended = 1;
  if (errors->manager.msg_code == JWRN_HIT_MARKER) dalle_jpeg_escape(errors, "its pixels end early");
}

static inline struct jpeg_error_mgr *dalle_jpeg_watch(dalle_jpeg_errors *errors, char *message) {
  struct jpeg_error_mgr *manager = jpeg_std_error(&errors->manager);
  manager->error_exit = dalle_jpeg_fail;
  manager->emit_message = dalle_jpeg_warn;
  errors->message = message;
  errors->has_ended = 0;
  return manager;
}

/// Reads what stands before the pixels, so that the caller can refuse the size before anything is allocated.
static inline int dalle_jpeg_read_header(const uint8_t *bytes, size_t count, dalle_jpeg_header *header, char *message) {
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
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF);
  jpeg_save_markers(&info, JPEG_APP0 + 2, 0xFFFF);
  jpeg_read_header(&info, TRUE);
  header->width = info.image_width;
  header->height = info.image_height;
  header->is_grey = info.jpeg_color_space == JCS_GRAYSCALE;
  for (jpeg_saved_marker_ptr marker = info.marker_list; marker && !header->exif; marker = marker->next) {
    if (marker->marker != JPEG_APP0 + 1 || marker->data_length < 6 || memcmp(marker->data, "Exif", 5) != 0) continue;
    header->exif = (uint8_t *)malloc(marker->data_length);
    if (!header->exif) ERREXIT1(&info, JERR_OUT_OF_MEMORY, 0);
    memcpy(header->exif, marker->data, marker->data_length);
    header->exif_count = marker->data_length;
  }
  jpeg_read_icc_profile(&info, &header->profile, &header->profile_count);
  jpeg_destroy_decompress(&info);
  return 0;
}

/// Of what programs write; each takes the time of a whole picture, however few bytes it has.
enum { DALLE_JPEG_MOST_SCANS = 500 };

static inline void dalle_jpeg_watch_scans(j_common_ptr info) {
  if (((j_decompress_ptr)info)->input_scan_number > DALLE_JPEG_MOST_SCANS)
    dalle_jpeg_escape((dalle_jpeg_errors *)info->err, "it has more than 500 scans");
}

/// Whether parts of the picture that later scans bring never came.
static inline int dalle_jpeg_lacks_scans(const struct jpeg_decompress_struct *info) {
  for (int i = 0; i < info->num_components; i++) {
    // A component has its table from its first scan on.
    if (!info->comp_info[i].quant_table) return 1;
    for (int k = 0; info->coef_bits && k < DCTSIZE2; k++)
      if (info->coef_bits[i][k] != 0) return 1;
  }
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
  struct jpeg_progress_mgr progress;
  memset(&progress, 0, sizeof progress);
  progress.progress_monitor = dalle_jpeg_watch_scans;
  info.progress = &progress;
  jpeg_mem_src(&info, bytes, count);
  jpeg_read_header(&info, TRUE);
  int is_cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  *channels = !is_cmyk ? 3 : info.saw_Adobe_marker ? -4 : 4;
  info.scale_num = eighths;
  info.scale_denom = 8;
  jpeg_start_decompress(&info);
  // Arithmetic coding may leave out the zeros that its data ends in, so only its last marker tells that it is whole.
  if (errors.has_ended && (info.arith_code || dalle_jpeg_lacks_scans(&info))) ERREXIT(&info, JERR_INPUT_EOF);
  if (info.output_width != width || info.output_height != height) ERREXIT(&info, JERR_BAD_STATE);
  size_t row_bytes = (size_t)width * (size_t)info.output_components;
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = samples + row_bytes * info.output_scanline;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  if (errors.has_ended && info.arith_code) ERREXIT(&info, JERR_INPUT_EOF);
  jpeg_destroy_decompress(&info);
  return 0;
}

#endif
