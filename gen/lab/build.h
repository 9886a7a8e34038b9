/* build.h - kernels from specs to loaded code: render, write to a temporary folder, compile in
 * parallel, link, dlopen. */
#ifndef VERIFY_BUILD_H
#define VERIFY_BUILD_H

#include "output/file_list.h"
#include "output/product.h"
#include "spec/model.h"

/* A generated folder, compiled and loaded: its own copy of the runtime. */
typedef struct kernel_lib {
    attn_status (*plan_create)(attn_plan **out, const attn_spec *spec, uint32_t flags);
    void (*plan_destroy)(attn_plan *plan);
    attn_status (*workspace)(const attn_plan *plan, const attn_extent *extent, size_t *bytes);
    attn_status (*run)(const attn_plan *plan, const attn_args *args);
    const char *(*plan_kernel)(const attn_plan *plan, int32_t q_len);
    const char *(*status_text)(attn_status status);
    void (*spec_init)(attn_spec *spec);
    attn_status (*block_create)(attn_block **out, const attn_spec *spec, uint32_t flags);
    void (*block_destroy)(attn_block *block);
    const char *(*block_name)(const attn_block *block);
    int32_t (*block_weights)(const attn_block *block, attn_tensor *list, int32_t capacity);
    size_t (*block_packed_bytes)(const attn_block *block);
    attn_status (*block_pack)(const attn_block *block, const attn_tensor *tensors, int32_t count,
                              void *packed, size_t packed_bytes, char *message,
                              size_t message_size);
    attn_status (*block_check)(const attn_block *block, const void *packed, size_t packed_bytes);
    int32_t (*cache_capacity)(const attn_block *block, int32_t total, int32_t chunk);
    attn_status (*cache_bytes)(const attn_block *block, int32_t batch, int32_t capacity,
                               size_t *bytes);
    attn_status (*cache_init)(const attn_block *block, attn_cache *cache, int32_t batch,
                              int32_t capacity, void *memory, size_t bytes);
    attn_status (*cache_paged_bytes)(const attn_block *block, int32_t batch, int32_t capacity,
                                     int32_t page_count, size_t *bytes); /* null in older folders */
    attn_status (*cache_paged_init)(const attn_block *block, attn_cache *cache, int32_t batch,
                                    int32_t capacity, int32_t page_count, void *memory,
                                    size_t bytes);
    attn_status (*cache_paged_memory_check)(const attn_block *block, int32_t batch,
                                            int32_t capacity, int32_t page_count,
                                            const void *memory, size_t bytes, char *text,
                                            size_t size);
    int32_t (*cache_pages)(const attn_block *block, int32_t tokens);
    attn_status (*cache_page_bytes)(const attn_block *block, size_t *bytes);
    int32_t (*cache_first_page)(const attn_block *block, const attn_cache *cache, int32_t item);
    attn_status (*cache_own_page)(const attn_block *block, attn_cache *cache, int32_t item,
                                  int32_t n, int32_t page);
    attn_status (*cache_own_page_check)(const attn_block *block, const attn_cache *cache,
                                        int32_t item, int32_t n, int32_t page, char *text,
                                        size_t size);
    attn_status (*block_workspace)(const attn_block *block, const attn_block_args *args,
                                   size_t *bytes);
    attn_status (*block_prefill)(const attn_block *block, const attn_block_args *args);
    attn_status (*block_step)(const attn_block *block, const attn_block_args *args);
    /* Null in folders of older versions. */
    attn_status (*spec_check)(const attn_spec *spec, uint32_t flags, char *text, size_t size);
    attn_status (*extent_check)(const attn_plan *plan, const attn_extent *extent, char *text,
                                size_t size);
    attn_status (*plan_check)(const attn_plan *plan, const attn_args *args, char *text,
                              size_t size);
    attn_status (*sizes)(const attn_plan *plan, const attn_extent *extent, attn_size *size);
    attn_status (*key_sizes)(const attn_plan *plan, const attn_extent *extent, attn_key_size *size);
    attn_status (*store_rows)(const attn_plan *plan, attn_operand operand, const attn_rows *rows);
    attn_status (*store_check)(const attn_plan *plan, attn_operand operand, const attn_rows *rows,
                               char *text, size_t size);
    attn_status (*packed_check)(const attn_block *block, const void *packed, size_t packed_bytes,
                                char *text, size_t size);
    attn_status (*cache_check)(const attn_block *block, const attn_cache *cache, int32_t batch,
                               char *text, size_t size);
    attn_status (*cache_memory_check)(const attn_block *block, int32_t batch, int32_t capacity,
                                      const void *memory, size_t bytes, char *text, size_t size);
    attn_status (*prefill_check)(const attn_block *block, const attn_block_args *args, char *text,
                                 size_t size);
    attn_status (*step_check)(const attn_block *block, const attn_block_args *args, char *text,
                              size_t size);
    attn_status (*cache_view)(const attn_block *block, const attn_cache *cache, int32_t first,
                              int32_t count, attn_cache *view);
    attn_status (*cache_truncate)(const attn_block *block, attn_cache *cache, int32_t item,
                                  int32_t tokens);
    attn_status (*cache_keep)(const attn_block *block, attn_cache *cache, int32_t item,
                              int32_t tokens, const int32_t *slots, int32_t n);
    attn_status (*cache_fork)(const attn_block *block, const attn_cache *from, int32_t from_item,
                              attn_cache *to, int32_t to_item);
    attn_status (*cache_view_check)(const attn_block *block, const attn_cache *cache, int32_t first,
                                    int32_t count, const attn_cache *view, char *text, size_t size);
    attn_status (*cache_truncate_check)(const attn_block *block, const attn_cache *cache,
                                        int32_t item, int32_t tokens, char *text, size_t size);
    attn_status (*cache_keep_check)(const attn_block *block, const attn_cache *cache, int32_t item,
                                    int32_t tokens, const int32_t *slots, int32_t n, char *text,
                                    size_t size);
    attn_status (*cache_fork_check)(const attn_block *block, const attn_cache *from,
                                    int32_t from_item, const attn_cache *to, int32_t to_item,
                                    char *text, size_t size);
    attn_status (*merge)(const attn_merge_args *args);
} kernel_lib;

/* What a library calls a function of attn.h, which gives some another name there by a macro. */
#define LIBRARY_NAME(function) LIBRARY_NAME_TEXT(function)
#define LIBRARY_NAME_TEXT(name) #name

typedef struct build_options {
    unsigned isa_mask;
    const char *cflags;    /* appended; null: none */
    const char *templates; /* as in gen_options */
    int unroll;            /* as in gen_options */
    const tune_set *tune;  /* as in gen_options */
    bool keep;             /* leave the folder, and say where it is */
    const char *folder;    /* compile the sources there, with CFLAGS of the environment or of its
                              Makefile, instead of fresh ones with -O2; null: fresh */
    /* Changes files before they are written (mutation tests); null: none. */
    void (*edit)(arena *a, gen_files *files, void *ctx);
    void *edit_ctx;
    /* Told after each compiled file, of `count`; null: nobody is. */
    void (*compiled)(void *ctx, int done, int count);
    void *compiled_ctx;
} build_options;

/* One a kernel: the library that holds it, or what went wrong. */
typedef struct built {
    const kernel_lib *lib;
    const char *error;
    size_t text_bytes[ATTN_ISA_COUNT]; /* machine code and constants; 0: not compiled, or no ELF */
} built;

/* The first line of what the C compiler ($CC, or cc) says of itself; null with a message if there
 * is none. */
const char *build_compiler(arena *a, diag *d);

/* All kernels in one folder and library; those that do not render or compile are left out of it, so
 * that one bad kernel spoils no other. The folder is removed once its code is loaded. */
void build_kernels(arena *a, const kernel_spec *kernels, int count, const build_options *o,
                   built *out);

/* The instruction sets of the kernels in a folder's sources. 0 with a message if there are none. */
unsigned build_folder_isas(arena *a, const char *dir, diag *d);

/* Whether a library has code of its own for a kernel or layer on `isa`; true where it has none at
 * all. Sets ATTN_ISA likewise. */
bool build_has(arena *a, const kernel_lib *lib, const kernel_spec *kernel, int isa);

/* A plan for `kernel` that runs on `isa` and nothing else: null with *why otherwise. Sets the
 * environment variable ATTN_ISA of this process. */
attn_plan *build_plan(arena *a, const kernel_lib *lib, const kernel_spec *kernel, int isa,
                      uint32_t flags, const char **why);

#endif
