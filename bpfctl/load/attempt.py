"""Whether the running kernel takes an object: by loading it, after which it is let go at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.errors import CannotLoad, KernelError, NotFound, NotSupported, ObjectError, VerifierError
from bpfctl.feature import need as needed
from bpfctl.feature import rights
from bpfctl.feature.answer import UNKNOWN, refused
from bpfctl.feature.check import MET, NOT_MET, OPEN, Verdict
from bpfctl.feature.need import Need, Use
from bpfctl.load.object import Loaded

if TYPE_CHECKING:
    from bpfctl.feature.here import Here
    from bpfctl.spec import ObjectSpec

_NAME = "the whole object"


def attempt(spec: ObjectSpec, kernel: Here | None = None) -> Verdict:
    """Load an object and let it go; what the kernel refuses for lack of a right, or bpfctl cannot load, stays open."""
    need = Need(needed.LOAD, _NAME, ())
    try:
        Loaded(spec, kernel).close()
    except CannotLoad as error:
        return Verdict(need, OPEN, str(error))
    except KernelError as error:
        answer = refused(error.errno or 0, rights.present())
        told = isinstance(error, VerifierError) and error.refusal is not None and error.refusal.sentence
        if answer.can == UNKNOWN and not told:
            return Verdict(need, OPEN, f"{error.tried}: {answer.why}")
        return Verdict(need._replace(uses=_uses(error)), NOT_MET, error.sentence)
    except (NotFound, NotSupported, ObjectError) as error:
        return Verdict(need, NOT_MET, str(error))
    return Verdict(need, MET)


def _uses(error: KernelError) -> tuple[Use, ...]:
    """Return the line of source that the verifier complains of."""
    refusal = error.refusal if isinstance(error, VerifierError) else None
    return (Use("", source=refusal.place),) if refusal is not None and refusal.place else ()
