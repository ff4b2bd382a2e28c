/** Moves the views of an environment: at once in one database, catalog by catalog over several. Whoever comes after a crash ends it. */
import { classifySqlError } from '../connections/sql-errors.ts'
import type { Lease } from '../connections/lease.ts'
import { MillraceError } from '../errors.ts'
import { readBuild } from '../state/builds.ts'
import {
  beginPromotion,
  catalogPromotion,
  promotedCatalogs,
  PROMOTION_RACE,
  promotionScript,
  readBegunPromotions,
  readPromoter,
  withKnownColumns,
  type Promotion,
} from '../state/promotion.ts'
import { readStateVersion, STATE_VERSION } from '../state/schema.ts'
import type { CatalogLeases } from './catalog-leases.ts'

/**
 * An attempt after one that committed anything goes on where that one stopped, and so do several at once.
 * @throws MillraceError ENVIRONMENT_CHANGED when another promotion came first, SQL for what stops it in an attached catalog.
 */
export async function promote(leases: CatalogLeases, promotion: Promotion): Promise<void> {
  const main = await leases.in(null)
  if (await isPromoted(main, promotion)) return
  const catalogs = promotedCatalogs(promotion)
  if (catalogs.length > 0) {
    await begin(main, promotion)
    const name = main.database.catalog
    for (const catalog of catalogs) await promoteIn(leases, catalog, { promotion, main: name })
  }
  await run(leases, { catalog: null, promotion, script: promotionScript })
}

/**
 * Ends what builds of a project have begun that died between two catalogs.
 * @throws MillraceError CONFIG when a catalog of it is not attached any more; SQL for what stops it.
 */
export async function endBegunPromotions(leases: CatalogLeases, project: string): Promise<void> {
  const main = await leases.in(null)
  // One of another version has no journal yet, or is refused elsewhere.
  if ((await readStateVersion(main)) !== STATE_VERSION) return
  for (const runId of (await readBegunPromotions(main, project)).values()) {
    const build = await readBuild(await leases.in(null), runId)
    if (build?.promotion != null) await promote(leases, build.promotion)
  }
}

async function begin(main: Lease, promotion: Promotion): Promise<void> {
  try {
    await main.script(beginPromotion(promotion))
  } catch (error) {
    // It may have been committed, or another attempt has begun it.
    if ((await begunBy(main, promotion)) === promotion.promotedBy) return
    if (await isPromoted(main, promotion)) return
    throw isRace(error) ? await environmentChanged(main, promotion) : error
  }
}

async function promoteIn(
  leases: CatalogLeases,
  catalog: string,
  { promotion, main }: { promotion: Promotion; main: string },
): Promise<void> {
  const lease = await leases.in(catalog)
  if (await isPromoted(lease, promotion)) return
  try {
    await run(leases, { catalog, promotion, script: (known) => catalogPromotion(known, catalog, main) })
  } catch (error) {
    if (error instanceof MillraceError) throw error
    const { message, retryable } = classifySqlError(error)
    if (retryable) throw error
    throw new MillraceError(
      'SQL',
      `the promotion of environment '${promotion.environment}' stopped in catalog '${catalog}': ${message}`,
      {
        cause: error,
        hint: 'Remove what stops it: the next build or plan ends it, and nothing that was built is lost.',
      },
    )
  }
}

interface Part {
  catalog: string | null
  promotion: Promotion
  script: (promotion: Promotion) => string
}

async function run(leases: CatalogLeases, { catalog, promotion, script }: Part): Promise<void> {
  const lease = await leases.in(catalog)
  try {
    const onViews = lease.database.capabilities.viewColumnComments
    const known = await withKnownColumns(lease, promotion, { catalog, onViews })
    // What a view shows may be a view itself, of tables elsewhere.
    await leases.besideLakes(() => lease.script(script(known)))
  } catch (error) {
    // Any error of a commit leaves its outcome open: the environment's record decides.
    if (await isPromoted(lease, promotion)) return
    throw isRace(error) ? await environmentChanged(lease, promotion) : error
  }
}

async function isPromoted(lease: Lease, promotion: Promotion): Promise<boolean> {
  return (await readPromoter(lease, promotion)) === promotion.promotedBy
}

async function begunBy(lease: Lease, { project, environment }: Promotion): Promise<string | null> {
  return (await readBegunPromotions(lease, project)).get(environment) ?? null
}

function isRace(error: unknown): boolean {
  return error instanceof Error && error.message.includes(PROMOTION_RACE)
}

async function environmentChanged(lease: Lease, promotion: Promotion): Promise<MillraceError> {
  const { environment, project } = promotion
  const begun = await begunBy(lease, promotion)
  const message =
    begun === null || begun === promotion.promotedBy
      ? `environment '${environment}' of project '${project}' was promoted by another build meanwhile; nothing was moved`
      : `environment '${environment}' of project '${project}' is being promoted in several catalogs by run ${begun}; nothing was moved`
  return new MillraceError('ENVIRONMENT_CHANGED', message, {
    hint:
      begun === null || begun === promotion.promotedBy
        ? 'start the build again: what it built is kept'
        : 'start the build again, with those catalogs attached: it ends that promotion first, and what was built is kept',
  })
}
