#include "bpf.h"
/* variables of all sorts, and their places in more than one section */
int counted = 3, second;
static volatile u64 hidden[3];
const volatile u32 limit = 7;
const volatile char word[] = "word";
SEC(".data.more") int more[2] = {1, 2};
SEC("tc") int classify(void *context)
{
	hidden[2] += counted + more[1];
	second = word[1];
	return limit;
}
LICENSE("GPL");
