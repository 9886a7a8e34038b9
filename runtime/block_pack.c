/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block_pack.c - packed weights: a header, then what the layer's own code lays out. */
#include "block.h"
#include "mode.h"
#include "packed_file.h"

enum { HEADER_BYTES = 64 }; /* of packed weights */

uint64_t attn_packed_total(const attn_block_kernel *k) {
    uint64_t bytes = HEADER_BYTES;
    attn_carve(NULL, &bytes, attn_times((uint64_t)k->packed_floats, sizeof(float)));
    return bytes;
}

typedef struct packed_header {
    char magic[8];
    uint32_t abi, isa;
    uint64_t floats;
    uint64_t layer;    /* hash of the layer's name: spec, ISA and tiles */
    uint64_t checksum; /* of the floats */
    uint64_t zero[3];
} packed_header;
_Static_assert(sizeof(packed_header) == HEADER_BYTES, "the floats stay aligned");

static const char magic[8] = "ATTNPAK";

static uint64_t checksum(const float *data, int64_t count) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < count; i += 2) {
        uint64_t pair = 0;
        memcpy(&pair, data + i, i + 1 < count ? 8 : 4);
        hash = attn_hash_mix(hash, pair);
    }
    return hash;
}

uint64_t attn_name_hash(const char *name, size_t length) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++) hash = attn_hash_mix(hash, (unsigned char)name[i]);
    return hash;
}

static packed_header header_of(const attn_block_kernel *k) {
    packed_header h = {.abi = ATTN_KERNEL_ABI, .isa = k->isa, .floats = (uint64_t)k->packed_floats};
    memcpy(h.magic, magic, sizeof magic);
    h.layer = attn_name_hash(k->name, strlen(k->name));
    return h;
}

const float *attn_packed_floats(const void *packed) {
    return (const float *)(const void *)((const char *)packed + sizeof(packed_header));
}

size_t attn_packed_size(const attn_block_kernel *k) {
    return (size_t)attn_packed_total(k); /* create has seen that it fits */
}

size_t attn_block_packed_bytes(const attn_block *block) {
    return block ? attn_packed_size(block->kernel) : 0;
}

static attn_status check_pack(const attn_why *why, const attn_block *block,
                              const attn_tensor *tensors, int32_t count, const void *packed,
                              size_t packed_bytes) {
    attn_status status = attn_check_block(why, block);
    if (status == ATTN_OK) status = attn_check_range(why, "count", count, INT32_MAX);
    if (status != ATTN_OK) return status;
    if (count && !tensors)
        return attn_refuse(why, ATTN_E_ARGUMENT, "tensors is null: must hold count = %d tensors",
                           count);
    for (int32_t i = 0; i < count; i++)
        if (!tensors[i].name)
            return attn_refuse(why, ATTN_E_ARGUMENT, "tensors[%d].name is null", i);
    if (block->kernel->weight_count > ATTN_WEIGHTS_MAX)
        return attn_refuse(why, ATTN_E_ABI, "block takes %d weights, and this runtime knows %d",
                           block->kernel->weight_count, ATTN_WEIGHTS_MAX);
    if (block->kernel->expert_weight_count > ATTN_EXPERT_WEIGHTS_MAX ||
        block->kernel->experts > ATTN_EXPERTS_MOST)
        return attn_refuse(why, ATTN_E_ABI,
                           "block has %d weights of each of %d experts, and this "
                           "runtime knows %d of %d",
                           block->kernel->expert_weight_count, block->kernel->experts,
                           ATTN_EXPERT_WEIGHTS_MAX, ATTN_EXPERTS_MOST);
    return attn_check_memory(why, ATTN_E_ARGUMENT, "packed", packed, "packed_bytes", packed_bytes,
                             attn_packed_size(block->kernel), "attn_block_packed_bytes");
}

/* Where a weight cannot be packed, *refused is its number and why comes back; else null. */
static __attribute__((noinline)) const char *pack(const attn_block_kernel *k, const attn_weights *w,
                                                  void *packed, int32_t *refused) {
    float *data = (float *)(void *)((char *)packed + sizeof(packed_header));
    attn_packing p = {w->weight, data, -1, NULL};
    memset(packed, 0, attn_packed_size(k));
    k->pack(&p);
    *refused = p.refused;
    if (p.why) return p.why; /* without a header nothing takes it */
    packed_header h = header_of(k);
    h.checksum = checksum(data, k->packed_floats);
    memcpy(packed, &h, sizeof h);
    return NULL;
}

attn_status attn_own_block_pack(const attn_block *block, const attn_tensor *tensors, int32_t count,
                                void *packed, size_t packed_bytes, char *message,
                                size_t message_size) {
    const attn_why why = attn_why_begin(message, message_size);
    attn_status status = check_pack(&why, block, tensors, count, packed, packed_bytes);
    if (status != ATTN_OK) return status;
    attn_weights weights;
    memset(&weights, 0, sizeof weights);
    status = attn_weights_find(block->kernel, tensors, count, &weights, message, message_size);
    if (status != ATTN_OK) return status;
    const attn_mode mode = attn_mode_enter();
    int32_t refused;
    const char *reason = pack(block->kernel, &weights, packed, &refused);
    attn_mode_leave(mode);
    if (!reason) return ATTN_OK;
    const attn_block_kernel *k = block->kernel;
    const int32_t part = refused - k->weight_count; /* of experts, if it is not negative */
    if (part < 0)
        return attn_refuse(&why, ATTN_E_WEIGHTS, "%s: as the layer stores it: %s",
                           k->weights[refused].name, reason);
    return attn_refuse(&why, ATTN_E_WEIGHTS, "%s of expert %d: as the layer stores it: %s",
                       k->expert_weights[part / k->experts].name, part % k->experts, reason);
}

attn_status attn_block_pack(const attn_block *block, const attn_tensor *tensors, int32_t count,
                            void *packed, size_t packed_bytes, char *message, size_t message_size) {
    return attn_own_block_pack(block, tensors, count, packed, packed_bytes, message, message_size);
}

attn_status attn_check_packed_header(const attn_why *why, const attn_block_kernel *k,
                                     const void *packed) {
    packed_header want = header_of(k), got;
    memcpy(&got, packed, sizeof got);
    want.checksum = got.checksum;
    if (!memcmp(&want, &got, sizeof want)) return ATTN_OK;
    const char *what = "its header is damaged";
    if (memcmp(got.magic, magic, sizeof magic))
        what = "attn_block_pack did not write it";
    else if (got.abi != want.abi)
        what = "a runtime of another version packed it";
    else if (got.isa != want.isa)
        what = "it was packed for another instruction set";
    else if (got.layer != want.layer || got.floats != want.floats)
        what = "it was packed for another layer";
    return attn_refuse(why, ATTN_E_PACKED, "packed is not for %s: %s", k->name, what);
}

static attn_status check_packed(const attn_why *why, const attn_block *block, const void *packed,
                                size_t packed_bytes) {
    attn_status status = attn_check_block(why, block);
    if (status != ATTN_OK) return status;
    const size_t need = attn_packed_size(block->kernel);
    status = attn_check_memory(why, ATTN_E_ARGUMENT, "packed", packed, "packed_bytes", need, need,
                               "attn_block_packed_bytes");
    if (status == ATTN_OK)
        status = attn_check_memory(why, ATTN_E_PACKED, "packed", packed, "packed_bytes",
                                   packed_bytes, need, "attn_block_packed_bytes");
    if (status == ATTN_OK) status = attn_check_packed_header(why, block->kernel, packed);
    if (status != ATTN_OK) return status;
    packed_header h;
    memcpy(&h, packed, sizeof h);
    if (checksum(attn_packed_floats(packed), block->kernel->packed_floats) == h.checksum)
        return ATTN_OK;
    return attn_refuse(why, ATTN_E_PACKED, "packed is damaged: its checksum differs");
}

attn_status attn_block_check(const attn_block *block, const void *packed, size_t packed_bytes) {
    return check_packed(NULL, block, packed, packed_bytes);
}

attn_status attn_packed_check(const attn_block *block, const void *packed, size_t packed_bytes,
                              char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return check_packed(&why, block, packed, packed_bytes);
}
