// libpng reports errors by longjmp, which Swift cannot take part in. Each function here is one complete
// conversation with libpng that returns 0 on success and otherwise leaves a line in `message`.
#ifndef DALLE_CPNG_SHIM_H
#define DALLE_CPNG_SHIM_H

#include <png.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DALLE_PNG_MESSAGE_BYTES = 200, DALLE_PNG_CHUNK_BYTES = 8 << 20 };

/// What the callbacks below need to find again.
typedef struct {
  const uint8_t *bytes;
  size_t count;
  size_t position;
  char *message;
  // It is looked at after a longjmp.
  volatile int has_ended;
  // The largest block of memory that there is for libpng.
  size_t most_memory;
} dalle_png_source;

/// What a file says about its pixels. `exif` and `profile` are NULL where it has none; dalle_png_free_description frees them.
typedef struct {
  int is_grey;
  uint8_t *exif;
  size_t exif_count;
  uint8_t *profile;
  size_t profile_count;
  int has_code_points;
  uint8_t code_points[4];
  int is_srgb;
  /// 0 where the file has none.
  double gamma;
  int has_chromaticities;
  /// x and y of white, red, green, blue.
  double chromaticities[8];
} dalle_png_description;

static inline void dalle_png_free_description(dalle_png_description *description) {
  free(description->exif);
  free(description->profile);
}

/// A block of memory that grows while a picture is written; the caller frees `bytes`.
typedef struct {
  uint8_t *bytes;
  size_t count;
  size_t capacity;
  char *message;
} dalle_png_sink;

/// One text chunk to write: Latin-1 as tEXt, or UTF-8 as iTXt.
typedef struct {
  char *key;
  char *text;
  int is_utf8;
} dalle_png_text;

static inline void dalle_png_set_message(char *message, const char *text) {
  strncpy(message, text, DALLE_PNG_MESSAGE_BYTES - 1);
  message[DALLE_PNG_MESSAGE_BYTES - 1] = 0;
}

static inline void dalle_png_fail(png_structp png, png_const_charp text) {
  dalle_png_set_message((char *)png_get_error_ptr(png), text);
  longjmp(png_jmpbuf(png), 1);
}

static inline void dalle_png_ignore_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

/// Otherwise libpng takes as much memory as a chunk claims, before it looks whether the file has it; a limit that it is given for
/// chunks it only warns of.
static inline png_voidp dalle_png_allocate(png_structp png, png_alloc_size_t count) {
  dalle_png_source *source = (dalle_png_source *)png_get_mem_ptr(png);
  return count > source->most_memory ? NULL : malloc(count);
}

static inline void dalle_png_release(png_structp png, png_voidp block) {
  (void)png;
  free(block);
}

static inline void dalle_png_read_bytes(png_structp png, png_bytep target, size_t count) {
  dalle_png_source *source = (dalle_png_source *)png_get_io_ptr(png);
  if (count > source->count - source->position) {
    source->has_ended = 1;
    png_error(png, "the file ends early");
  }
  memcpy(target, source->bytes + source->position, count);
  source->position += count;
}

static inline void dalle_png_write_bytes(png_structp png, png_bytep from, size_t count) {
  dalle_png_sink *sink = (dalle_png_sink *)png_get_io_ptr(png);
  if (count > sink->capacity - sink->count) {
    size_t capacity = 2 * sink->capacity + count;
    uint8_t *bytes = (uint8_t *)realloc(sink->bytes, capacity);
    if (!bytes) png_error(png, "out of memory");
    sink->bytes = bytes;
    sink->capacity = capacity;
  }
  memcpy(sink->bytes + sink->count, from, count);
  sink->count += count;
}

static inline void dalle_png_flush(png_structp png) { (void)png; }

static inline uint8_t *dalle_png_copy(png_structp png, const void *bytes, size_t count) {
  uint8_t *copy = (uint8_t *)malloc(count);
  if (!copy) png_error(png, "out of memory");
  memcpy(copy, bytes, count);
  return copy;
}

static inline void dalle_png_describe(png_structp png, png_infop info, dalle_png_description *description) {
  png_bytep exif = NULL;
  png_uint_32 exif_count = 0;
  if (png_get_eXIf_1(png, info, &exif_count, &exif) && exif_count > 0) {
    description->exif = dalle_png_copy(png, exif, exif_count);
    description->exif_count = exif_count;
  }
  png_charp name = NULL;
  png_bytep profile = NULL;
  png_uint_32 profile_count = 0;
  int compression = 0;
  if (png_get_iCCP(png, info, &name, &compression, &profile, &profile_count) && profile_count > 0) {
    description->profile = dalle_png_copy(png, profile, profile_count);
    description->profile_count = profile_count;
  }
  png_unknown_chunkp chunks = NULL;
  int chunk_count = png_get_unknown_chunks(png, info, &chunks);
  for (int i = 0; i < chunk_count; i++) {
    if (memcmp(chunks[i].name, "cICP", 4) != 0 || chunks[i].size != 4) continue;
    description->has_code_points = 1;
    memcpy(description->code_points, chunks[i].data, 4);
  }
  description->is_srgb = png_get_valid(png, info, PNG_INFO_sRGB) != 0;
  if (!png_get_gAMA(png, info, &description->gamma)) description->gamma = 0;
  double *xy = description->chromaticities;
  description->has_chromaticities =
    png_get_cHRM(png, info, &xy[0], &xy[1], &xy[2], &xy[3], &xy[4], &xy[5], &xy[6], &xy[7]) != 0;
}

/// Decodes to RGBA (not premultiplied), whatever the file's bit depth and kind of color: to 8-bit samples, or to 16-bit ones in
/// the machine's order where `sample_bytes` is 2. `rgba` holds 4 * sample_bytes * width * height bytes, where width and height
/// are those of the file's header. A file that ends after its pixels is as good as a whole one.
static inline int dalle_png_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height,
                                   uint32_t sample_bytes, uint8_t *rgba, dalle_png_description *description,
                                   char *message) {
  // A chunk is no longer than the file, what was deflated no longer than some, and a row has eight bytes a pixel at most.
  size_t most_memory = DALLE_PNG_CHUNK_BYTES + count + 8 * ((size_t)width + 64);
  dalle_png_source source = {bytes, count, 0, message, 0, most_memory};
  png_bytep *volatile rows = NULL;
  volatile int is_interlaced = 0;
  png_structp png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, message, dalle_png_fail, dalle_png_ignore_warning,
                                             &source, dalle_png_allocate, dalle_png_release);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (!info) {
    png_destroy_read_struct(&png, NULL, NULL);
    dalle_png_set_message(message, "out of memory");
    return 1;
  }
  if (setjmp(png_jmpbuf(png))) {
    // libpng counts a row, or the pass that it ends, when it has handed it over.
    int is_whole =
      rows && (is_interlaced ? png_get_current_pass_number(png) > 6 : png_get_current_row_number(png) == height);
    free((void *)rows);
    rows = NULL;
    if (is_whole && source.has_ended && !setjmp(png_jmpbuf(png))) {
      dalle_png_describe(png, info, description);
      png_destroy_read_struct(&png, &info, NULL);
      return 0;
    }
    png_destroy_read_struct(&png, &info, NULL);
    return 1;
  }
  // Texts may be large, and nobody asks for them here. libpng 1.6.39 does not know cICP.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, (png_const_bytep) "tEXt\0zTXt\0iTXt", 3);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_ALWAYS, (png_const_bytep) "cICP", 1);
  png_set_read_fn(png, &source, dalle_png_read_bytes);
  png_read_info(png, info);
  if (png_get_image_width(png, info) != width || png_get_image_height(png, info) != height)
    png_error(png, "the header is damaged");
  is_interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
  description->is_grey = !(png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR);
  png_set_expand(png);
  if (sample_bytes == 1) {
    png_set_scale_16(png);
  } else {
    png_set_expand_16(png);
    const uint16_t one = 1;
    if (*(const uint8_t *)&one == 1) png_set_swap(png);
  }
  png_set_gray_to_rgb(png);
  png_set_add_alpha(png, sample_bytes == 1 ? 0xff : 0xffff, PNG_FILLER_AFTER);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != 4 * sample_bytes * (size_t)width) png_error(png, "an unknown kind of PNG");
  rows = (png_bytep *)malloc(height * sizeof(png_bytep));
  if (!rows) png_error(png, "out of memory");
  for (uint32_t y = 0; y < height; y++) rows[y] = rgba + 4 * sample_bytes * (size_t)width * y;
  png_read_image(png, (png_bytepp)rows);
  png_read_end(png, info);
  dalle_png_describe(png, info, description);
  free((void *)rows);
  png_destroy_read_struct(&png, &info, NULL);
  return 0;
}

/// Hands every text chunk to `handle`, in the order of the file.
static inline int dalle_png_read_text(const uint8_t *bytes, size_t count, void *context,
                                      void (*handle)(void *context, const char *key, const char *text, int is_utf8),
                                      char *message) {
  // The pixels are passed over, but libpng makes room for a row of them.
  dalle_png_source source = {bytes, count, 0, message, 0, DALLE_PNG_CHUNK_BYTES + count};
  png_structp png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, message, dalle_png_fail, dalle_png_ignore_warning,
                                             &source, dalle_png_allocate, dalle_png_release);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (!info) {
    png_destroy_read_struct(&png, NULL, NULL);
    dalle_png_set_message(message, "out of memory");
    return 1;
  }
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    return 1;
  }
  png_set_read_fn(png, &source, dalle_png_read_bytes);
  png_read_info(png, info);
  // Without this, `png_read_end` does not know how to pass over the pixels.
  png_read_update_info(png, info);
  png_read_end(png, info);
  png_textp texts = NULL;
  int text_count = 0;
  png_get_text(png, info, &texts, &text_count);
  for (int i = 0; i < text_count; i++) {
    int is_utf8 = texts[i].compression >= PNG_ITXT_COMPRESSION_NONE;
    handle(context, texts[i].key, texts[i].text ? texts[i].text : "", is_utf8);
  }
  png_destroy_read_struct(&png, &info, NULL);
  return 0;
}

/// Encodes 8-bit RGB. The caller frees `sink->bytes`, on failure too.
static inline int dalle_png_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int compression_level,
                                   const dalle_png_text *texts, int text_count, dalle_png_sink *sink, char *message) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, message, dalle_png_fail, dalle_png_ignore_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (!info) {
    png_destroy_write_struct(&png, NULL);
    dalle_png_set_message(message, "out of memory");
    return 1;
  }
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_write_struct(&png, &info);
    return 1;
  }
  png_set_write_fn(png, sink, dalle_png_write_bytes, dalle_png_flush);
  png_set_compression_level(png, compression_level);
  png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  for (int i = 0; i < text_count; i++) {
    png_text text;
    memset(&text, 0, sizeof text);
    text.compression = texts[i].is_utf8 ? PNG_ITXT_COMPRESSION_NONE : PNG_TEXT_COMPRESSION_NONE;
    text.key = texts[i].key;
    text.text = texts[i].text;
    png_set_text(png, info, &text, 1);
  }
  png_write_info(png, info);
  for (uint32_t y = 0; y < height; y++) png_write_row(png, (png_const_bytep)(rgb + 3 * (size_t)width * y));
  png_write_end(png, NULL);
  png_destroy_write_struct(&png, &info);
  return 0;
}

#endif
