"""sqlmesh-apply.py PROJECT: loads and plans a project, applies the plan, and prints how many milliseconds applying took.

Imports, loading and planning are left out: what remains is what SQLMesh needs to create, fill and promote the models.
"""

import sys
import time

from sqlmesh import Context

context = Context(paths=[sys.argv[1]])
plan = context.plan_builder(skip_tests=True).build()
started = time.perf_counter()
context.apply(plan)
elapsed_ms = (time.perf_counter() - started) * 1000
context.close()
print(f"{elapsed_ms:.1f}")
