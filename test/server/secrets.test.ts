/** A token that the config names reaches the connection, and nothing that is printed, logged or kept. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { runCli } from '../helpers/cli.ts'
import { createProject } from '../helpers/project.ts'

const SECRET = 'ey-very-secret-0123456789'

const GATEWAYS = `gateways:
  local:
    connection: { type: duckdb, database: w.duckdb }
  cloud:
    connection: { type: quack, uri: 'quack:localhost:1', token: "{{ env_var('WAREHOUSE_TOKEN') }}" }
  bucket:
    connection:
      type: duckdb
      database: b.duckdb
      secrets: [{ type: s3, key_id: me, secret: "{{ env_var('WAREHOUSE_TOKEN') }}" }]
  misspelt:
    connection: { type: motherduck, databse: analytics, token: "{{ env_var('WAREHOUSE_TOKEN') }}" }
default_gateway: local
`

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

it('the secret is in no output, error, log, history or state, whatever fails', async () => {
  const root = await createProject({
    'config.yaml': GATEWAYS,
    'models/a.sql': 'MODEL (name s.a, kind FULL);\nSELECT 1 AS x',
    'models/b.sql': 'MODEL (name s.b, kind FULL);\nSELECT missing FROM s.a',
  })
  const env = { WAREHOUSE_TOKEN: SECRET }
  const printed: string[] = []
  for (const [args, code] of [
    [['build', root, '--verbose'], 1],
    [['build', root, '--json', '--verbose', '--gateway', 'cloud'], 2],
    [['build', root, '--verbose', '--gateway', 'misspelt'], 2],
    [['plan', root, '--verbose', '--gateway', 'bucket'], null],
    [['models', root, '--json', '--verbose'], 0],
    [['doctor', root, '--json', '--verbose', '--gateway', 'cloud'], null],
  ] as const) {
    const result = await runCli(args, env)
    if (code !== null) expect(result, `${args.join(' ')}: ${result.stderr}`).toMatchObject({ code })
    printed.push(result.stdout, result.stderr)
  }
  expect(printed.join('').length).toBeGreaterThan(1_000)
  expect(printed.join('')).not.toContain(SECRET)

  const files = await filesBelow(root)
  const names = files.map((file) => file.slice(root.length + 1))
  expect(names).toEqual(expect.arrayContaining(['w.duckdb', '.millrace/temporal.db', '.millrace/logs/worker.log']))
  const kept = Buffer.concat(await Promise.all(files.map((file) => readFile(file))))
  // What is written into a history can be found this way.
  expect(kept.includes('"project":"millrace-project-')).toBe(true)
  expect(kept.includes(SECRET)).toBe(false)
})
