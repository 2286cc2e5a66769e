// `inflateInit2` is a macro, and zlib's stream counts its bytes in 32 bits: Swift sees neither.
#ifndef DALLE_CZLIB_SHIM_H
#define DALLE_CZLIB_SHIM_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

/// Inflates a raw deflate stream that is known to hold `target_count` bytes. Returns 0 where the stream ends exactly
/// there and at the end of `source`.
static inline int dalle_inflate(const uint8_t *source, size_t source_count, uint8_t *target, size_t target_count) {
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  // Negative: without the header and checksum of zlib's own format.
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return 1;
  size_t read = 0, written = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    size_t in = source_count - read < INT_MAX ? source_count - read : INT_MAX;
    size_t out = target_count - written < INT_MAX ? target_count - written : INT_MAX;
    stream.next_in = (Bytef *)source + read;
    stream.avail_in = (uInt)in;
    stream.next_out = target + written;
    stream.avail_out = (uInt)out;
    // Z_BUF_ERROR, and with it the end of the loop, where neither side can go on.
    status = inflate(&stream, Z_NO_FLUSH);
    read += in - stream.avail_in;
    written += out - stream.avail_out;
  }
  inflateEnd(&stream);
  return status == Z_STREAM_END && read == source_count && written == target_count ? 0 : 1;
}

/// The CRC-32 of zip and PNG.
static inline uint32_t dalle_crc32(const uint8_t *bytes, size_t count) {
  return (uint32_t)crc32_z(crc32_z(0, Z_NULL, 0), bytes, count);
}

#endif
