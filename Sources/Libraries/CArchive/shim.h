// Swift does not see the types of files, which are macros with a cast.
#ifndef DALLE_CARCHIVE_SHIM_H
#define DALLE_CARCHIVE_SHIM_H

#include <archive.h>
#include <archive_entry.h>

static const __LA_MODE_T dalle_archive_regular_file = AE_IFREG;
static const __LA_MODE_T dalle_archive_folder = AE_IFDIR;

#endif
