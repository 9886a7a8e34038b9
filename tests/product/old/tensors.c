/* tensors.c - a program that was compiled before attn_tensor had a type, and packs weights: old.sh
 * holds that it finds no function for its arrays in a library of today. */
#include "attn_before_types.h"

int main(void) {
    attn_tensor w[2] = {{0}};
    return attn_block_weights(NULL, w, 2) + attn_block_pack(NULL, w, 2, NULL, 0, NULL, 0);
}
