"""What tests of apps and of stores are made of: a clock to move by hand, the conformance suite.

The asserts of the suite explain themselves as those of any test module do: pytest, where it is
installed, rewrites them.
"""

from importlib.util import find_spec

if find_spec("pytest") is not None:
    import pytest

    pytest.register_assert_rewrite("func_host.testing.conformance")
