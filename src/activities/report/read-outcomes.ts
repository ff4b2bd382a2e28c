/** How the steps of a build ended, from every database that they are recorded in. */
import type { PlannedBuild } from '../../state/builds.ts'
import { readOutcomes, type StepOutcomes } from '../../state/outcomes.ts'
import type { CatalogLeases } from '../catalog-leases.ts'
import { buildCatalogs } from '../plan/model-catalogs.ts'

export async function readOutcomesOf(leases: CatalogLeases, build: PlannedBuild): Promise<StepOutcomes> {
  const all = await readOutcomes(await leases.in(null), build)
  for (const catalog of buildCatalogs(build.models)) {
    const { results, failures } = await readOutcomes(await leases.in(catalog), build)
    for (const [step, result] of results) all.results.set(step, result)
    for (const [step, failure] of failures) all.failures.set(step, failure)
  }
  return all
}
