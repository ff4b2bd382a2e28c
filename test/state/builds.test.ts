import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { parseConnection } from '../../src/connections/config.ts'
import type { Lease } from '../../src/connections/lease.ts'
import { createConnectionRegistry } from '../../src/connections/registry.ts'
import type { ModelReport } from '../../src/payloads.ts'
import {
  dropOldBuilds,
  endBuild,
  insertBuild,
  KEPT_BUILDS,
  readBuild,
  readLatestBuild,
  readReports,
  readRunningBuild,
  takeEnvironment,
  type PlannedBuild,
} from '../../src/state/builds.ts'
import { readStep, stepRecord, wholeRecord } from '../../src/state/ledger.ts'
import { recordFailure, recordWarnings, stepId } from '../../src/state/outcomes.ts'
import { ensureState } from '../../src/state/schema.ts'

test('the last 200 builds of an environment stay, with their reports; of older ones what the ledger points at', async () => {
  const lease = await openState()
  const BUILDS = KEPT_BUILDS + 3
  await insertOldBuilds(lease, KEPT_BUILDS)
  for (let nth = KEPT_BUILDS; nth < BUILDS; nth++) await runBuild(lease, nth)

  const kept = await lease.rows<{ run_id: string }>(
    `SELECT run_id FROM millrace.builds WHERE project = 'p' ORDER BY started_at`,
  )
  expect(kept.map(({ run_id }) => run_id)).toEqual(Array.from({ length: KEPT_BUILDS }, (_, i) => `run-${i + 3}`))
  expect(await readBuild(lease, 'run-2')).toBeNull()
  expect(await readReports(lease, 'run-2', 0, 10)).toEqual([])
  expect(await readReports(lease, 'run-3', 0, 10)).toMatchObject([{ name: 'a.m', reason: 'build 3' }])
  expect(await readLatestBuild(lease, 'p', 'prod')).toMatchObject({ runId: `run-${BUILDS - 1}`, status: 'succeeded' })
  expect(await readRunningBuild(lease, 'p', 'prod')).toBeNull()

  // Another project's and another environment's builds are counted for themselves.
  const others = await lease.rows('SELECT run_id FROM millrace.builds WHERE project <> $1', ['p'])
  expect(others).toEqual([{ run_id: 'other' }])

  // What only an old report needed is gone; the step that made a version's rows still answers.
  expect(await readStep(lease, 'run-0/0')).toMatchObject({ rows: 5 })
  expect(await readStep(lease, 'run-0/1')).toBeNull()
  for (const table of ['failures', 'audit_warnings']) {
    const rows = await lease.rows(`SELECT step FROM millrace.${table}`)
    expect({ table, rows }).toEqual({ table, rows: [{ step: `run-3/${table === 'failures' ? 2 : 1}` }] })
  }
})

/** Builds that ended, the first and the fourth with steps, failures and warnings; and one of another project. */
async function insertOldBuilds(lease: Lease, count: number): Promise<void> {
  await lease.script(insertBuild({ ...buildOf(0), project: 'other', runId: 'other' }, {}).join('; '))
  for (const nth of [0, 3]) {
    const { workflowId, runId } = buildOf(nth)
    const version = `version-${nth}`
    const result = { rows: 5, rowsFiltered: 0, interval: null, audits: [], attempts: 1, startedMs: 1, endedMs: 2 }
    for (const index of [0, 1]) {
      const step = stepId({ workflowId, runId }, index)
      await lease.run(stepRecord({ step, workflowId, runId, index, model: 'a.m', version, result }))
    }
    await lease.run(wholeRecord({ version, step: `${runId}/0`, inputs: '', replace: true }, null))
    await recordWarnings(lease, `${runId}/1`, [{ name: 'soft', status: 'warn', failures: 1 }])
    const failure = { code: 'SQL', message: 'no luck', audits: [], attempts: 1, startedMs: 1, endedMs: 2 }
    await recordFailure(lease, `${runId}/2`, { workflowId, runId }, failure)
  }
  const builds = Array.from({ length: count }, (_, nth) => insertBuild(buildOf(nth), {})).flat()
  const reports = `INSERT INTO millrace.build_models SELECT run_id, 0, 'a.m', '{"name":"a.m","reason":"build ' || substr(run_id, 5) || '"}' FROM millrace.builds WHERE project = 'p'`
  await lease.script([...builds, reports].join('; '))
}

async function runBuild(lease: Lease, nth: number): Promise<void> {
  const build = buildOf(nth)
  const report = { name: 'a.m', reason: `build ${nth}` } as ModelReport
  await lease.script([...takeEnvironment(build), ...insertBuild(build, {})].join('; '))
  expect(await readRunningBuild(lease, 'p', 'prod')).toEqual({ workflowId: build.workflowId, runId: build.runId })
  const ended: PlannedBuild = { ...build, status: 'succeeded', endedMs: build.startedMs + 1 }
  const old = await dropOldBuilds(lease, ended)
  await lease.script([...endBuild(ended, [report]), ...old].join('; '))
}

function buildOf(nth: number): PlannedBuild {
  return {
    workflowId: 'millrace/p/prod',
    runId: `run-${nth}`,
    project: 'p',
    environment: 'prod',
    status: 'running',
    promoted: false,
    startedMs: Date.parse('2024-01-01') + nth * 60_000,
    endedMs: null,
    models: [],
    promotion: null,
  }
}

async function openState(): Promise<Lease> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-state-'))
  const registry = createConnectionRegistry()
  const owner = registry.attach('test')
  const config = parseConnection({ type: 'duckdb', database: 'w.duckdb' }, { root: folder, env: {} })
  const lease = await registry.lease(config, { holder: 'test' })
  onTestFinished(async () => {
    await lease.release()
    await owner.detach()
    await rm(folder, { recursive: true, force: true })
  })
  await ensureState(lease)
  return lease
}
