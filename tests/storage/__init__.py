"""Tests of stores. ``contract.py`` holds what any store must pass; a store's own file says how to make one."""

import pytest

pytest.register_assert_rewrite("tests.storage.contract", "tests.storage.model")
