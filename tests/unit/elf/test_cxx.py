"""Names of C++ functions."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.elf.cxx import plain

NAMES = {
    "_Z3fooi": "foo",
    "_ZL6statici": "static",
    "_ZN2ns3fooEiPKc": "ns::foo",
    "_ZNK2ns5Class3getEv": "ns::Class::get",
    "_ZN2ns5ClassC1Ev": "ns::Class::Class",
    "_ZN2ns5ClassD2Ev": "ns::Class::~Class",
    "_ZNKR2ns5Class3getEv": "ns::Class::get",
    "_ZN12_GLOBAL__N_13fooEv": "(anonymous namespace)::foo",
    "_ZNSt6thread4joinEv": "std::thread::join",
    "_ZSt9terminatev": "std::terminate",
}
OTHERS = [
    "malloc",
    "_Z",
    "_ZN",
    "_ZN2ns",
    "_Z9fo",
    "_Z0v",
    "_ZN2nsplERKS_S1_",  # an operator
    "_Z3maxIiET_S0_S0_",  # a template
    "_ZN3BoxIiE3getEv",
    "_ZNSt6vectorIiSaIiEE9push_backEOi",
    "_ZTV5Class",
    "_Z3fooi.part.0",
    "_ZN2ns3fooEv.cold",
    "_ZN5ClassC1C1Ev",  # a constructor has nothing behind it: each would repeat the name before
]


@pytest.mark.parametrize(("symbol", "name"), NAMES.items())
def test_plain_names(symbol, name):
    assert plain(symbol) == name


def test_they_are_what_binutils_makes_of_them():
    told = subprocess.run(["c++filt", "-p", *NAMES], capture_output=True, text=True, check=True).stdout

    assert told.splitlines() == list(NAMES.values())


@pytest.mark.parametrize("symbol", OTHERS)
def test_all_others_stay_as_they_are(symbol):
    assert plain(symbol) == ""


@given(st.text(st.sampled_from("_ZNSt0123456789EICDLrVKROabns.é"), max_size=30))
def test_any_symbol(rest):
    assert isinstance(plain("_Z" + rest), str)
    assert isinstance(plain("_ZN" + rest), str)
