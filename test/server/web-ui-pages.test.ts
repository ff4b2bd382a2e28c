import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { scheduleVerb } from '../../src/cli/verbs/schedule.ts'
import type { BuildProgress } from '../../src/payloads.ts'
import { runVerb } from '../cli/run-verb.ts'
import { startBrowser, type Browser, type Page } from '../helpers/browser.ts'
import { runCli } from '../helpers/cli.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { pendingHeartbeats, until } from '../helpers/slow-build.ts'
import { startBuild, startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'

/** Where pictures for the documentation go, when they are wanted. */
const PICTURES = process.env['MILLRACE_SCREENSHOTS'] ?? null
const BUILD = 'millrace/shop/prod'
const SCHEDULE = 'millrace/shop/nightly'

describe('a person at the Web UI', () => {
  let server: TestServer
  let browser: Browser
  let page: Page

  beforeAll(async () => {
    if (PICTURES !== null) await mkdir(PICTURES, { recursive: true })
    ;[server, browser] = await Promise.all([startTestServer(), startBrowser()])
    page = await browser.open(`${server.server.uiUrl}/namespaces/default/workflows`)
  })
  afterAll(async () => {
    await browser.close()
    await server.close()
  })

  test('reads how far a running build is, what runs, what failed and why, and what to do', async () => {
    const root = await createProject(SHOP)
    const worker = await server.startWorker([root])
    try {
      // As a person starts it.
      const where = ['--address', server.server.address, '--task-queue', TASK_QUEUE]
      const started = await runCli(['build', root, ...where, '--select', '+marts.daily +marts.loyal', '--detach'])
      expect(started).toMatchObject({ code: 0 })
      const handle = server.client.workflow.getHandle(BUILD)
      await until('a percentage', async () => {
        const [beat] = await pendingHeartbeats(server.client, BUILD)
        return beat !== undefined && (beat.percent ?? 0) > 0 ? true : null
      })
      await open('history')
      const history = await page.untilText('marts.revenue')
      expect(history).toContain(BUILD)
      await picture('running', 780)

      await page.click('Pending Activities 1')
      const pending = await page.untilText('"percent"')
      expect(pending).toContain('"model": "marts.revenue"')
      expect(pending).toContain('"phase": "writing"')
      expect(pending).toMatch(/"percent": [1-9]/)
      expect(pending).toMatch(/"rows": [1-9]/)
      await picture('heartbeat', 580)

      await page.click('User Metadata')
      const details = await page.untilText('Building: 1 of 5 steps done (20 %)')
      expect(details).toContain('shop · prod · +marts.daily +marts.loyal')
      expect(details).toContain('Project shop, environment prod')
      expect(details).toContain(`client.ts watch ${BUILD}`)
      expect(details).toContain('Models: 1 succeeded, 1 failed, 1 skipped')
      expect(details).toContain(`Failed: staging.customers: ${ERROR}`)
      expect(details).toContain('the update retryModel with "staging.customers" builds it again')
      expect(details).toMatch(/Running, 1 to come: marts\.revenue since \d\d:\d\d:\d\d UTC \(bottleneck\)/)
      expect(details).toContain('builds of shop')
      await picture('details', 780)

      const second = await startBuild(server, { onConflict: 'queue' }, `${BUILD}/second`)
      await until('the second build to wait', async () => {
        const { waitingFor } = await second.query<BuildProgress>('progress')
        return waitingFor
      })
      await open('user-metadata', second.workflowId)
      await page.untilText('Waiting for another build')
      expect(await page.linkTo(BUILD)).toContain(`/namespaces/default/workflows/${encodeURIComponent(BUILD)}/`)
      await second.cancel()
      await second.result().catch(() => null)

      await handle.executeUpdate('pause')
      await open('user-metadata')
      const paused = await page.untilText('Paused: 1 of 5 steps done')
      expect(paused).toContain('nothing more is started until somebody sends the update resume')
      await picture('paused', 780)

      await handle.cancel()
      await handle.result().catch(() => null)
      await open('user-metadata')
      const ended = await page.untilText('Cancelled: 1 of 5 steps done')
      expect(ended).toContain(`client.ts retry ${BUILD}: what was built is kept`)
    } finally {
      await worker.stop()
    }
  })

  test('reads why a build failed, and gets from a finished one to its schedule and to its like', async () => {
    const root = await createProject(SHOP)
    const worker = await server.startWorker([root])
    try {
      const failed = await startBuild(server, { select: '+marts.loyal' }, BUILD)
      await failed.result().catch(() => null)
      await open('user-metadata')
      const details = await page.untilText('Failed, nothing promoted')
      expect(details).toContain(`Failed: staging.customers: ${ERROR}`)
      expect(details).toContain(`repair, then client.ts retry ${BUILD}`)

      await writeFiles(root, { 'models/customers.sql': SHOP['models/customers.sql'].replace('nmae', 'name') })
      const built = await runScheduled(server, root)
      await open('user-metadata', built)
      const finished = await page.untilText('Built and promoted: 2 of 2 steps done (100 %) in ')
      expect(finished).toMatch(/Slowest: (?:staging\.customers|marts\.loyal) \d+(?:\.\d)? m?s, /)
      await picture('finished', 780)

      await page.goto(await page.linkTo(`schedule ${SCHEDULE}`))
      const schedule = await page.untilText(built)
      expect(schedule).toContain('Nightly build of the shop')
      await picture('schedule', 780)

      await open('user-metadata', built)
      await page.untilText('builds of shop')
      await page.goto(await page.linkTo('builds of shop'))
      expect(await page.untilText(built)).toMatch(/Completed[^]*Failed[^]*Canceled/)
      await picture('list', 580)
    } finally {
      await worker.stop()
    }
  })

  /** A tab of the page of a workflow's latest run. */
  async function open(tab: string, workflowId = BUILD): Promise<void> {
    const { runId } = await server.client.workflow.getHandle(workflowId).describe()
    const workflow = `${server.server.uiUrl}/namespaces/default/workflows/${encodeURIComponent(workflowId)}`
    await page.goto(`${workflow}/${runId}/${tab}`)
  }

  async function picture(name: string, height: number): Promise<void> {
    if (PICTURES !== null) await page.screenshot(join(PICTURES, `web-ui-${name}.png`), { width: 1280, height })
  }
})

/** A schedule's first build, from its start to its end. @returns its workflow's id. */
async function runScheduled({ client, server }: TestServer, root: string): Promise<string> {
  const run = (action: string, ...options: string[]): Promise<unknown> =>
    runVerb(scheduleVerb, root, [action, 'nightly', '--address', server.address, ...options])
  const note = ['--note', 'Nightly build of the shop']
  await run('create', '--cron', '0 3 * * *', '--select', '+marts.loyal', '--task-queue', TASK_QUEUE, ...note)
  await run('trigger')
  const workflowId = await until('the scheduled build', async () => {
    const { info } = await client.schedule.getHandle(SCHEDULE).describe()
    const started = info.recentActions.at(-1)?.action
    return started?.type === 'startWorkflow' ? started.workflow.workflowId : null
  })
  await client.workflow.getHandle(workflowId).result()
  return workflowId
}

const ERROR = 'Binder Error: Referenced column "nmae" not found in FROM clause! (models/customers.sql:4)'

const SHOP = {
  'config.yaml': `project: shop
gateways: { local: { connection: { type: duckdb, database: w.duckdb, connector_config: { threads: 1 } } } }
model_defaults: { dialect: duckdb }
`,
  'models/orders.sql': 'MODEL (name staging.orders, kind FULL);\nSELECT range AS id FROM range(4000000)',
  'models/customers.sql': `MODEL (name staging.customers, kind FULL);

SELECT
  id, nmae AS name
FROM read_csv('customers.csv')`,
  'customers.csv': 'id,name\n1,Ada\n',
  // DuckDB counts progress by row groups: each of the 33 takes a second or more.
  'models/revenue.sql': `MODEL (name marts.revenue, kind FULL);
SELECT sum(hash(md5(repeat(id::VARCHAR, 800)))) AS total FROM staging.orders`,
  'models/loyal.sql': 'MODEL (name marts.loyal, kind FULL);\nSELECT name FROM staging.customers',
  'models/daily.sql': 'MODEL (name marts.daily, kind VIEW);\nSELECT * FROM marts.revenue',
}
