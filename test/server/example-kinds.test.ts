/** The example of every kind, built as its README says. */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openProject } from '../helpers/built-project.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

const EXAMPLE = fileURLToPath(new URL('../../examples/kinds', import.meta.url))

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test('one model of each kind, three days in a row', async () => {
  const root = await mkdtemp(join(tmpdir(), 'millrace-kinds-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  for (const name of ['config.yaml', 'models', 'seeds']) {
    await cp(join(EXAMPLE, name), join(root, name), { recursive: true })
  }
  const project = await openProject(server, root, { database: 'warehouse.duckdb' })
  for (const executionTime of ['2024-03-02', '2024-03-03', '2024-03-04']) {
    const report = await project.build({ executionTime })
    expect(report, executionTime).toMatchObject({ status: 'succeeded' })
  }

  expect(await project.rows('SELECT city, sales::DOUBLE AS sales FROM shop.city_ranking ORDER BY place')).toEqual([
    { city: null, sales: 198 },
    { city: 'Faro', sales: 60 },
    { city: 'Porto', sales: 40 },
  ])
  expect(
    await project.rows('SELECT day::TEXT AS day, orders::INT AS orders FROM shop.daily_sales ORDER BY day'),
  ).toEqual([
    { day: '2024-03-01', orders: 2 },
    { day: '2024-03-02', orders: 1 },
    { day: '2024-03-03', orders: 3 },
  ])
  expect(await project.rows('SELECT order_id, status FROM shop.orders ORDER BY order_id')).toEqual(
    ['paid', 'refunded', 'paid', 'paid', 'paid', 'paid'].map((status, index) => ({ order_id: index + 1, status })),
  )
  expect(await project.rows('SELECT city, events::INT AS events FROM shop.sales_by_city ORDER BY city')).toEqual([
    { city: 'Faro', events: 1 },
    { city: 'Lisbon', events: 2 },
    { city: 'Porto', events: 3 },
    { city: null, events: 2 },
  ])
  expect(
    await project.rows('SELECT loaded_for::TEXT AS day, events::INT AS events FROM shop.daily_log ORDER BY 1'),
  ).toEqual([
    { day: '2024-03-01', events: 2 },
    { day: '2024-03-02', events: 2 },
    { day: '2024-03-03', events: 4 },
  ])
  expect(await history((sql) => project.rows(sql), 'shop.customers')).toEqual([
    { id: 1, plan: 'free', open: false },
    { id: 1, plan: 'team', open: true },
    { id: 2, plan: 'free', open: false },
    { id: 2, plan: 'closed', open: true },
    { id: 3, plan: 'team', open: true },
    { id: 4, plan: 'free', open: true },
  ])
  expect(await history((sql) => project.rows(sql), 'shop.customer_plans')).toEqual(
    await history((sql) => project.rows(sql), 'shop.customers'),
  )
}, 120_000)

function history(rows: (sql: string) => Promise<Record<string, unknown>[]>, table: string) {
  return rows(`SELECT customer_id AS id, plan, valid_to IS NULL AS open FROM ${table} ORDER BY id, valid_from`)
}
