#include "bpf.h"
SEC("fmod_ret.s/bpf_modify_return_test") int instead(u64 *context)
{
	return 0;
}
LICENSE("GPL");
