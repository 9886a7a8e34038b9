/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* packed_file.h - a file of packed weights of a whole model: a head, a table of sections, and the
 * sections, each at a multiple of 64 bytes. */
#ifndef ATTN_PACKED_FILE_H
#define ATTN_PACKED_FILE_H

#include "check.h"

ATTN_HIDDEN_BEGIN

enum { ATTN_PACKED_FILE_VERSION = 1 };

typedef struct attn_packed_head {
    char magic[8];
    uint32_t version, abi; /* ATTN_PACKED_FILE_VERSION, ATTN_KERNEL_ABI */
    uint32_t isa, sections;
    uint64_t bytes;    /* of the file */
    uint64_t model;    /* hash of the layers' kernels (spec, ISA, tiles) and what is around them */
    uint64_t tensors;  /* hash of the weights' names, types and dims */
    uint64_t contents; /* and of their elements */
    uint64_t checksum; /* of this head, 0 here, and the table */
} attn_packed_head;
_Static_assert(sizeof(attn_packed_head) == 64, "sections stay aligned");

typedef struct attn_packed_section {
    uint64_t at, bytes;
    uint64_t checksum; /* of its bytes */
} attn_packed_section;

/* The head and table of a model with these sections, whose `bytes` and `checksum` are filled in:
 * magic, versions, places and the head's own checksum. Returns the file's size. */
/* Whether it begins as such a file does. */
bool attn_packed_file_is(const void *data, size_t bytes);
uint64_t attn_packed_file_begin(attn_packed_head *head, attn_packed_section *section);

/* Whether a file is one that this head and sections (without checksums) describe; all of it but the
 * sections' bytes is looked at. Where trusted, contents may differ. The file is data of others:
 * table[] is read only after it is known to be there. ATTN_E_PACKED. */
attn_status attn_packed_file_check(const attn_why *why, const void *data, size_t bytes,
                                   const attn_packed_head *want, const attn_packed_section *section,
                                   bool trusted);
/* The table of a file that was checked. */
const attn_packed_section *attn_packed_file_table(const void *data);

/* FNV-1a, eight bytes at a time. */
uint64_t attn_bytes_hash(const void *data, size_t bytes);
static inline uint64_t attn_hash_mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

ATTN_VISIBILITY_END

#endif
