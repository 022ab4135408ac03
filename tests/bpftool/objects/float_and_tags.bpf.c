#include "bpf.h"
#define __tag __attribute__((btf_decl_tag("some")))
#define __typetag __attribute__((btf_type_tag("some")))
struct odd {
	double number;
	int __typetag *pointer;
	u64 value __tag;
};
struct {
	__uint(type, 2);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct odd);
} odd SEC(".maps");
SEC("socket") int filter(void *context)
{
	return 0;
}
LICENSE("GPL");
