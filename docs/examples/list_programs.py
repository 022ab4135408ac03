"""Lists the programs of the running kernel, the busiest first; run as root."""

import bpfctl

for program in sorted(bpfctl.programs(), key=lambda program: -(program.info.run_time_ns or 0)):
    kind = program.type.name if isinstance(program.type, bpfctl.ProgType) else f"type {program.type}"
    print(f"{program.id:>6}  {kind:<20} {program.name or '-':<20} {program.info.xlated_prog_len:>7} bytes")
