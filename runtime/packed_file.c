/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* packed_file.c - files of packed weights: whether one is what it has to be. */
#include "packed_file.h"

static const char magic[8] = "ATTNMOD";

uint64_t attn_bytes_hash(const void *data, size_t bytes) {
    const char *p = data;
    uint64_t hash = 0xcbf29ce484222325u, word = 0;
    size_t i = 0;
    for (; i + sizeof word <= bytes; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        hash = attn_hash_mix(hash, word);
    }
    word = 0;
    if (i < bytes) memcpy(&word, p + i, bytes - i);
    return attn_hash_mix(hash, word ^ (uint64_t)bytes << 56);
}

static uint64_t table_bytes(uint64_t sections) {
    return sections * sizeof(attn_packed_section);
}

static uint64_t up(uint64_t bytes) {
    return (bytes + 63) & ~(uint64_t)63;
}

static uint64_t head_checksum(const attn_packed_head *head, const attn_packed_section *table) {
    attn_packed_head h = *head;
    h.checksum = 0;
    return attn_hash_mix(attn_bytes_hash(&h, sizeof h),
                         attn_bytes_hash(table, (size_t)table_bytes(h.sections)));
}

/* Places of sections, one after the other; returns where the last one ends. */
static uint64_t place(uint32_t sections, attn_packed_section *section) {
    uint64_t at = sizeof(attn_packed_head) + table_bytes(sections);
    for (uint32_t i = 0; i < sections; i++) {
        section[i].at = at = up(at);
        at += section[i].bytes;
    }
    return at;
}

uint64_t attn_packed_file_begin(attn_packed_head *head, attn_packed_section *section) {
    memcpy(head->magic, magic, sizeof magic);
    head->version = ATTN_PACKED_FILE_VERSION;
    head->abi = ATTN_KERNEL_ABI;
    head->bytes = place(head->sections, section);
    head->checksum = head_checksum(head, section);
    return head->bytes;
}

bool attn_packed_file_is(const void *data, size_t bytes) {
    return bytes >= sizeof magic && !memcmp(data, magic, sizeof magic);
}

static attn_status refuse(const attn_why *why, const char *what) {
    return attn_refuse(why, ATTN_E_PACKED, "%s", what);
}

const attn_packed_section *attn_packed_file_table(const void *data) {
    return (const attn_packed_section *)(const void *)((const char *)data +
                                                       sizeof(attn_packed_head));
}

static attn_status check_table(const attn_why *why, const attn_packed_head *got,
                               const attn_packed_section *table,
                               const attn_packed_section *section) {
    uint64_t at = sizeof *got + table_bytes(got->sections);
    for (uint32_t i = 0; i < got->sections; i++) {
        at = up(at);
        if (table[i].at != at || table[i].bytes != section[i].bytes)
            return attn_refuse(why, ATTN_E_PACKED,
                               "section %u is %llu bytes at %llu: must be %llu at %llu", i,
                               (unsigned long long)table[i].bytes, (unsigned long long)table[i].at,
                               (unsigned long long)section[i].bytes, (unsigned long long)at);
        at += table[i].bytes;
    }
    return at == got->bytes ? ATTN_OK : refuse(why, "its sections are not all there is of it");
}

attn_status attn_packed_file_check(const attn_why *why, const void *data, size_t bytes,
                                   const attn_packed_head *want, const attn_packed_section *section,
                                   bool trusted) {
    attn_packed_head got;
    if (bytes < sizeof got) return refuse(why, "attn_model_save did not write it: it is too short");
    memcpy(&got, data, sizeof got);
    if (memcmp(got.magic, magic, sizeof magic))
        return refuse(why, "attn_model_save did not write it");
    if (got.version != ATTN_PACKED_FILE_VERSION || got.abi != ATTN_KERNEL_ABI)
        return refuse(why, "a runtime of another version wrote it");
    if (got.bytes != bytes)
        return attn_refuse(why, ATTN_E_PACKED, "it is %s: %llu bytes, and was written with %llu",
                           bytes < got.bytes ? "truncated" : "too long", (unsigned long long)bytes,
                           (unsigned long long)got.bytes);
    const uint64_t most = (bytes - sizeof got) / sizeof(attn_packed_section);
    if (got.sections > most || head_checksum(&got, attn_packed_file_table(data)) != got.checksum)
        return refuse(why, "it is damaged: its head's checksum differs");
    if (got.isa != want->isa) return refuse(why, "it was packed for another instruction set");
    if (got.model != want->model || got.sections != want->sections)
        return refuse(why, "it was packed for another model");
    if (got.tensors != want->tensors)
        return refuse(why, "it was packed from other weights: names, types or shapes differ");
    if (!trusted && got.contents != want->contents)
        return refuse(why, "it is stale: the weights have changed since it was packed");
    return check_table(why, &got, attn_packed_file_table(data), section);
}
