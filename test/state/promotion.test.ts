/** Promotions over two databases, begun, ended, and got in each other's way. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { parseConnection } from '../../src/connections/config.ts'
import type { Lease } from '../../src/connections/lease.ts'
import { createConnectionRegistry } from '../../src/connections/registry.ts'
import type { RelationName } from '../../src/project/model.ts'
import { environmentView, physicalRelation } from '../../src/sql/physical.ts'
import { findOccupants, readEnvironment, readViewOwners } from '../../src/state/environments.ts'
import {
  beginPromotion,
  catalogPromotion,
  promotedCatalogs,
  PROMOTION_RACE,
  promotionScript,
  readBegunPromotions,
  readPromoter,
  type Promotion,
} from '../../src/state/promotion.ts'
import { ensureState, readStateVersion, STATE_VERSION } from '../../src/state/schema.ts'

const ONE: RelationName = { catalog: null, schema: 'a', name: 'one' }
const TWO: RelationName = { catalog: 'side', schema: 'a', name: 'two' }

test('views of an environment stand in suffixed schemas of the database that their model is in', async () => {
  const { main, side } = await openDatabases()
  const both = promotion({ promotedBy: 'A', environment: 'dev' })
  expect(promotedCatalogs(both)).toEqual(['side'])
  await main.script(beginPromotion(both))
  await side.script(catalogPromotion(both, 'side', main.database.catalog))
  expect(await readEnvironment(main, 'p', 'dev')).toEqual({ revision: 0, models: [] })
  await main.script(promotionScript(both))
  expect(await main.rows('SELECT (FROM a__dev.one) AS one, (FROM side.a__dev.two) AS two')).toEqual([
    { one: 'main', two: 'side' },
  ])
  const two = environmentView(TWO, 'dev')
  expect(await readEnvironment(main, 'p', 'dev')).toEqual({
    revision: 1,
    models: [
      { model: 'a.one', version: 'v1', metadataHash: 'm', view: environmentView(ONE, 'dev') },
      { model: 'side.a.two', version: 'v1', metadataHash: 'm', view: two },
    ],
  })
  expect(await readBegunPromotions(main, 'p')).toEqual(new Map())
  expect(await findOccupants(main, [two, { ...two, catalog: null }])).toEqual([{ relation: two, type: 'view' }])
  // Each database says whose views are in it, whoever has it attached, and under which name.
  const owner = { project: 'p', environment: 'dev' }
  expect(await readViewOwners(side)).toEqual(new Map([['a__dev.two', owner]]))
  expect(await readViewOwners(main)).toEqual(new Map([['a__dev.one', owner]]))
})

test('while one has begun, no other one begins or moves anything, in one database neither', async () => {
  const { main, side } = await openDatabases()
  const name = main.database.catalog
  const first = promotion({ promotedBy: 'A' })
  const second = promotion({ promotedBy: 'B' })
  const alone = promotion({ promotedBy: 'C', views: [ONE] })
  await main.script(beginPromotion(first))
  for (const script of [beginPromotion(second), promotionScript(second), promotionScript(alone)]) {
    await expect(main.script(script)).rejects.toThrow(PROMOTION_RACE)
  }
  await expect(side.script(catalogPromotion(second, 'side', name))).rejects.toThrow(PROMOTION_RACE)
  expect(await readBegunPromotions(main, 'p')).toEqual(new Map([['prod', 'A']]))
  // Beginning it again, as another attempt does, changes nothing.
  await main.script(beginPromotion(first))
  await side.script(catalogPromotion(first, 'side', name))
  expect(await readPromoter(side, first)).toBe('A')
  expect(await readPromoter(main, first)).toBeNull()
  await main.script(promotionScript(first))
  expect(await readPromoter(main, first)).toBe('A')
})

test('what has ended is not done again by an attempt that comes late', async () => {
  const { main, side } = await openDatabases()
  const first = promotion({ promotedBy: 'A' })
  const name = main.database.catalog
  await main.script(beginPromotion(first))
  await side.script(catalogPromotion(first, 'side', name))
  await main.script(promotionScript(first))
  await main.script(promotionScript(promotion({ promotedBy: 'B', revision: 1, views: [ONE] })))
  await expect(main.script(beginPromotion(first))).rejects.toThrow(PROMOTION_RACE)
  await expect(side.script(catalogPromotion(first, 'side', name))).rejects.toThrow(PROMOTION_RACE)
  await expect(main.script(promotionScript(first))).rejects.toThrow(PROMOTION_RACE)
  expect(await readEnvironment(main, 'p', 'prod')).toMatchObject({ revision: 2 })
})

test('a state of version 1 is read as it is, and migrated with what it says', async () => {
  const { main } = await openDatabases()
  await main.script(promotionScript(promotion({ promotedBy: 'A', views: [ONE] })))
  await main.script(
    `ALTER TABLE millrace.environment_models DROP COLUMN view_catalog; DROP TABLE millrace.promotion_journal;
     ALTER TABLE millrace.builds DROP COLUMN input; DROP TABLE millrace.build_queue; DROP TABLE millrace.plan_slices;
     DROP TABLE millrace.restatements; DROP TABLE millrace.auto_restatements;
     UPDATE millrace.schema_version SET version = 1`,
  )
  const before = await readEnvironment(main, 'p', 'prod')
  expect(before).toMatchObject({ revision: 1, models: [{ model: 'a.one', view: ONE }] })
  expect(await readViewOwners(main)).toEqual(new Map([['a.one', { project: 'p', environment: 'prod' }]]))
  await ensureState(main)
  expect(await readStateVersion(main)).toBe(STATE_VERSION)
  expect(await readEnvironment(main, 'p', 'prod')).toEqual(before)
  expect(await readBegunPromotions(main, 'p')).toEqual(new Map())
})

function promotion({
  promotedBy,
  environment = 'prod',
  revision = 0,
  views = [ONE, TWO],
}: {
  promotedBy: string
  environment?: string
  revision?: number
  views?: RelationName[]
}): Promotion {
  return {
    project: 'p',
    environment,
    revision,
    promotedBy,
    views: views.map((one) => ({ view: environmentView(one, environment), shows: physicalRelation(one, 'v1') })),
    drops: [],
    renames: [],
    models: views.map((one) => ({
      model: [one.catalog, one.schema, one.name].filter((part) => part !== null).join('.'),
      version: 'v1',
      metadataHash: 'm',
      view: environmentView(one, environment),
    })),
  }
}

/** A main database and an attached one, each with its state and a table. */
async function openDatabases(): Promise<{ main: Lease; side: Lease }> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-promotion-'))
  const registry = createConnectionRegistry()
  const owner = registry.attach('test')
  const config = parseConnection(
    { type: 'duckdb', database: 'w.duckdb', catalogs: { side: 'side.duckdb' } },
    { root: folder, env: {} },
  )
  const main = await registry.lease(config, { holder: 'main' })
  const side = await registry.lease(config, { holder: 'side', catalog: 'side' })
  onTestFinished(async () => {
    await main.release()
    await side.release()
    await owner.detach()
    await rm(folder, { recursive: true, force: true })
  })
  await ensureState(main)
  await ensureState(side)
  await main.run("CREATE SCHEMA millrace__a; CREATE TABLE millrace__a.a__one__v1 AS SELECT 'main' AS here")
  await side.run("CREATE SCHEMA millrace__a; CREATE TABLE millrace__a.a__two__v1 AS SELECT 'side' AS here")
  return { main, side }
}
