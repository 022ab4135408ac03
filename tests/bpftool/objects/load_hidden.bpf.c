#include "bpf.h"
/* verified where it is called, as it is hidden: alone it would read what may be nothing */
__attribute__((visibility("hidden"))) __noinline u64 of(u64 *value)
{
	return *value + 1;
}
SEC("tc") int classify(void *context)
{
	u64 now = ktime_get_ns();

	return of(&now) & 1;
}
LICENSE("GPL");
