#define OURS ".struct_ops.link"
#include "struct_ops.bpf.c"
