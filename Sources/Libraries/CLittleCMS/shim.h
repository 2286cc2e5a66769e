// Swift does not see Little CMS's words for layouts of pixels, which are macros. Profiles come from strangers: what they claim to
// need is bounded by a context whose memory is.
#ifndef DALLE_CLITTLECMS_SHIM_H
#define DALLE_CLITTLECMS_SHIM_H

#include <lcms2.h>
#include <lcms2_plugin.h>
#include <stdlib.h>

/// The most bytes of one block: several times what the largest table of a press takes.
enum { DALLE_CMS_MAXIMUM_BLOCK_BYTES = 64 << 20 };

static inline void *dalle_cms_allocate(cmsContext context, cmsUInt32Number count) {
  (void)context;
  return count > DALLE_CMS_MAXIMUM_BLOCK_BYTES ? NULL : malloc(count);
}

static inline void *dalle_cms_reallocate(cmsContext context, void *block, cmsUInt32Number count) {
  (void)context;
  return count > DALLE_CMS_MAXIMUM_BLOCK_BYTES ? NULL : realloc(block, count);
}

static inline void dalle_cms_release(cmsContext context, void *block) {
  (void)context;
  free(block);
}

static inline cmsContext dalle_cms_make_context(void) {
  cmsPluginMemHandler memory = {{cmsPluginMagicNumber, 2060, cmsPluginMemHandlerSig, NULL},
                                dalle_cms_allocate,
                                dalle_cms_release,
                                dalle_cms_reallocate,
                                NULL,
                                NULL,
                                NULL};
  return cmsCreateContext(&memory, NULL);
}

/// `space` is one of Little CMS's PT_ numbers, `extra` how many samples of a pixel are passed over, and `inverts` says that the
/// largest sample means nothing of its color.
static inline cmsUInt32Number dalle_cms_layout(cmsUInt32Number space, cmsUInt32Number channels, cmsUInt32Number extra,
                                               cmsUInt32Number bytes, cmsUInt32Number inverts) {
  return COLORSPACE_SH(space) | CHANNELS_SH(channels) | EXTRA_SH(extra) | BYTES_SH(bytes) | FLAVOR_SH(inverts);
}

#endif
