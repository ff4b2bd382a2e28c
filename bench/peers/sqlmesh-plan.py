"""sqlmesh-plan.py PROJECT: loads a project and plans it against its empty database, and prints how many models would be built.

Nothing is applied. Unit tests are left out: the project has none.
"""

import sys

from sqlmesh import Context

context = Context(paths=[sys.argv[1]])
plan = context.plan_builder(skip_tests=True).build()
print(len(plan.new_snapshots))
context.close()
