"""Programs with libbpf's way to static probes, attached by their sections: what they read is what was passed."""

from __future__ import annotations

import json
import subprocess

import pytest

from bpfctl.kernel.map import Map
from tests.build.called import NOTES, built
from tests.build.compiled import source
from tests.kernel.command import run
from tests.kernel.facts import Facts
from tests.kernel.place import Place

#: What it passes; each of the four is somewhere else.
PASSED = (1 << 64) - 7, 0x1122334455667788, 22, 33
CALLER = (
    NOTES
    + r"""
static long words[3] __attribute__((used)) = {11, 22, 33};
int main(void)
{
#ifdef __x86_64__
    NOTE("0", "made", "all", "-4@$-7 8@%%rax 8@8(%%rbx) 8@(%%rbx,%%rcx,8)",
        "a"(0x1122334455667788), "b"(words), "c"(2L));
#else
    register long number __asm__("x9") = 0x1122334455667788;
    register long *first __asm__("x10") = words;
    register long two __asm__("x11") = 2;
    NOTE("0", "made", "all", "-4@-7 8@x9 8@[x10, 8] 8@[x10, x11, lsl 3]", "r"(number), "r"(first), "r"(two));
#endif
    return 0;
}
"""
)
#: As libbpf's usdt.bpf.h has it, with the struct of one release or another.
READER = """#include "bpf.h"
static long (*probe_read_user)(void *to, u32 size, const void *from) = (void *)112;
enum kind { CONST, REG, REG_DEREF, SIB };
struct arg { %s char arg_bitshift; };
struct spec { struct arg args[12]; u64 usdt_cookie; short arg_cnt; };
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, int); __type(value, struct spec); }
__bpf_usdt_specs SEC(".maps");
u64 values[4], count;
static u64 in_register(void *context, short at)
{
	u64 value = 0;
	probe_read_kernel(&value, 8, context + at);
	return value;
}
SEC("usdt/%s:made:all") int hit(void *context)
{
	int id = get_attach_cookie(context);
	struct spec *spec = map_lookup_elem(&__bpf_usdt_specs, &id);
	if (!spec)
		return 0;
#pragma clang loop unroll(full)
	for (int i = 0; i < 4; i++) {
		struct arg *arg = &spec->args[i];
		u64 value = arg->val_off, at;
		if (arg->arg_type == REG)
			value = in_register(context, arg->reg_off);
		if (arg->arg_type >= REG_DEREF) {
			at = value + in_register(context, arg->reg_off);
			if (arg->arg_type == SIB)
				at += in_register(context, arg->idx_reg_off) << arg->scale_bitshift;
			probe_read_user(&value, 8, (void *)at);
		}
		value <<= arg->arg_bitshift;
		values[i] = arg->arg_signed ? (u64)((long long)value >> arg->arg_bitshift) : value >> arg->arg_bitshift;
	}
	count = spec->arg_cnt;
	return 0;
}
LICENSE("GPL");"""
_OLD = "u64 val_off; enum kind arg_type; short reg_off, idx_reg_off, scale_bitshift; bool arg_signed;"
_NEW = """u64 val_off; enum kind arg_type:8; unsigned short idx_reg_off:12, scale_bitshift:4;
u8 reserved:8; short reg_off; bool arg_signed;"""


@pytest.mark.parametrize("struct", [_OLD, _NEW], ids=["old", "new"])
def test_static_probes(struct):
    caller = built("passes", CALLER)
    with Place() as place:
        if not Facts(place.lockdown).has("enum:BPF_TRACE_UPROBE_MULTI"):
            pytest.skip("there are no links to many places in files before Linux 6.6")
        (path := place.root / "reader.o").write_bytes(source(READER % (struct, caller)))
        done = run("prog", "load", str(path), f"{place.bpffs}/link", "autoattach", "pinmaps", f"{place.bpffs}/maps")
        assert (done.returncode, done.stderr) == (0, "")
        links = json.loads(run("-jf", "link", "show", "pinned", f"{place.bpffs}/link").stdout)
        assert subprocess.run([caller], check=False).returncode == 0
        with Map.pinned(f"{place.bpffs}/maps/reader_bss") as bss:
            told = bss.lookup(bytes(4))

    values = [int.from_bytes(told[at : at + 8], "little") for at in range(0, 40, 8)]
    assert links["type"] == "uprobe_multi"
    assert values in ([*PASSED, 4], [4, *PASSED])  # the compiler chooses the order of the variables
