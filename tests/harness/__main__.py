# SPDX-License-Identifier: GPL-2.0-or-later
"""python3 tests/harness [-l] PROGRAM...: runs test programs one after another; -l lists their tests."""
import sys

sys.path[0] += "/.."
from harness.runner import main

sys.exit(main(sys.argv[1:]))
